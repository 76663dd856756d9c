import { tmpdir } from 'node:os'
import { expect, it } from 'vitest'
import { ConfigError } from '../config/config.ts'
import { requireLocalDisk } from './local-disk.ts'

it('takes a disk of this machine and refuses one of another', () => {
  requireLocalDisk(tmpdir())
  for (const [type, name] of [
    [0x6969, 'NFS'],
    [0xfe534d42, 'SMB'],
  ] as const) {
    expect(() => requireLocalDisk('/data', () => type)).toThrow(ConfigError)
    expect(() => requireLocalDisk('/data', () => type)).toThrow(`/data is on ${name}`)
  }
})
