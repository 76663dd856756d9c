import 'reflect-metadata'
import { createPrivateKey, KeyObject, randomBytes, webcrypto } from 'node:crypto'
import { isIP } from 'node:net'
import * as x509 from '@peculiar/x509'

/** A certificate and its private key, both PEM. */
export interface CertificateAndKey {
  readonly certificate: string
  readonly key: string
}

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const
const DAY_MILLISECONDS = 86_400_000
/** Certificates hold from a day ago, for clients whose clock is behind. */
const BACKDATE_DAYS = 1
const AUTHORITY_DAYS = 3650
/** Apple's systems refuse more than 825 days even from an authority that the user trusts. */
const SERVER_DAYS = 397

/** A new certificate authority (RFC 5280), which can sign server certificates but no further authorities. */
export async function createAuthority(now: Date): Promise<CertificateAndKey> {
  const keys = await generateKeys()
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    // Two authorities of one name would be taken for each other by clients that were told of both.
    name: [{ O: ['Darkroom'] }, { CN: [`Darkroom local authority ${randomBytes(4).toString('hex')}`] }],
    serialNumber: serialNumber(),
    ...validity(now, AUTHORITY_DAYS),
    signingAlgorithm: ALGORITHM,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  })
  return { certificate: pem(certificate), key: privatePem(keys.privateKey) }
}

/**
 * A server certificate for `names`, signed by `authority`.
 * @param names host names, wildcards (`*.example.org`) and IP addresses
 */
export async function issueServerCertificate(
  authority: CertificateAndKey,
  names: readonly string[],
  now: Date,
): Promise<CertificateAndKey> {
  const keys = await generateKeys()
  const issuer = new x509.X509Certificate(authority.certificate)
  const certificate = await x509.X509CertificateGenerator.create({
    subject: [{ O: ['Darkroom'] }, { CN: ['Darkroom server'] }],
    issuer: issuer.subjectName,
    serialNumber: serialNumber(),
    ...validity(now, SERVER_DAYS),
    signingAlgorithm: ALGORITHM,
    publicKey: keys.publicKey,
    signingKey: await signingKey(authority.key),
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
      new x509.SubjectAlternativeNameExtension(
        names.map((name) => ({ type: isIP(name) === 0 ? 'dns' : 'ip', value: name })),
      ),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      await x509.AuthorityKeyIdentifierExtension.create(issuer),
    ],
  })
  return { certificate: pem(certificate), key: privatePem(keys.privateKey) }
}

function generateKeys(): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify'])
}

function signingKey(privateKeyPem: string): Promise<webcrypto.CryptoKey> {
  const der = createPrivateKey(privateKeyPem).export({ type: 'pkcs8', format: 'der' })
  return webcrypto.subtle.importKey('pkcs8', der, ALGORITHM, false, ['sign'])
}

function validity(now: Date, days: number): { notBefore: Date; notAfter: Date } {
  const day = (offset: number) => new Date(now.getTime() + offset * DAY_MILLISECONDS)
  return { notBefore: day(-BACKDATE_DAYS), notAfter: day(days - BACKDATE_DAYS) }
}

/** 16 random bytes; RFC 5280 wants a positive integer. */
function serialNumber(): string {
  const bytes = randomBytes(16)
  bytes[0] = ((bytes[0] ?? 0) & 0x3f) | 0x40
  return bytes.toString('hex')
}

function pem(certificate: x509.X509Certificate): string {
  return `${certificate.toString('pem')}\n`
}

function privatePem(key: webcrypto.CryptoKey): string {
  return KeyObject.from(key).export({ type: 'pkcs8', format: 'pem' }).toString()
}
