import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, truncateSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Environment } from '../../packages/server/src/config/config.ts'
import type { ManagedProcess } from '../crash/managed-process.ts'
import { PostgresServer } from '../crash/postgres-server.ts'

/** Something that goes wrong in the middle of an attack, and goes right again. */
export interface Trouble {
  readonly environment: Environment
  strike(server: ManagedProcess): Promise<void>
  /** Puts the machine back in order when the server has stopped. */
  close(): Promise<void>
}

/** Seconds that disk or database are away. */
const AWAY_SECONDS = 5

const NOTHING = async () => {}

/** A runner hangs, as a native call does that never returns. */
function hang(): Trouble {
  return {
    environment: {},
    async strike(server) {
      await server.ask({ strike: 'SIGSTOP' }, 'struck')
    },
    close: NOTHING,
  }
}

/** The disk of the data folder is full for a while. Mounts a small file system: needs Linux and root. */
function fullDisk(folder: string): Trouble {
  const data = join(folder, 'data')
  mkdirSync(data)
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1g', 'tmpfs', data])
  return {
    environment: {},
    async strike() {
      const filler = join(data, 'filler')
      await fill(filler)
      await sleep(AWAY_SECONDS * 1000)
      truncateSync(filler, 0)
    },
    close: () => unmount(data),
  }
}

/** Writes until nothing more fits, by a process of its own: what measures the times must not stand still meanwhile. */
async function fill(file: string): Promise<void> {
  await once(spawn('dd', ['if=/dev/zero', `of=${file}`, 'bs=64k'], { stdio: 'ignore' }), 'exit')
}

/** The last process that used it may still be on its way out. */
async function unmount(folder: string): Promise<void> {
  for (let tries = 50; spawnSync('umount', [folder]).status !== 0; tries--) {
    if (tries === 0) throw new Error(`${folder} cannot be unmounted: it is in use`)
    await sleep(200)
  }
}

/** The database is killed and comes back. */
async function databaseAway(folder: string, binaries: string): Promise<Trouble> {
  const postgres = await PostgresServer.create(binaries, folder)
  await postgres.start()
  return {
    environment: { DATABASE_URL: postgres.url },
    async strike() {
      await postgres.kill()
      await sleep(AWAY_SECONDS * 1000)
      await postgres.start()
    },
    close: () => postgres.stop(),
  }
}

/** @param binaries folder of PostgreSQL's programs, for `database` */
export async function prepareTrouble(kind: string, folder: string, binaries: string | undefined): Promise<Trouble> {
  switch (kind) {
    case 'stop':
      return hang()
    case 'disk':
      return fullDisk(folder)
    case 'database':
      if (binaries === undefined) throw new Error('--trouble database needs --postgres FOLDER of its binaries')
      return databaseAway(folder, binaries)
    default:
      throw new Error(`--trouble: expected stop, disk or database, found ${kind}`)
  }
}
