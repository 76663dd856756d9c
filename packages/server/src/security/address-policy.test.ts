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
  '100.100.100.200',
  '::ffff:100.100.100.200',
  '::ffff:6464:64c8',
  '::100.100.100.200',
  '64:ff9b::100.100.100.200',
  '64:ff9b:1::6464:64c8',
  '2002:6464:64c8::',
  'fd00:64::6464:64c8',
  'fd00:64::a9fe:a9fe',
  'fd00:64::a83f:8110',
  'fd00:1::5efe:a9fe:a9fe',
  '::ffff:168.63.129.16',
  '169.254.170.2',
  'fd00:ec2::254',
  'fd00:ec2::23',
  'fd00:0ec2:0:0:0:0:0:254',
  'fd20:ce::254',
  'fd00:c1::a9fe:a9fe',
  'fd00:42::42',
  'fd00:a9fe:a9fe::1',
  'fe80::a9fe:a9fe',
  'localhost',
  '',
]

describe('refusalOf', () => {
  it.each(PUBLIC)('lets %s pass', (address) => {
    expect(refusalOf(address, { allowPrivateTargets: false })).toBeUndefined()
  })

  it.each([...PRIVATE, '::ffff:127.0.0.1', '::ffff:a00:1'])('lets %s pass only where configured', (address) => {
    expect(refusalOf(address, { allowPrivateTargets: false })).toBe(
      'is in a private network, which DARKROOM_ALLOW_PRIVATE_TARGETS=1 allows',
    )
    expect(refusalOf(address, { allowPrivateTargets: true })).toBeUndefined()
  })

  it.each(NEVER)('never lets %j pass', (address) => {
    expect(refusalOf(address, { allowPrivateTargets: false })).toBeDefined()
    expect(refusalOf(address, { allowPrivateTargets: true })).toBeDefined()
  })
})
