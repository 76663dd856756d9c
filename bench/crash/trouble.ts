import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, statfsSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { createLibsqlSystem, createPostgresSystem } from './darkroom-system.ts'
import { readJournal } from './journal.ts'
import { PostgresServer } from './postgres-server.ts'
import type { System } from './system.ts'
import { WORK_ENDPOINT_ID } from './work-endpoint.ts'

/*
 * What happens when the surroundings fail: the disk fills up, a folder cannot be written, the database goes away, a second
 * server takes the same folder, the clock jumps. Each scenario prints what clients were told and what became of their requests.
 * Needs Linux and root, for it mounts small file systems.
 */
const { values } = parseArgs({
  options: {
    postgres: { type: 'string' },
    faketime: { type: 'string' },
    'outage-seconds': { type: 'string', default: '30' },
    'skip-libsql': { type: 'boolean', default: false },
  },
})
const DAY_SECONDS = 86_400
/** For as long Node sends a date that it has formatted before. */
const DATE_HEADER_MILLISECONDS = 1100
const outageSeconds = Number(values['outage-seconds'])

if (!values['skip-libsql']) {
  await scenario('The disk is full', fullDisk)
  await scenario('The folder of the files cannot be written', readOnlyFiles)
  await scenario('The data folder is read-only at the start', readOnlyStart)
  await scenario('A second server on the same data folder', secondServer)
  await clockJumps(values.faketime)
}
if (values.postgres === undefined) console.log('The database goes away with --postgres FOLDER of its binaries.')
else {
  const binaries = values.postgres
  await scenario(`The database is down for ${outageSeconds} s`, (folder) => databaseAway(folder, binaries, 'down'))
  await scenario(`The database hangs for ${outageSeconds} s`, (folder) => databaseAway(folder, binaries, 'hung'))
}

