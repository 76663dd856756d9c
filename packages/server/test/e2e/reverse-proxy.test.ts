import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { createDarkroomClient } from '@darkroom/client'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { freePort } from '../fakes/free-port.ts'
import { startWholeServer, type WholeServer } from '../fakes/whole-server.ts'

const GUIDE = new URL('../../../../docs/guide/reverse-proxy.md', import.meta.url)
const NGINX = ['/usr/sbin/nginx', '/usr/bin/nginx'].find((path) => existsSync(path))
const CADDY = ['/usr/bin/caddy'].find((path) => existsSync(path))

/** Larger than nginx's own limit of 1 MB by far, and than what it buffers. */
const UPLOAD_BYTES = 20 * 1024 * 1024

interface Proxy {
  readonly name: string
  readonly program: string | undefined
  /** The guide's block. */
  readonly block: string
  readonly path: string
}

const PROXIES: readonly Proxy[] = [
  { name: 'nginx', program: NGINX, block: 'nginx', path: '' },
  { name: 'nginx below a path', program: NGINX, block: 'nginx-path', path: '/draw' },
  { name: 'Caddy', program: CADDY, block: 'caddy', path: '' },
  { name: 'Caddy below a path', program: CADDY, block: 'caddy-path', path: '/draw' },
]

/** The settings of the reverse proxy guide, as they stand there, in the real programs. */
describe.each(PROXIES)('behind $name', ({ program, block, path }) => {
  describe.skipIf(program === undefined)('as the guide sets it up', { timeout: 60_000 }, () => {
    let server: WholeServer
    let proxy: ChildProcess
    let folder: string
    let url: string

    beforeAll(async () => {
      server = await startWholeServer()
      folder = await mkdtemp(join(tmpdir(), 'darkroom-proxy-'))
      const port = await freePort()
      url = `http://127.0.0.1:${port}${path}`
      const config = adapted(await blockOf(block), block, server.port, port)
      proxy = await start(program ?? '', block, config, folder)
      await answering(`${url}/health`)
    }, 60_000)

    afterAll(async () => {
      const gone = new Promise((resolve) => proxy?.once('exit', resolve))
      proxy?.kill('SIGTERM')
      await gone
      await server?.close()
      await rm(folder, { recursive: true, force: true })
    })

    const client = () => createDarkroomClient({ url, credentials: server.key })

    it('draws through the queue, and its URLs lead through the proxy', async () => {
      const { request_id: requestId, ...urls } = await client().queue.submit('fake/echo', { input: { prompt: 'a' } })
      expect(urls.status_url).toBe(`${url}/queue/fake/echo/requests/${requestId}/status`)
      await client().queue.subscribeToStatus('fake/echo', { requestId, mode: 'streaming' })
      expect((await client().queue.result('fake/echo', { requestId })).data).toEqual({ prompt: 'a' })
    })

    it('does not hold back the events of a stream', async () => {
      const stream = await client().stream('fake/steps', { input: { steps: 3, ms: 300 } })
      const arrivals: number[] = []
      for await (const _ of stream) arrivals.push(performance.now())
      // All at once, if the proxy had kept them until the end.
      expect((arrivals.at(-1) ?? 0) - (arrivals[0] ?? 0)).toBeGreaterThan(150)
    })

    it('passes realtime sockets', async () => {
      const result = await new Promise((resolve, reject) => {
        const connection = client().realtime.connect<Record<string, unknown>, unknown>('fake/echo', {
          throttleInterval: 0,
          connectionKey: crypto.randomUUID(),
          onResult: (output) => {
            connection.close()
            resolve(output)
          },
          onError: reject,
        })
        connection.send({ prompt: 'live' })
      })
      expect(result).toEqual({ prompt: 'live' })
    })

    it('takes large uploads, and gives them back', async () => {
      const bytes = new Uint8Array(UPLOAD_BYTES).fill(7)
      const at = await client().storage.upload(new Blob([bytes], { type: 'application/octet-stream' }))
      expect(at.startsWith(`${url}/cdn/files/`)).toBe(true)
      expect((await (await fetch(at)).arrayBuffer()).byteLength).toBe(UPLOAD_BYTES)
    })
  })
})

async function blockOf(name: string): Promise<string> {
  const guide = await readFile(GUIDE, 'utf8')
  const found = new RegExp(`\`\`\`${name}\n([\\s\\S]*?)\`\`\``).exec(guide)?.[1]
  if (found === undefined) throw new Error(`the guide has no block ${name}`)
  return found
}

/** The block with the tests' addresses; whole configuration files around it, with every file in the tests' folder. */
function adapted(block: string, name: string, serverPort: number, port: number): string {
  const moved = block.replaceAll('127.0.0.1:3010', `127.0.0.1:${serverPort}`)
  if (name.startsWith('caddy')) {
    return `{\n  admin off\n  auto_https off\n}\n${moved.replace(/^\S+ \{/, `http://127.0.0.1:${port} {`)}`
  }
  const listening = moved.replace('listen 80;', `listen 127.0.0.1:${port};`)
  return `daemon off;\npid nginx.pid;\nerror_log stderr;\nevents {}\nhttp {\n  access_log off;\n  client_body_temp_path body;\n  proxy_temp_path proxy;\n  fastcgi_temp_path fastcgi;\n  uwsgi_temp_path uwsgi;\n  scgi_temp_path scgi;\n${listening}}\n`
}

async function start(program: string, name: string, config: string, folder: string): Promise<ChildProcess> {
  const file = join(folder, 'config')
  await writeFile(file, config)
  const args = name.startsWith('caddy')
    ? ['run', '--config', file, '--adapter', 'caddyfile']
    : ['-c', file, '-p', folder, '-e', 'stderr']
  return spawn(program, args, { cwd: folder, stdio: 'ignore', env: { ...process.env, HOME: folder } })
}

async function answering(url: string): Promise<void> {
  for (;;) {
    const status = await fetch(url).then(
      (response) => response.status,
      () => 0,
    )
    if (status === 200) return
    await sleep(50)
  }
}
