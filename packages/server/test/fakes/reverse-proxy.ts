import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePort } from './free-port.ts'

const GUIDE = new URL('../../../../docs/guide/reverse-proxy.md', import.meta.url)
const NGINX = ['/usr/sbin/nginx', '/usr/bin/nginx'].find((path) => existsSync(path))
const CADDY = ['/usr/bin/caddy'].find((path) => existsSync(path))

/** A real reverse proxy, as a block of the guide sets it up. */
export interface ProxySetup {
  readonly name: string
  /** Absent where it is not installed. */
  readonly program: string | undefined
  /** The guide's block. */
  readonly block: string
  /** Below which the server is reached: `` or `/draw`. */
  readonly path: string
}

export const PROXY_SETUPS: readonly ProxySetup[] = [
  { name: 'nginx', program: NGINX, block: 'nginx', path: '' },
  { name: 'nginx below a path', program: NGINX, block: 'nginx-path', path: '/draw' },
  { name: 'Caddy', program: CADDY, block: 'caddy', path: '' },
  { name: 'Caddy below a path', program: CADDY, block: 'caddy-path', path: '/draw' },
]

export interface RunningProxy {
  /** Of the server, through the proxy. */
  readonly url: string
  stop(): Promise<void>
}

/** Starts the proxy with the guide's block as it stands; only addresses and folders are the tests' own. */
export async function startProxy({ program = '', block, path }: ProxySetup, serverPort: number): Promise<RunningProxy> {
  const folder = await mkdtemp(join(tmpdir(), 'darkroom-proxy-'))
  const port = await freePort()
  const url = `http://127.0.0.1:${port}${path}`
  const proxy = await start(program, block, adapted(await blockOf(block), block, serverPort, port), folder)
  await answering(`${url}/health`)
  return {
    url,
    async stop() {
      const gone = new Promise((resolve) => proxy.once('exit', resolve))
      proxy.kill('SIGTERM')
      await gone
      await rm(folder, { recursive: true, force: true })
    },
  }
}

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
