import { createPrivateKey, X509Certificate } from 'node:crypto'
import { chmod, mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { isIP } from 'node:net'
import { join } from 'node:path'
import type { CertificateAndKey } from './issue-certificate.ts'

/** What an HTTPS server presents, and what its clients must trust. */
export interface LocalCertificates {
  /** The server's private key, PEM. */
  readonly key: string
  /** The server's certificate, PEM. */
  readonly cert: string
  /** File with the authority's certificate, for clients to trust. */
  readonly authorityFile: string
}

const DAY_MILLISECONDS = 86_400_000
const RENEW_DAYS_BEFORE_EXPIRY = 30

/**
 * The certificates of this server: read from `folder`, and made where there are none, where they are about to expire, or
 * where they do not hold every one of `names`. The authority outlives its server certificates, so clients need be told of
 * it only once.
 * @param folder made with mode 0700; private keys are files of mode 0600
 * @param names host names, wildcards and IP addresses
 */
export async function loadLocalCertificates(
  folder: string,
  names: readonly string[],
  now = new Date(),
): Promise<LocalCertificates> {
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const authorityFiles = filesOf(folder, 'authority')
  const serverFiles = filesOf(folder, 'server')
  let authority = await readPair(authorityFiles)
  if (authority === undefined || !isLasting(authority, now)) {
    const { createAuthority } = await issuing()
    authority = await createAuthority(now)
    await writePair(authorityFiles, authority)
  }
  let server = await readPair(serverFiles)
  if (server === undefined || !isLasting(server, now) || !isSignedBy(server, authority) || !holds(server, names)) {
    const { issueServerCertificate } = await issuing()
    server = await issueServerCertificate(authority, names, now)
    await writePair(serverFiles, server)
  }
  return { key: server.key, cert: server.certificate, authorityFile: authorityFiles.certificate }
}

/** Loaded on need: most starts have their certificates already, and the library takes 140 ms. */
function issuing(): Promise<typeof import('./issue-certificate.ts')> {
  return import('./issue-certificate.ts')
}

function filesOf(folder: string, name: string): CertificateAndKey {
  return { certificate: join(folder, `${name}.pem`), key: join(folder, `${name}-key.pem`) }
}

/**
 * `undefined` unless both files are there, hold what they should, and belong together.
 * @throws what the system says of files that are there and cannot be read just now: a new authority in their place would be one that no
 *   client trusts
 */
async function readPair(files: CertificateAndKey): Promise<CertificateAndKey | undefined> {
  try {
    const [certificate, key] = await Promise.all([readFile(files.certificate, 'utf8'), readFile(files.key, 'utf8')])
    return new X509Certificate(certificate).checkPrivateKey(createPrivateKey(key)) ? { certificate, key } : undefined
  } catch (error) {
    if (isSystemError(error) && error.code !== 'ENOENT') throw error
    return undefined
  }
}

async function writePair(files: CertificateAndKey, pair: CertificateAndKey): Promise<void> {
  await writeWhole(files.key, pair.key, 0o600)
  await writeWhole(files.certificate, pair.certificate, 0o644)
}

/** A reader sees the old file or the new one, never half of one. */
async function writeWhole(path: string, text: string, mode: number): Promise<void> {
  const temporary = `${path}.${process.pid}`
  await writeFile(temporary, text, { mode })
  // A file that was there before keeps its mode through writeFile.
  await chmod(temporary, mode)
  await rename(temporary, path)
}

function isLasting({ certificate }: CertificateAndKey, now: Date): boolean {
  const { validFrom, validTo } = new X509Certificate(certificate)
  const renewAt = Date.parse(validTo) - RENEW_DAYS_BEFORE_EXPIRY * DAY_MILLISECONDS
  return Date.parse(validFrom) <= now.getTime() && now.getTime() < renewAt
}

function isSignedBy(server: CertificateAndKey, authority: CertificateAndKey): boolean {
  return new X509Certificate(server.certificate).verify(new X509Certificate(authority.certificate).publicKey)
}

function holds({ certificate }: CertificateAndKey, names: readonly string[]): boolean {
  const parsed = new X509Certificate(certificate)
  return names.every((name) =>
    isIP(name) === 0 ? parsed.checkHost(name.replace(/^\*/, 'any')) !== undefined : parsed.checkIP(name) !== undefined,
  )
}

function isSystemError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && 'syscall' in error
}
