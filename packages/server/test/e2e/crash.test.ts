import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { account } from '../../../../bench/crash/accounting.ts'
import { createLibsqlSystem } from '../../../../bench/crash/darkroom-system.ts'
import type { Journalled } from '../../../../bench/crash/journal.ts'
import { Ledger } from '../../../../bench/crash/ledger.ts'
import { runCrashes } from '../../../../bench/crash/run.ts'

let folder: string

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'darkroom-crash-'))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** The crash bench on a small scale: `bench/crash` has the full one. */
it('loses nothing and completes nothing twice while its processes are killed', { timeout: 90_000 }, async () => {
  const system = await createLibsqlSystem(folder, 1)
  const victims = system.victims.filter(({ name }) => name === 'runner' || name === 'gateway')
  const report = await runCrashes(
    { ...system, victims },
    { clients: 5, kills: 3, pauseSeconds: 0.8, work: [20, 100], patienceSeconds: 60 },
  )
  expect(report).toMatchObject({ lost: [], wrong: [], completedTwice: [], webhooksMissing: [], diedAlone: [] })
  expect(report.executions).toBeGreaterThanOrEqual(5)
  expect(Object.values(report.kills).reduce((sum, count) => sum + count)).toBe(3)
})

describe('the accounting', () => {
  const right = { status: 200, token: 'token', execution: 'first' }

  function ledgerOf(...reads: object[]): Ledger {
    const ledger = new Ledger()
    const entry = ledger.accept('request', 'token')
    for (const read of reads) ledger.see(entry, { ...right, ...read })
    return ledger
  }

  it('finds what was lost, wrong, completed twice or not delivered', () => {
    expect(account(ledgerOf(), [], [])).toMatchObject({ lost: ['request'], webhooksMissing: ['request'] })
    expect(account(ledgerOf({ token: 'another' }), [], [])).toMatchObject({ lost: [], wrong: ['request'] })
    expect(account(ledgerOf({ status: 503 }), [], []).wrong).toEqual(['request'])
    expect(account(ledgerOf({}, { execution: 'second' }), [], []).completedTwice).toEqual(['request'])
    const ledger = ledgerOf({})
    ledger.deliver('request', right)
    ledger.deliver('request', right)
    expect(account(ledger, [], [])).toMatchObject({
      lost: [],
      wrong: [],
      completedTwice: [],
      webhooksMissing: [],
      webhooksRepeated: 1,
    })
    ledger.deliver('request', { ...right, execution: 'second' })
    expect(account(ledger, [], []).completedTwice).toEqual(['request'])
  })

  it('measures from a death to the next execution of what was being worked on', () => {
    const start = (pid: number, at: number, requestId: string): Journalled => {
      return { event: 'start', pid, at, requestId, execution: `${pid} ${at}` }
    }
    const journal = [start(1, 0, 'done'), start(1, 10, 'held'), start(2, 11, 'other'), start(2, 520, 'held')]
    expect(account(new Ledger(), journal, [{ pids: [1], at: 20 }]).restarts).toEqual([500])
    expect(account(new Ledger(), journal, [{ pids: [2], at: 20 }]).restarts).toEqual([])
    const hang = account(new Ledger(), journal, [{ pids: [1], at: 20, hung: true }])
    expect([hang.restarts, hang.restartsAfterHang]).toEqual([[], [500]])
  })
})
