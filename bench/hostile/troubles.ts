import { execFileSync } from 'node:child_process'
import { mkdirSync, statfsSync, truncateSync, writeFileSync } from 'node:fs'
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
      const { bavail, bsize } = statfsSync(data)
      writeFileSync(filler, Buffer.alloc(bavail * bsize))
      await sleep(AWAY_SECONDS * 1000)
      truncateSync(filler, 0)
    },
    async close() {
      execFileSync('umount', [data])
    },
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
