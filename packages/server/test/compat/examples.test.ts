import { spawnSync } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { decodeImage } from '@darkroom/engine'
import { getRequestListener } from '@hono/node-server'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { createClient } from '../../../../examples/nextjs/app/fal.ts'
import { runCommand } from '../fakes/run-command.ts'
import { startWholeServer, type WholeServer } from '../fakes/whole-server.ts'
import { answerAsRoute, importWithNextServer } from './next-server.ts'

const PYTHON = process.env.DARKROOM_TEST_PYTHON
const hasCurl = ['bash', 'curl'].every((command) => spawnSync(command, ['--version']).status === 0)

let server: WholeServer
let folder: string

beforeAll(async () => {
  server = await startWholeServer({ tls: true })
  folder = await mkdtemp(join(tmpdir(), 'darkroom-examples-'))
})

afterAll(async () => {
  await server.close()
  await rm(folder, { recursive: true, force: true })
})

/** Runs an example in an empty folder and gives what it printed. */
function run(command: string, example: string, environment: Record<string, string>): Promise<string> {
  const path = fileURLToPath(new URL(`../../../../examples/${example}`, import.meta.url))
  return runCommand(command, [path, 'a king'], { cwd: folder, environment: { FAL_KEY: server.key, ...environment } })
}

async function sizeOf(file: string): Promise<[number, number]> {
  const { width, height } = await decodeImage(await readFile(join(folder, file)))
  return [width, height]
}

test('node/draw.mjs', async () => {
  const output = await run(process.execPath, 'node/draw.mjs', {
    DARKROOM_URL: server.url,
    NODE_EXTRA_CA_CERTS: server.authorityFile,
  })
  expect(output).toContain('Wrote drawn.jpg and redrawn.jpg')
  expect([await sizeOf('drawn.jpg'), await sizeOf('redrawn.jpg')]).toEqual([
    [512, 512],
    [512, 512],
  ])
})

test.skipIf(!hasCurl)('curl/draw.sh', async () => {
  await run('bash', 'curl/draw.sh', { DARKROOM_URL: server.url, CURL_CA_BUNDLE: server.authorityFile })
  expect(await sizeOf('drawn.jpg')).toEqual([512, 512])
})

test.skipIf(PYTHON === undefined)('python/draw.py', async () => {
  await run(PYTHON ?? '', 'python/draw.py', {
    SSL_CERT_FILE: server.authorityFile,
    FAL_RUN_HOST: `localhost:${server.port}/run`,
    FAL_QUEUE_RUN_HOST: `localhost:${server.port}/queue`,
  })
  expect(await sizeOf('drawn.jpg')).toEqual([512, 512])
})

describe('nextjs', () => {
  test('draws and uploads through the app’s proxy route', async () => {
    const plain = await startWholeServer()
    process.env.NEXT_PUBLIC_DARKROOM_URL = plain.url
    process.env.FAL_KEY = plain.key
    const warn = vi.spyOn(console, 'warn').mockImplementation(() => {})
    try {
      const route = await importWithNextServer(() => import('../../../../examples/nextjs/app/api/fal/proxy/route.ts'))
      const app = createServer(getRequestListener((request) => answerAsRoute(route as never, request)))
      await new Promise<void>((resolve) => app.listen(0, '127.0.0.1', resolve))
      const appUrl = `http://127.0.0.1:${(app.address() as AddressInfo).port}`
      const fal = createClient(plain.url, appUrl)
      const { data } = await fal.subscribe('fal-ai/fast-lcm-diffusion', {
        input: { prompt: 'a king', image_size: 'square', sync_mode: false },
        pollInterval: 20,
      })
      const picture = await (await fetch(data.images[0]?.url ?? '')).blob()
      expect(picture.type).toBe('image/jpeg')
      const redrawn = await fal.run('fal-ai/lcm-sd15-i2i', {
        input: { prompt: 'a queen', image_url: picture as unknown as string },
      })
      expect((redrawn.data as { images: object[] }).images[0]).toMatchObject({ width: 512, height: 512 })
      const elsewhere = await fetch(`${appUrl}/api/fal/proxy`, {
        method: 'POST',
        headers: { 'x-fal-target-url': 'https://fal.run/fal-ai/fast-lcm-diffusion' },
        body: '{}',
      })
      expect(elsewhere.status).toBe(400)
      app.closeAllConnections()
      await new Promise((resolve) => app.close(resolve))
    } finally {
      warn.mockRestore()
      delete process.env.NEXT_PUBLIC_DARKROOM_URL
      delete process.env.FAL_KEY
      await plain.close()
    }
  })
})
