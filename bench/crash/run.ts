import { setTimeout as sleep } from 'node:timers/promises'
import { type Account, account } from './accounting.ts'
import { readResult, runClient } from './clients.ts'
import { readJournal } from './journal.ts'
import { Ledger } from './ledger.ts'
import type { Death, System, Victim } from './system.ts'
import { listenForWebhooks } from './webhook-sink.ts'

export interface RunOptions {
  readonly clients: number
  readonly kills: number
  /** Mean pause between kills; each is drawn anew, between half and one and a half of it. */
  readonly pauseSeconds: number
  /** Shortest and longest work, in milliseconds. */
  readonly work: readonly [number, number]
  /** How long to wait, after the last kill, for results and webhooks that are still to come. */
  readonly patienceSeconds: number
  readonly onKill?: (victim: string, count: number) => void
}

export interface RunReport extends Account {
  /** Processes that ended although nobody killed them. */
  readonly diedAlone: readonly string[]
  readonly seconds: number
  /** How often each kind was killed. */
  readonly kills: Readonly<Record<string, number>>
}

/** Until somebody else is struck, when the one that was drawn was not up. */
const NOT_UP_MILLISECONDS = 100

/** Kills parts of a system while clients submit, lets it come to rest, and accounts for every accepted request. */
export async function runCrashes(system: System, options: RunOptions): Promise<RunReport> {
  const startedAt = performance.now()
  const ledger = new Ledger()
  const sink = await listenForWebhooks(ledger)
  const stop = new AbortController()
  try {
    await system.start()
    const client = { urls: system.urls, ledger, webhookUrl: sink.url, work: options.work }
    const clients = Array.from({ length: options.clients }, () => runClient(client, stop.signal))
    await sleep(options.pauseSeconds * 1000)
    const { deaths, kills } = await strikeAround(system.victims, options)
    stop.abort()
    await Promise.all(clients)
    await system.recover()
    await comeToRest(client, options.patienceSeconds)
    const report = account(ledger, readJournal(system.journal), deaths)
    return { ...report, diedAlone: system.diedAlone, kills, seconds: (performance.now() - startedAt) / 1000 }
  } finally {
    stop.abort()
    await system.stop()
    sink.close()
  }
}

async function strikeAround(victims: readonly Victim[], { kills, pauseSeconds, onKill }: RunOptions) {
  const deaths: Death[] = []
  const counts: Record<string, number> = {}
  for (let count = 0; count < kills; ) {
    const victim = draw(victims)
    const death = await victim.strike()
    if (death === undefined) {
      await sleep(NOT_UP_MILLISECONDS)
      continue
    }
    deaths.push(death)
    counts[victim.name] = (counts[victim.name] ?? 0) + 1
    count += 1
    onKill?.(victim.name, count)
    await sleep(pauseSeconds * 1000 * (0.5 + Math.random()))
  }
  return { deaths, kills: counts }
}

function draw(victims: readonly Victim[]): Victim {
  let left = Math.random() * victims.reduce((sum, { weight }) => sum + weight, 0)
  for (const victim of victims) {
    left -= victim.weight
    if (left < 0) return victim
  }
  throw new Error('A system without victims')
}

/** Waits until nothing is open; then reads every result once more, since a second completion may have replaced it. */
async function comeToRest(client: Parameters<typeof readResult>[0], patienceSeconds: number): Promise<void> {
  const { ledger } = client
  const giveUpAt = Date.now() + patienceSeconds * 1000
  while (ledger.open.length > 0 && Date.now() < giveUpAt) {
    for (const entry of ledger.open) if (entry.firstResult === undefined) await readResult(client, entry)
    await sleep(200)
  }
  for (const entry of ledger.accepted.values()) await readResult(client, entry)
}