async function scenario(name: string, play: (folder: string) => Promise<void>): Promise<void> {
  console.log(`\n${name}`)
  const folder = mkdtempSync(join(tmpdir(), 'darkroom-trouble-'))
  try {
    await play(folder)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function tell(what: string, found: unknown): void {
  console.log(`  ${what.padEnd(44)} ${typeof found === 'string' ? found : JSON.stringify(found)}`)
}

async function fullDisk(folder: string): Promise<void> {
  const data = join(folder, 'data')
  mkdirSync(data)
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=24m', 'tmpfs', data])
  const system = await createLibsqlSystem(folder)
  try {
    await system.start()
    const before = await Promise.all(Array.from({ length: 6 }, () => submit(system, 1500)))
    await sleep(500)
    const filler = join(data, 'filler')
    fillUp(data, filler)
    const refused = await untilRefused(system)
    tell('a submit on the full disk', refused)
    tell('an upload on the full disk', await upload(system))
    await sleep(4000)
    tell('states of the 6 accepted before, still full', await states(system, before))
    truncateSync(filler, 0)
    tell('states of the 6, once there is room', await untilDone(system, before))
    const after = await submit(system, 10)
    tell('a submit after it', await untilDone(system, [after]))
    tell('executions of the 6', countExecutions(system, before))
    tell('integrity of the database', integrity(join(data, 'darkroom.db')))
  } finally {
    await system.stop()
    execFileSync('umount', [data])
  }
}

async function readOnlyFiles(folder: string): Promise<void> {
  const objects = join(folder, 'data', 'objects')
  mkdirSync(objects, { recursive: true })
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=8m', 'tmpfs', objects])
  const system = await createLibsqlSystem(folder)
  try {
    await system.start()
    tell('an upload', await upload(system))
    execFileSync('mount', ['-o', 'remount,ro', objects])
    tell('an upload, read-only', await upload(system))
    execFileSync('mount', ['-o', 'remount,rw', objects])
    tell('an upload, writable again', await upload(system))
  } finally {
    await system.stop()
    execFileSync('umount', [objects])
  }
}

async function readOnlyStart(folder: string): Promise<void> {
  const data = join(folder, 'data')
  mkdirSync(data)
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=8m,ro', 'tmpfs', data])
  tell('darkroom serve says', serve(data))
  execFileSync('umount', [data])
}

async function secondServer(folder: string): Promise<void> {
  const system = await createLibsqlSystem(folder)
  try {
    await system.start()
    tell('the second darkroom serve says', serve(join(folder, 'data')))
    tell('the first one goes on', await untilDone(system, [await submit(system, 10)]))
  } finally {
    await system.stop()
  }
}

async function clockJumps(library: string | undefined): Promise<void> {
  if (library === undefined) {
    console.log('The clock jumps with --faketime FILE, the library libfaketimeMT.so.1.')
    return
  }
  await scenario('The clock jumps a day ahead', (folder) => clockJump(folder, library, DAY_SECONDS))
  await scenario('The clock jumps a day back', (folder) => clockJump(folder, library, -DAY_SECONDS))
}

async function clockJump(folder: string, library: string, seconds: number): Promise<void> {
  const offset = join(folder, 'clock-offset')
  writeFileSync(offset, '+0')
  const clock = {
    LD_PRELOAD: library,
    FAKETIME_TIMESTAMP_FILE: offset,
    FAKETIME_NO_CACHE: '1',
    FAKETIME_DONT_FAKE_MONOTONIC: '1',
  }
  Object.assign(process.env, clock)
  const system = await createLibsqlSystem(folder)
  try {
    await system.start()
    for (const name of Object.keys(clock)) delete process.env[name]
    tell('the clock is off by, in seconds', await clockOffset(system))
    const ids = await Promise.all(Array.from({ length: 6 }, () => submit(system, 2000)))
    await sleep(500)
    tell('states just before', await states(system, ids))
    writeFileSync(offset, seconds < 0 ? `${seconds}` : `+${seconds}`)
    await sleep(DATE_HEADER_MILLISECONDS)
    tell('the clock is off by, in seconds', await clockOffset(system))
    tell('states of those from before', await untilDone(system, ids))
    tell('executions of the 6', countExecutions(system, ids))
    tell('a submit afterwards', await untilDone(system, [await submit(system, 10)]))
  } finally {
    await system.stop()
  }
}

/** How far the server's clock, as its answers tell it, is ahead of this process's. */
async function clockOffset(system: System): Promise<number> {
  const date = (await fetch(`${system.urls[0]}/health`)).headers.get('date') ?? ''
  return Math.round((Date.parse(date) - Date.now()) / 1000)
}

async function databaseAway(folder: string, binaries: string, how: 'down' | 'hung'): Promise<void> {
  const postgres = await PostgresServer.create(binaries, folder)
  await postgres.start()
  const system = await createPostgresSystem(folder, postgres)
  try {
    await system.start()
    const long = await submit(system, (outageSeconds + 10) * 1000)
    const waiting = [await submit(system, 100), await submit(system, 100)]
    await sleep(1000)
    const began = Date.now()
    if (how === 'down') await postgres.kill()
    else postgres.signalAll('SIGSTOP')
    tell('a submit meanwhile', await answerOf(() => trySubmit(system, 10)))
    tell('/ready meanwhile', await answerOf(() => fetch(`${system.urls[0]}/ready`, timeout(40))))
    await sleep(Math.max(0, outageSeconds * 1000 - (Date.now() - began)))
    if (how === 'down') await postgres.start()
    else postgres.signalAll('SIGCONT')
    const back = Date.now()
    tell('a submit afterwards', await untilAccepted(system))
    tell('seconds until one was accepted', ((Date.now() - back) / 1000).toFixed(1))
    tell('states of those from before', await untilDone(system, [long, ...waiting]))
    tell('executions of the one that ran all through', countExecutions(system, [long]))
  } finally {
    if (how === 'hung') postgres.signalAll('SIGCONT')
    await system.stop()
    await postgres.stop()
  }
}

/** A file as large as the disk has room. */
function fillUp(disk: string, file: string): void {
  const { bavail, bsize } = statfsSync(disk)
  writeFileSync(file, Buffer.alloc(bavail * bsize))
}

function timeout(seconds: number): RequestInit {
  return { signal: AbortSignal.timeout(seconds * 1000) }
}

function trySubmit(system: System, ms: number, padding = ''): Promise<Response> {
  const body = JSON.stringify({ token: 'trouble', ms, padding })
  const headers = { 'content-type': 'application/json' }
  return fetch(`${system.urls[0]}/queue/${WORK_ENDPOINT_ID}`, { method: 'POST', body, headers, ...timeout(60) })
}

async function submit(system: System, ms: number): Promise<string> {
  return ((await (await trySubmit(system, ms)).json()) as { request_id: string }).request_id
}

async function untilAccepted(system: System): Promise<string> {
  for (;;) {
    const answer = await answerOf(() => trySubmit(system, 10))
    if (answer.startsWith('200')) return '200'
    await sleep(200)
  }
}

/** The last pages of a full disk still take a few requests. */
async function untilRefused(system: System): Promise<string> {
  for (;;) {
    const answer = await answerOf(() => trySubmit(system, 10, 'x'.repeat(100_000)))
    if (!answer.startsWith('200')) return answer
  }
}

async function answerOf(call: () => Promise<Response>): Promise<string> {
  try {
    const response = await call()
    return `${response.status} ${await response.text()}`
  } catch (error) {
    return String(error)
  }
}

async function upload(system: System): Promise<string> {
  const [url = ''] = system.urls
  const body = JSON.stringify({ file_name: 'a.bin', content_type: 'application/octet-stream' })
  const headers = { 'content-type': 'application/json' }
  const initiated = await fetch(`${url}/rest/storage/upload/initiate?storage_type=fal-cdn-v3`, {
    method: 'POST',
    body,
    headers,
  })
  const { upload_url: target } = (await initiated.json()) as { upload_url: string }
  return answerOf(() => fetch(target, { method: 'PUT', body: Buffer.alloc(200_000, 1) }))
}

async function states(system: System, ids: readonly string[]): Promise<Record<string, number>> {
  const counts: Record<string, number> = {}
  for (const id of ids) {
    const response = await fetch(`${system.urls[0]}/queue/${WORK_ENDPOINT_ID}/requests/${id}/status`)
    const body = (await response.json()) as { status?: string; error?: string }
    const state = body.error === undefined ? (body.status ?? String(response.status)) : `failed: ${body.error}`
    counts[state] = (counts[state] ?? 0) + 1
  }
  return counts
}

async function untilDone(system: System, ids: readonly string[]): Promise<Record<string, number>> {
  const giveUpAt = Date.now() + 90_000
  for (;;) {
    const found = await states(system, ids)
    if (found.COMPLETED === ids.length || Date.now() > giveUpAt) return found
    await sleep(300)
  }
}

function countExecutions(system: System, ids: readonly string[]): number {
  return readJournal(system.journal).filter((entry) => entry.event === 'start' && ids.includes(entry.requestId)).length
}

function integrity(file: string): string {
  const script = `import L from 'libsql'; console.log(new L(process.argv[1]).pragma('integrity_check')[0].integrity_check)`
  return execFileSync(process.execPath, ['--input-type=module', '--eval', script, file], { encoding: 'utf8' }).trim()
}

/** The last line of what a `darkroom serve` that cannot start says. */
function serve(dataFolder: string): string {
  const command = new URL('../../packages/server/bin/darkroom.js', import.meta.url).pathname
  try {
    return execFileSync(process.execPath, [command, 'serve', '--port', '0', '--data', dataFolder], {
      encoding: 'utf8',
      stdio: 'pipe',
      timeout: 60_000,
    })
  } catch (error) {
    return Object(error).stderr.trim()
  }
}
