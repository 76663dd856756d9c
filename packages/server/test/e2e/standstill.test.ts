import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { readJournal } from '../../../../bench/crash/journal.ts'
import { ManagedProcess } from '../../../../bench/crash/managed-process.ts'
import type { BenchConfig } from '../../../../bench/crash/processes/setup.ts'
import { WORK_ENDPOINT_ID } from '../../../../bench/crash/work-endpoint.ts'
import { readConfig } from '../../src/config/config.ts'
import { freePort } from '../fakes/free-port.ts'

// Real SIGSTOP and SIGCONT: what a closed lid, a snapshot of a virtual machine or a debugger does to processes.

it('a paused supervisor does not take its healthy runner for hung when it goes on', { timeout: 30_000 }, async () => {
  const supervisor = fork(new URL('../fakes/supervisor-process.ts', import.meta.url), [], {
    execArgv: ['--import', 'tsx'],
  })
  const messages: unknown[] = []
  supervisor.on('message', (message) => messages.push(message))
  await once(supervisor, 'message')
  supervisor.kill('SIGSTOP')
  // The supervisor's patience is one second.
  await sleep(2_500)
  supervisor.kill('SIGCONT')
  await sleep(1_500)
  expect(messages).toEqual([{ runner: expect.any(Number) }])
  supervisor.send('stop')
  await once(supervisor, 'exit')
  expect(messages.slice(1)).toEqual([{ ended: expect.stringMatching(/^runner-/), expected: true }])
})

it('a whole server that stood still for longer than a lease goes on with what it did', {
  timeout: 60_000,
}, async () => {
  const folder = await mkdtemp(join(tmpdir(), 'darkroom-standstill-'))
  const overrides = { port: await freePort(), dataFolder: join(folder, 'data'), logLevel: 'warn' } as const
  const config: BenchConfig = { ...readConfig(overrides, {}), journal: join(folder, 'journal') }
  const server = new ManagedProcess({
    name: 'server',
    entry: new URL('../../../../bench/crash/processes/server-entry.ts', import.meta.url),
    setup: config,
    log: join(folder, 'log'),
  })
  await server.start()
  const runners = () => server.ask<{ runners: number[] }>({ list: 'runners' }, 'runners')
  // The server listens before its runner does.
  while ((await runners())?.runners.length === 0) await sleep(20)
  const before = await runners()
  const queue = `http://127.0.0.1:${config.port}/queue/${WORK_ENDPOINT_ID}`
  const hold = join(folder, 'hold')
  await writeFile(hold, '')
  const body = JSON.stringify({ token: 'mine', ms: 0, hold })
  const headers = { 'content-type': 'application/json' }
  const submitted = await fetch(queue, { method: 'POST', body, headers })
  const { response_url: url } = (await submitted.json()) as { response_url: string }
  const started = () => readJournal(config.journal).filter(({ event }) => event === 'start')
  while (started().length === 0) await sleep(20)

  // Leases are of six seconds. The process leads a group, in which its runner is.
  const group = -(server.pid ?? Number.NaN)
  process.kill(group, 'SIGSTOP')
  await sleep(8_000)
  // Who looks for leases that are over goes on first, and the runner, which would renew its own, a moment later.
  process.kill(-group, 'SIGCONT')
  await sleep(1_500)
  process.kill(group, 'SIGCONT')
  await rm(hold)

  let answer = await fetch(url)
  for (; answer.status === 400; answer = await fetch(url)) await sleep(50)
  expect([answer.status, await answer.json()]).toEqual([200, expect.objectContaining({ token: 'mine' })])
  expect(started()).toHaveLength(1)
  expect(await runners()).toEqual(before)
  await server.kill('SIGTERM')
  await rm(folder, { recursive: true })
})
