import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, chownSync, mkdirSync, openSync } from 'node:fs'
import { join } from 'node:path'
import pg from 'pg'
import { freePort } from '../../packages/server/test/fakes/free-port.ts'

const START_SECONDS = 30

/** A PostgreSQL server of our own, with fsync on, to be killed. */
export class PostgresServer {
  readonly url: string
  readonly #binaries: string
  readonly #folder: string
  readonly #port: number
  /** PostgreSQL refuses to run as root: it runs as the user `postgres` then. */
  readonly #user: { readonly uid: number; readonly gid: number } | Record<string, never>
  #child: ChildProcess | undefined

  private constructor(binaries: string, folder: string, port: number) {
    this.#binaries = binaries
    this.#folder = folder
    this.#port = port
    this.#user = process.getuid?.() === 0 ? postgresUser() : {}
    this.url = `postgres://postgres@127.0.0.1:${port}/postgres`
  }

  /** @param binaries folder with `initdb` and `postgres` */
  static async create(binaries: string, parent: string): Promise<PostgresServer> {
    const folder = join(parent, 'postgres')
    const server = new PostgresServer(binaries, folder, await freePort())
    mkdirSync(folder)
    if (server.#user.uid !== undefined) {
      chownSync(folder, server.#user.uid, server.#user.gid)
      // That user has to get through to its own folder.
      chmodSync(parent, 0o711)
    }
    execFileSync(join(binaries, 'initdb'), ['-D', folder, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8'], {
      ...server.#user,
      stdio: ['ignore', 'ignore', 'inherit'],
    })
    return server
  }

  async start(): Promise<void> {
    const settings = [`port=${this.#port}`, 'listen_addresses=127.0.0.1', 'unix_socket_directories=', 'fsync=on']
    const log = openSync(`${this.#folder}.log`, 'a')
    this.#child = spawn(
      join(this.#binaries, 'postgres'),
      ['-D', this.#folder, ...settings.flatMap((setting) => ['-c', setting])],
      { ...this.#user, stdio: ['ignore', log, log] },
    )
    await this.#answering()
  }

  /** Kills the server: its other processes end when they notice, and what was not yet on disk is recovered from the log. */
  async kill(): Promise<void> {
    await this.#end('SIGKILL')
  }

  async stop(): Promise<void> {
    await this.#end('SIGINT')
  }

  /** Stops every process of the server where it stands, as a machine that hangs; `SIGCONT` goes on. */
  signalAll(signal: 'SIGSTOP' | 'SIGCONT'): void {
    const pid = this.#child?.pid
    if (pid === undefined) return
    const children = execFileSync('pgrep', ['-P', String(pid)], { encoding: 'utf8' })
      .trim()
      .split('\n')
    for (const each of [pid, ...children.map(Number)]) process.kill(each, signal)
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child
    this.#child = undefined
    if (child === undefined) return
    const exited = once(child, 'exit')
    child.kill(signal)
    await exited
  }

  async #answering(): Promise<void> {
    const giveUpAt = Date.now() + START_SECONDS * 1000
    for (;;) {
      const problem = await this.#connect()
      if (problem === undefined) return
      if (Date.now() > giveUpAt) throw problem
      await new Promise((resolve) => setTimeout(resolve, 100))
      // After a kill the old server's processes take a moment to let go of its files, and a new one ends at once.
      if (this.#child === undefined || this.#child.exitCode !== null) return this.start()
    }
  }

  async #connect(): Promise<unknown> {
    const client = new pg.Client({ connectionString: this.url, connectionTimeoutMillis: 1000 })
    client.on('error', () => {})
    try {
      await client.connect()
      await client.end()
      return undefined
    } catch (error) {
      return error
    }
  }
}

function postgresUser(): { uid: number; gid: number } {
  const id = (flag: string) => Number(execFileSync('id', [flag, 'postgres'], { encoding: 'utf8' }))
  return { uid: id('-u'), gid: id('-g') }
}
