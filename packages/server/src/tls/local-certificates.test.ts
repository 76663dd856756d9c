import { X509Certificate } from 'node:crypto'
import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { createServer, request } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type LocalCertificates, loadLocalCertificates } from './local-certificates.ts'

const NAMES = ['localhost', '127.0.0.1', '::1', 'fal.run', 'queue.fal.run', '*.gateway.alpha.fal.ai']
const DAY = 86_400_000

let folder: string

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'darkroom-tls-'))
})

afterEach(() => rm(folder, { recursive: true, force: true }))

const load = (names = NAMES, now?: Date) => loadLocalCertificates(join(folder, 'tls'), names, now)
const later = (days: number) => new Date(Date.now() + days * DAY)
const authorityOf = ({ authorityFile }: LocalCertificates) => readFile(authorityFile, 'utf8')

/** Resolves with the answer's status when a client that trusts `ca` reaches `serverName`. */
async function ask(certificates: LocalCertificates, serverName: string, ca: string): Promise<number | undefined> {
  const server = createServer(certificates, (_request, response) => response.end())
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  try {
    return await new Promise((resolve, reject) => {
      const call = request({ port, host: '127.0.0.1', servername: serverName, ca, agent: false }, (response) => {
        response.resume()
        resolve(response.statusCode)
      })
      call.on('error', reject)
      call.end()
    })
  } finally {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  }
}

describe('a client that trusts the authority', () => {
  test.each(['localhost', 'fal.run', 'queue.fal.run', '110602490-lcm.gateway.alpha.fal.ai'])(
    'reaches %s',
    async (name) => {
      const certificates = await load()
      expect(await ask(certificates, name, await authorityOf(certificates))).toBe(200)
    },
  )

  test('reaches an IP address', async () => {
    const certificates = await load()
    // Without a server name, Node compares the address it connects to.
    expect(await ask(certificates, '', await authorityOf(certificates))).toBe(200)
  })

  test.each(['fal.example', 'alpha.fal.ai', 'a.b.gateway.alpha.fal.ai'])('refuses %s', async (name) => {
    const certificates = await load()
    await expect(ask(certificates, name, await authorityOf(certificates))).rejects.toMatchObject({
      code: 'ERR_TLS_CERT_ALTNAME_INVALID',
    })
  })

  test('refuses a server of another authority', async () => {
    const certificates = await load()
    const stranger = await loadLocalCertificates(join(folder, 'other'), NAMES)
    await expect(ask(certificates, 'localhost', await authorityOf(stranger))).rejects.toMatchObject({
      code: expect.stringMatching(/UNABLE_TO_VERIFY_LEAF_SIGNATURE|UNABLE_TO_GET_ISSUER_CERT_LOCALLY/),
    })
  })
})

test('certificates say what they are for', async () => {
  const certificates = await load()
  const authority = new X509Certificate(await authorityOf(certificates))
  const server = new X509Certificate(certificates.cert)
  expect(authority.ca).toBe(true)
  expect(server.ca).toBe(false)
  expect(server.checkIssued(authority)).toBe(true)
  expect(server.keyUsage).toEqual(['1.3.6.1.5.5.7.3.1'])
  expect(server.publicKey.asymmetricKeyDetails).toEqual({ namedCurve: 'prime256v1' })
  expect(server.subjectAltName).toContain('DNS:*.gateway.alpha.fal.ai')
  expect(server.subjectAltName).toContain('IP Address:127.0.0.1')
  const days = (Date.parse(server.validTo) - Date.parse(server.validFrom)) / DAY
  expect(days).toBeLessThanOrEqual(825)
})

test.skipIf(process.platform === 'win32')('private keys can be read by their owner alone', async () => {
  await load()
  const mode = async (name: string) => (await stat(join(folder, name))).mode & 0o777
  expect(await mode('tls')).toBe(0o700)
  expect(await mode('tls/authority-key.pem')).toBe(0o600)
  expect(await mode('tls/server-key.pem')).toBe(0o600)
})

describe('loading again', () => {
  test('gives the same certificates', async () => {
    const first = await load()
    expect(await load()).toEqual(first)
    expect(await load(['localhost'])).toEqual(first)
  })

  test('with a further name makes a server certificate, under the same authority', async () => {
    const first = await load()
    const authority = await authorityOf(first)
    const second = await load([...NAMES, 'gpu.lan', '192.168.7.9'])
    expect(second.cert).not.toBe(first.cert)
    expect(await authorityOf(second)).toBe(authority)
    expect(new X509Certificate(second.cert).checkHost('gpu.lan')).toBe('gpu.lan')
    expect(await ask(second, 'gpu.lan', authority)).toBe(200)
  })

  test('near the end of a certificate makes the next', async () => {
    const first = await load()
    const authority = await authorityOf(first)
    expect((await load(NAMES, later(360))).cert).toBe(first.cert)
    const renewed = await load(NAMES, later(370))
    expect(renewed.cert).not.toBe(first.cert)
    expect(await authorityOf(renewed)).toBe(authority)
    const next = await load(NAMES, later(3640))
    expect(await authorityOf(next)).not.toBe(authority)
    expect(new X509Certificate(next.cert).checkIssued(new X509Certificate(await authorityOf(next)))).toBe(true)
  })

  test('replaces what is damaged or does not belong together', async () => {
    const first = await load()
    await writeFile(join(folder, 'tls/server.pem'), 'nonsense')
    const second = await load()
    expect(await ask(second, 'localhost', await authorityOf(first))).toBe(200)
    const stranger = await loadLocalCertificates(join(folder, 'other'), NAMES)
    await writeFile(join(folder, 'tls/server-key.pem'), stranger.key)
    const third = await load()
    expect(third.cert).not.toBe(second.cert)
    expect(await ask(third, 'localhost', await authorityOf(first))).toBe(200)
  })

  test('what cannot be read just now is no reason for another authority', async () => {
    await load()
    const key = await readFile(join(folder, 'tls', 'authority-key.pem'), 'utf8')
    // Any error of the system but that there is no such file: reading a folder is one that every user meets.
    await rm(join(folder, 'tls', 'authority.pem'))
    await mkdir(join(folder, 'tls', 'authority.pem'))
    await expect(load()).rejects.toMatchObject({ code: 'EISDIR' })
    expect(await readFile(join(folder, 'tls', 'authority-key.pem'), 'utf8')).toBe(key)
  })
})
