import { X509Certificate } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect } from 'node:tls'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { SILENT_LOG } from '../../test/fakes/silent-log.ts'
import { readConfig } from '../config/config.ts'
import { createWebServer, type WebServer } from './web-server.ts'

const DAY_MILLISECONDS = 86_400_000

let folder: string
let web: WebServer

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'darkroom-web-'))
})

afterEach(async () => {
  vi.useRealTimers()
  await new Promise<void>((resolve) => web.close(resolve))
  await rm(folder, { recursive: true, force: true })
})

/** When the certificate ends that the server shows now. */
function shownUntil(url: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port: Number(new URL(url).port), host: '127.0.0.1', rejectUnauthorized: false }, () => {
      const { raw } = socket.getPeerCertificate()
      socket.end()
      resolve(Date.parse(new X509Certificate(raw).validTo))
    })
    socket.on('error', reject)
  })
}

it('renews its certificate before it ends, without a restart', async () => {
  vi.useFakeTimers({ toFake: ['Date', 'setInterval'] })
  const config = {
    host: '127.0.0.1',
    port: 0,
    tls: true,
    dataFolder: folder,
    publicUrl: undefined,
    limits: readConfig({}, {}).limits,
  }
  const log = { ...SILENT_LOG, error: vi.fn() }
  web = await createWebServer(config, () => new Response(), log)
  const url = await web.listen()
  const first = await shownUntil(url)
  await vi.advanceTimersByTimeAsync(DAY_MILLISECONDS)
  expect(await shownUntil(url)).toBe(first)
  vi.setSystemTime(first - DAY_MILLISECONDS)
  await vi.advanceTimersByTimeAsync(DAY_MILLISECONDS)
  await expect.poll(() => shownUntil(url)).toBeGreaterThan(first)
  expect(log.error).not.toHaveBeenCalled()
})
