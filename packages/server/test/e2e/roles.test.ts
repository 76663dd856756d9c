import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { WebSocket } from 'ws'
import { readJournal } from '../../../../bench/crash/journal.ts'
import { WORK_ENDPOINT_ID, workSchema } from '../../../../bench/crash/work-endpoint.ts'
import { readConfig } from '../../src/config/config.ts'
import type { LocalRunners } from '../../src/processes/runners/local-runners.ts'
import { startRunnersAlone } from '../../src/processes/runners/local-runners.ts'
import { startServer } from '../../src/processes/server-process.ts'
import { freePort } from '../fakes/free-port.ts'
import { RUNNER_ENTRY, type SeparateRoles, startSeparateRoles } from '../fakes/separate-roles.ts'
import { SILENT_LOG } from '../fakes/silent-log.ts'

let roles: SeparateRoles
let here: LocalRunners

beforeAll(async () => {
  roles = await startSeparateRoles()
})
afterAll(() => roles.close())

/** A file that holds work up until the function beside it is called. */
function createHold(): { readonly hold: string; readonly letGo: () => void } {
  const hold = join(roles.config.dataFolder, `hold-${crypto.randomUUID()}`)
  writeFileSync(hold, '')
  return { hold, letGo: () => rmSync(hold) }
}

function attemptsOf(requestId: string): number {
  return roles.journal().filter((entry) => entry.event === 'start' && entry.requestId === requestId).length
}

describe('a gateway and runners apart', () => {
  it('refuses a runner that no gateway could reach', async () => {
    const config = readConfig({ dataFolder: join(tmpdir(), 'darkroom-nobody') }, {})
    const start = startRunnersAlone(config, SILENT_LOG)
    await expect(start).rejects.toThrow(/No gateway of this machine .* DATABASE_URL and S3_BUCKET/)
  })

  it('answers on while its runners are replaced one after the other', async () => {
    const [old, next] = await Promise.all([roles.startRunners(), roles.startRunners()])
    here = next
    const oldPid = old.supervisors[0]?.child?.pid
    const ids = await Promise.all(Array.from({ length: 8 }, () => roles.submit({ ms: 500 })))
    // On a busy machine either runner may be the first to take several.
    await Promise.any(ids.map(async (id) => expect(await roles.started(id)).toBe(oldPid)))
    await old.stop()
    const results = await Promise.all(ids.map((id) => roles.result(id)))
    expect(new Set(results.map(({ pid }) => pid)).size).toBe(2)
    expect(ids.map(attemptsOf)).toEqual(ids.map(() => 1)) // finished, not cut off
  })

  it('hands back what a stopping runner cannot finish in its time, and another one does it', async () => {
    const hurried = await roles.startRunners({}, { drainSeconds: 0 })
    const { hold, letGo } = createHold()
    const [first, second] = [await roles.submit({ ms: 0, hold }), await roles.submit({ ms: 0, hold })]
    const pids = [await roles.started(first), await roles.started(second)]
    await hurried.stop()
    letGo()
    const results = [await roles.result(first), await roles.result(second)]
    const survivor = results[0]?.pid
    expect(results[1]?.pid).toBe(survivor)
    const handedBack = pids[0] === survivor ? second : first
    expect([attemptsOf(first), attemptsOf(second)].sort()).toEqual([1, 2])
    expect(attemptsOf(handedBack)).toBe(2)
  })

  it('reaches a realtime connection’s runner at another address', async () => {
    const port = await freePort()
    await here.stop() // leaves one choice
    const elsewhere = await roles.startRunners({ host: '127.0.0.2', port })
    const socket = new WebSocket(`${roles.url.replace('http', 'ws')}/run/${WORK_ENDPOINT_ID}/ws`)
    await once(socket, 'open')
    const pids = new Set<number>()
    for (let i = 0; i < 3; i++) {
      socket.send(JSON.stringify({ token: `frame ${i}`, ms: 1 }))
      const [data] = await once(socket, 'message')
      const { token, pid } = JSON.parse(String(data))
      expect(token).toBe(`frame ${i}`)
      pids.add(pid)
    }
    expect(pids.size).toBe(1) // one conversation per connection
    expect(pids).toContain(elsewhere.supervisors[0]?.child?.pid)
    socket.close()
  })
})

describe('supervision of runners', () => {
  it('replaces one that dies; its request runs again and its client sees one result', async () => {
    const { hold, letGo } = createHold()
    const id = await roles.submit({ ms: 0, hold })
    const pid = await roles.started(id)
    process.kill(pid, 'SIGKILL')
    letGo()
    const result = await roles.result(id)
    expect(result.pid).not.toBe(pid)
    expect(attemptsOf(id)).toBe(2)
    expect(await roles.result(id)).toEqual(result)
  })

  it('replaces one that leaks, once it has answered', async () => {
    const frugal = await roles.startRunners({}, { runners: { ...roles.config.runners, memoryBytes: 300e6 } })
    const child = frugal.supervisors[0]?.child
    const ids: string[] = []
    while (roles.journal().findLast((entry) => entry.event === 'end')?.pid !== child?.pid) {
      const id = await roles.submit({ ms: 10, leak_bytes: 400e6 })
      await roles.result(id)
      ids.push(id)
    }
    if (child?.exitCode === null) await once(child, 'exit')
    expect(child?.exitCode).toBe(0) // drained, not killed
    expect(ids.map(attemptsOf)).toEqual(ids.map(() => 1))
    expect(await roles.result(await roles.submit({ ms: 1 }))).toBeDefined()
  })
})

it('answers what is open before a gateway goes, and takes nothing new', async () => {
  const starts = () => roles.journal().filter(({ event }) => event === 'start').length
  const before = starts()
  const { hold, letGo } = createHold()
  const answer = roles.run({ ms: 0, hold })
  await expect.poll(starts, { timeout: 20_000 }).toBe(before + 1)
  const stopped = roles.stopGateway()
  await expect(fetch(`${roles.url}/health`)).rejects.toThrow()
  letGo()
  expect((await answer).status).toBe(200)
  await stopped
})

it('is not ready while it stops, so that load balancers send their requests elsewhere', async () => {
  const dataFolder = mkdtempSync(join(tmpdir(), 'darkroom-stops-'))
  const config = {
    ...readConfig({ port: 0, dataFolder, logLevel: 'silent' }, {}),
    journal: join(dataFolder, 'journal'),
  }
  const served = { schemas: [workSchema], runnerEntry: RUNNER_ENTRY }
  const server = await startServer(config, SILENT_LOG, served)
  await server.runners.ready
  const headers = { 'content-type': 'application/json' }
  const hold = join(dataFolder, 'hold')
  writeFileSync(hold, '')
  const body = JSON.stringify({ token: 'a', ms: 0, hold })
  const answer = fetch(`${server.url}/run/${WORK_ENDPOINT_ID}`, { method: 'POST', body, headers })
  await expect.poll(() => readJournal(config.journal).map(({ event }) => event), { timeout: 20_000 }).toContain('start')
  const stopped = server.stop()
  const ready = await fetch(`${server.url}/ready`)
  expect([ready.status, await ready.json()]).toEqual([
    503,
    { status: 'unavailable', checks: { database: 'ok', serving: 'stopping' } },
  ])
  rmSync(hold)
  expect((await answer).status).toBe(200)
  await stopped
  rmSync(dataFolder, { recursive: true })
})
