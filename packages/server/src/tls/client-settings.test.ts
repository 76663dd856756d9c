import { expect, test } from 'vitest'
import { clientSettings } from './client-settings.ts'

const served = { url: 'https://127.0.0.1:3010', authorityFile: '/data/tls/authority.pem', falHosts: ['fal.run', '*.x'] }

test('one line for each client', () => {
  expect(clientSettings(served)).toEqual([
    ['Node', 'NODE_EXTRA_CA_CERTS=/data/tls/authority.pem'],
    [
      'Python',
      'SSL_CERT_FILE=/data/tls/authority.pem FAL_RUN_HOST=localhost:3010/run FAL_QUEUE_RUN_HOST=localhost:3010/queue',
    ],
    ['curl', '--cacert /data/tls/authority.pem'],
    ['hosts, with --port 443', '127.0.0.1 fal.run'],
  ])
})

test('the standard port is not named, and a path with a space is quoted', () => {
  const lines = clientSettings({ ...served, url: 'https://127.0.0.1', authorityFile: "/my data/it's.pem" })
  expect(lines[1]?.[1]).toBe(
    "SSL_CERT_FILE='/my data/it'\\''s.pem' FAL_RUN_HOST=localhost/run FAL_QUEUE_RUN_HOST=localhost/queue",
  )
  expect(lines[3]?.[0]).toBe('hosts')
})
