import { statfsSync } from 'node:fs'
import { ConfigError } from '../config/config.ts'

/** Linux' numbers of file systems that live on another machine (statfs(2)). */
const NETWORK_FILE_SYSTEMS: ReadonlyMap<number, string> = new Map([
  [0x6969, 'NFS'],
  [0x517b, 'SMB'],
  [0xff534d42, 'CIFS'],
  [0xfe534d42, 'SMB'],
  [0x00c36400, 'Ceph'],
])

/**
 * The embedded database keeps part of its state in memory that processes share, which ends at the machine: two machines
 * that write to it corrupt it.
 * @throws ConfigError for a folder on a network file system
 */
export function requireLocalDisk(folder: string, typeOf = (path: string): number => statfsSync(path).type): void {
  const name = NETWORK_FILE_SYSTEMS.get(typeOf(folder))
  if (name === undefined) return
  throw new ConfigError(
    `The data folder ${folder} is on ${name}, and the embedded database must not be shared by machines. ` +
      'Set DATABASE_URL to a PostgreSQL server, or choose a folder of this machine with --data.',
  )
}
