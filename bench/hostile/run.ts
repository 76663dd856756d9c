import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { encodeImage } from '@darkroom/engine'
import { type Environment, readConfig } from '../../packages/server/src/config/config.ts'
import { createSqlKeyStore } from '../../packages/server/src/gateway/sql-key-store.ts'
import { openBackingStores } from '../../packages/server/src/processes/stores.ts'
import { freePort } from '../../packages/server/test/fakes/free-port.ts'
import { ManagedProcess } from '../crash/managed-process.ts'
import { percentile } from '../statistics.ts'
import { ATTACKS } from './attacks.ts'
import { drawHonestly, type Honest, type HonestOptions, watchHealth } from './honest.ts'
import { type LeftOnDisk, leftOnDisk } from './left-on-disk.ts'
import { processorSeconds, residentBytes } from './process-figures.ts'
import type { AttackerSetup } from './processes/attacker-entry.ts'
import type { Outcomes, Scale, Target } from './target.ts'

export interface RunOptions {
  readonly scale: Scale
  readonly clients: number
  readonly pauseMs: number
  /** Seconds without an attack, to compare with. */
  readonly quietSeconds: number
  /** Whether the attacker takes only what the server and its clients leave of the processors, which on a busy machine is nothing. */
  readonly attackerYields: boolean
  /** Names of the attacks, in order. */
  readonly attacks: readonly string[]
  readonly environment?: Environment
  /** Plays once in the middle of each attack. */
  readonly strike?: (server: ManagedProcess) => Promise<void>
  readonly onPhase?: (phase: Phase) => void
}

/** What honest clients saw while something went on. */
export interface Phase {
  readonly name: string
  readonly seconds: number
  readonly asked: number
  readonly answered: number
  readonly failures: readonly string[]
  readonly p50: number
  readonly p99: number
  readonly healthMax: number
  readonly gatewayBytes: number
  /** Longest time that one piece of work held the gateway's event loop, in milliseconds. */
  readonly loopMax: number
  /** Processor seconds that each took. */
  readonly processor: { readonly gateway: number; readonly runners: number; readonly attacker: number }
  /** What the attacker was answered. */
  readonly outcomes: Outcomes
}

export interface RunReport {
  readonly quiet: Phase
  readonly attacked: readonly Phase[]
  /** Processes that ended although nobody struck them. */
  readonly ended: readonly string[]
  readonly disk: LeftOnDisk
}

const entry = (name: string) => new URL(`./processes/${name}-entry.ts`, import.meta.url)

/** Lets honest clients draw in quiet and during each attack, on a server of its own, and takes down what they and the processes saw. */
export async function runHostile(folder: string, options: RunOptions): Promise<RunReport> {
  const dataFolder = join(folder, 'data')
  const played = await playAll(folder, dataFolder, options)
  return { ...played, disk: leftOnDisk(dataFolder) }
}

async function playAll(folder: string, dataFolder: string, options: RunOptions): Promise<Omit<RunReport, 'disk'>> {
  const port = await freePort()
  const environment = {
    DARKROOM_MODELS: join(folder, 'none'),
    HF_HUB_CACHE: join(folder, 'none'),
    ...options.environment,
  }
  const overrides = { port, dataFolder, allowPrivateTargets: true, auth: 'keys', logLevel: 'warn' } as const
  const config = readConfig(overrides, environment)
  const keys = await createKeys(config)
  const url = `http://127.0.0.1:${port}`
  const log = join(folder, 'log')
  const server = new ManagedProcess({ name: 'server', entry: entry('server'), setup: config, log })
  const target: Target = { url, port, authorization: keys.hostile }
  const setup: AttackerSetup = { target, scale: options.scale, yields: options.attackerYields }
  const attacker = new ManagedProcess({ name: 'attacker', entry: entry('attacker'), setup, log })
  const ended: string[] = []
  for (const each of [server, attacker]) each.onDied = () => ended.push(each.name)
  try {
    await Promise.all([server.start(), attacker.start()])
    const picture = await dataUri()
    const client = { url, authorization: keys.honest, clients: options.clients, pauseMs: options.pauseMs, picture }
    const play = (name: string, meanwhile: () => Promise<Outcomes>) =>
      playPhase(name, { ...client, retries: options.strike !== undefined }, { server, attacker }, meanwhile)
    const silence = (seconds: number) => async () => sleep(seconds * 1000, {})
    // The first pictures load the model.
    await play('warm-up', silence(options.quietSeconds / 4))
    const atLeast = silence(options.scale.seconds)
    const runners = await runnersOf(server)
    const quiet = await play('quiet', silence(options.quietSeconds))
    options.onPhase?.(quiet)
    const attacked: Phase[] = []
    for (const name of options.attacks) {
      if (!(name in ATTACKS))
        throw new Error(`there is no attack ${name}; expected one of ${Object.keys(ATTACKS).join(', ')}`)
      const strike = () => options.strike?.(server)
      const phase = await play(name, async () => (await Promise.all([attack(attacker, name, strike), atLeast()]))[0])
      options.onPhase?.(phase)
      attacked.push(phase)
    }
    const left = await runnersOf(server)
    if (!options.strike && left.join() !== runners.join()) ended.push(`a runner (${runners} before, ${left} after)`)
    return { quiet, attacked, ended }
  } finally {
    await attacker.kill('SIGTERM')
    await server.kill('SIGTERM')
  }
}

