import { describe, expect, it } from 'vitest'
import { refusalOf } from './address-policy.ts'

const PUBLIC = ['8.8.8.8', '1.1.1.1', '172.32.0.1', '2606:4700::1111', '2a00:1450:4001::1', '::ffff:8.8.8.8']
const PRIVATE = ['127.0.0.1', '127.255.0.9', '10.1.2.3', '172.16.0.1', '192.168.1.1', '100.64.0.1', '::1', 'fd00::1']
const NEVER = [
  '0.0.0.0',
  '0.1.2.3',
  '169.254.169.254',
  '224.0.0.1',
  '255.255.255.255',
  '240.0.0.1',
  '192.0.0.192',
  '198.18.0.1',
  '168.63.129.16',
  '::',
  'fe80::1',
  'fec0::1',
  'ff02::1',
  '::ffff:169.254.169.254',
  '::7f00:1',
  '::a00:1',
  '64:ff9b::7f00:1',
  '64:ff9b:1::a00:1',
  '2002:7f00:1::',
  '2001::7f00:1',
  '2001:db8::1',
  '::ffff:0:127.0.0.1',
  'localhost',
  '',
]

describe('refusalOf', () => {
  it.each(PUBLIC)('lets %s pass', (address) => {
    expect(refusalOf(address, { allowPrivateTargets: false })).toBeUndefined()
  })

  it.each([...PRIVATE, '::ffff:127.0.0.1', '::ffff:a00:1'])('lets %s pass only where configured', (address) => {
    expect(refusalOf(address, { allowPrivateTargets: false })).toBe('is in a private network')
    expect(refusalOf(address, { allowPrivateTargets: true })).toBeUndefined()
  })

  it.each(NEVER)('never lets %j pass', (address) => {
    expect(refusalOf(address, { allowPrivateTargets: false })).toBeDefined()
    expect(refusalOf(address, { allowPrivateTargets: true })).toBeDefined()
  })
})
