import type { NetworkInterfaceInfo } from 'node:os'
import { expect, it } from 'vitest'
import { advertisedHost } from './runner-address.ts'

const address = (address: string, family: 'IPv4' | 'IPv6', internal = false) =>
  ({ address, family, internal }) as NetworkInterfaceInfo

const INTERFACES = {
  lo: [address('127.0.0.1', 'IPv4', true), address('::1', 'IPv6', true)],
  eth0: [address('fe80::1', 'IPv6'), address('2001:db8::7', 'IPv6'), address('10.0.0.7', 'IPv4')],
}

it.each([
  [{ host: '127.0.0.1', advertisedHost: undefined }, '127.0.0.1'],
  [{ host: '0.0.0.0', advertisedHost: undefined }, '10.0.0.7'],
  [{ host: '::', advertisedHost: undefined }, '10.0.0.7'],
  [{ host: '0.0.0.0', advertisedHost: 'runner-1.test' }, 'runner-1.test'],
])('a runner that listens at %j is reached at %s', (config, expected) => {
  expect(advertisedHost(config, INTERFACES)).toBe(expected)
})

it('takes an IPv6 address that others can reach where there is no other, and knows when there is none', () => {
  const config = { host: '::', advertisedHost: undefined }
  expect(advertisedHost(config, { eth0: INTERFACES.eth0.slice(0, 2) })).toBe('2001:db8::7')
  expect(advertisedHost(config, { lo: INTERFACES.lo })).toBe('localhost')
})
