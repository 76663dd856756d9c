import { hostname } from 'node:os'
import { expect, test } from 'vitest'
import { certificateNames } from './certificate-names.ts'

test('holds fal’s hosts, this machine and what is configured, each once', () => {
  const names = certificateNames(['fal.run', '*.gateway.alpha.fal.ai'], {
    host: '127.0.0.1',
    publicUrl: 'https://Draw.Example.org:8443/darkroom',
  })
  expect(names).toEqual(['fal.run', '*.gateway.alpha.fal.ai', 'localhost', '127.0.0.1', '::1', 'draw.example.org'])
})

test('drops the brackets of IPv6 addresses', () => {
  expect(certificateNames([], { host: '[fd00::7]', publicUrl: 'https://[fd00::8]:1' })).toEqual([
    'localhost',
    '127.0.0.1',
    '::1',
    'fd00::7',
    'fd00::8',
  ])
})

test('a server on every address is reached by the machine’s name', () => {
  const names = certificateNames([], { host: '0.0.0.0', publicUrl: undefined })
  expect(names).toContain(hostname().toLowerCase())
  expect(names).not.toContain('0.0.0.0')
})