async function createKeys(config: ReturnType<typeof readConfig>): Promise<{ honest: string; hostile: string }> {
  const stores = await openBackingStores(config)
  try {
    const store = createSqlKeyStore(stores.database)
    const create = async (alias: string) => {
      const { keyId, secret } = await store.create(alias, 'API', alias)
      return `Key ${keyId}:${secret}`
    }
    return { honest: await create('honest'), hostile: await create('hostile') }
  } finally {
    await stores.close()
  }
}

async function dataUri(): Promise<string> {
  const data = new Uint8Array(128 * 128 * 3).map((_, i) => (i * 31) % 256)
  const png = await encodeImage({ width: 128, height: 128, data }, 'png')
  return `data:image/png;base64,${Buffer.from(png).toString('base64')}`
}

async function runnersOf(server: ManagedProcess): Promise<readonly number[]> {
  return (await server.ask<{ runners: number[] }>({ list: 'runners' }, 'runners'))?.runners ?? []
}

/** Milliseconds after which an attack is well under way. */
const STRIKE_AFTER = 1500

async function attack(
  attacker: ManagedProcess,
  name: string,
  strike: () => Promise<void> | undefined,
): Promise<Outcomes> {
  const played = attacker.ask<{ outcomes: Outcomes }>({ attack: name }, 'outcomes')
  await Promise.race([played, sleep(STRIKE_AFTER)])
  await strike()
  return (await played)?.outcomes ?? { 'the attacker ended': 1 }
}

async function playPhase(
  name: string,
  client: Omit<HonestOptions, 'signal'>,
  { server, attacker }: { readonly server: ManagedProcess; readonly attacker: ManagedProcess },
  meanwhile: () => Promise<Outcomes>,
): Promise<Phase> {
  const stop = new AbortController()
  await server.ask({ loop: 'reset' }, 'loopMax')
  const used = async () => ({
    gateway: processorSeconds(server.pid),
    runners: new Map((await runnersOf(server)).map((pid) => [pid, processorSeconds(pid)])),
    attacker: processorSeconds(attacker.pid),
  })
  const before = await used()
  const started = performance.now()
  const drawing = drawHonestly({ ...client, signal: stop.signal })
  const health = watchHealth(client.url, stop.signal)
  const memory = watchMemory(server, stop.signal)
  const outcomes = await meanwhile().finally(() => stop.abort())
  const honest = await drawing
  const after = await used()
  const loop = await server.ask<{ loopMax: number }>({ loop: 'read' }, 'loopMax')
  return {
    name,
    seconds: (performance.now() - started) / 1000,
    ...summary(honest),
    healthMax: Math.max(...(await health)),
    gatewayBytes: await memory,
    loopMax: loop?.loopMax ?? 0,
    processor: {
      gateway: after.gateway - before.gateway,
      // A runner that was replaced meanwhile began at nothing.
      runners: [...after.runners].reduce((sum, [pid, seconds]) => sum + seconds - (before.runners.get(pid) ?? 0), 0),
      attacker: after.attacker - before.attacker,
    },
    outcomes,
  }
}

function summary({
  asked,
  failures,
  milliseconds,
}: Honest): Pick<Phase, 'asked' | 'answered' | 'failures' | 'p50' | 'p99'> {
  return {
    asked,
    answered: milliseconds.length,
    failures,
    p50: percentile(milliseconds, 0.5),
    p99: percentile(milliseconds, 0.99),
  }
}

/** The most resident memory of the process that was seen. */
async function watchMemory(server: ManagedProcess, signal: AbortSignal): Promise<number> {
  let most = 0
  while (!signal.aborted) {
    most = Math.max(most, residentBytes(server.pid))
    await sleep(50)
  }
  return most
}
