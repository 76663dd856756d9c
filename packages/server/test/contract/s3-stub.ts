import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

interface StubObject {
  readonly body: Buffer
  readonly etag: string
  readonly headers: Readonly<Record<string, string>>
  readonly lastModified: Date
}

interface StubUpload {
  readonly key: string
  readonly headers: Readonly<Record<string, string>>
  readonly initiated: Date
  readonly parts: Map<number, { readonly body: Buffer; readonly etag: string }>
}

/** Listings come in pages of this size, so that their continuation is used. */
const PAGE = 3
const SMALLEST_PART_BYTES = 5 * 1024 * 1024

class S3Error extends Error {
  readonly status: number
  readonly code: string

  constructor(status: number, code: string) {
    super(code)
    this.status = status
    this.code = code
  }
}

/**
 * As much of the S3 protocol as the object store speaks, in memory, for one bucket: objects with metadata and ranges,
 * multipart uploads with S3's rules about parts, listings in pages, presigned PUTs. Signatures must be there, and are
 * checked for their scope and time, not for their value.
 */
export class S3Stub {
  readonly bucket = 'test-bucket'
  readonly objects = new Map<string, StubObject>()
  readonly uploads = new Map<string, StubUpload>()
  /** Every request is answered with this error while it is set. */
  failure: { readonly status: number; readonly code: string } | undefined
  readonly #server: Server
  #nextUpload = 1

  constructor() {
    this.#server = createServer((request, response) => {
      this.#answer(request, response).catch((error: unknown) => {
        const { status, code } = error instanceof S3Error ? error : new S3Error(500, 'InternalError')
        const body =
          request.method === 'HEAD' ? '' : xml(`<Error><Code>${code}</Code><Message>${code}</Message></Error>`)
        response.writeHead(status, { 'content-type': 'application/xml' }).end(body)
      })
    })
  }

  async listen(): Promise<void> {
    this.#server.listen(0, '127.0.0.1')
    await once(this.#server, 'listening')
  }

  get endpoint(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise((closed) => this.#server.close(closed))
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '', this.endpoint)
    const body = await bodyOf(request)
    if (this.failure !== undefined) throw new S3Error(this.failure.status, this.failure.code)
    assertSigned(request, url)
    const [, bucket = '', ...rest] = url.pathname.split('/')
    const key = decodeURIComponent(rest.join('/'))
    if (bucket !== this.bucket) throw new S3Error(404, 'NoSuchBucket')
    const uploadId = url.searchParams.get('uploadId')
    if (key === '') this.#list(url, response)
    else if (request.method === 'POST' && uploadId === null) this.#createUpload(request, key, response)
    else if (uploadId !== null) this.#upload(request, url, key, uploadId, body, response)
    else this.#object(request, key, body, response)
  }

  #object(request: IncomingMessage, key: string, body: Buffer, response: ServerResponse): void {
    const source = request.headers['x-amz-copy-source']
    if (request.method === 'PUT' && source !== undefined) {
      this.#copy(request, key, decodeURIComponent(String(source)), response)
    } else if (request.method === 'PUT') {
      const object = { body, etag: md5(body), headers: stored(request), lastModified: new Date() }
      this.objects.set(key, object)
      response.writeHead(200, { etag: `"${object.etag}"` }).end()
    } else if (request.method === 'DELETE') {
      this.objects.delete(key)
      response.writeHead(204).end()
    } else {
      const object = this.objects.get(key)
      if (object === undefined) throw new S3Error(404, 'NoSuchKey')
      send(request, response, object)
    }
  }

  #copy(request: IncomingMessage, key: string, source: string, response: ServerResponse): void {
    const original = this.objects.get(source.slice(`${this.bucket}/`.length))
    if (original === undefined || !source.startsWith(`${this.bucket}/`)) throw new S3Error(404, 'NoSuchKey')
    if (request.headers['x-amz-copy-source-if-match'] !== `"${original.etag}"`)
      throw new S3Error(412, 'PreconditionFailed')
    // Without this directive a copy onto itself is refused by S3.
    if (request.headers['x-amz-metadata-directive'] !== 'REPLACE') throw new S3Error(400, 'InvalidRequest')
    this.objects.set(key, { ...original, etag: md5(original.body), headers: stored(request), lastModified: new Date() })
    const result = `<CopyObjectResult><ETag>&quot;${md5(original.body)}&quot;</ETag></CopyObjectResult>`
    response.writeHead(200, { 'content-type': 'application/xml' }).end(xml(result))
  }

  #createUpload(request: IncomingMessage, key: string, response: ServerResponse): void {
    const id = `upload-${this.#nextUpload++}`
    this.uploads.set(id, { key, headers: stored(request), initiated: new Date(), parts: new Map() })
    const result = `<InitiateMultipartUploadResult><UploadId>${id}</UploadId></InitiateMultipartUploadResult>`
    response.writeHead(200, { 'content-type': 'application/xml' }).end(xml(result))
  }

  #upload(
    request: IncomingMessage,
    url: URL,
    key: string,
    uploadId: string,
    body: Buffer,
    response: ServerResponse,
  ): void {
    const upload = this.uploads.get(uploadId)
    if (upload?.key !== key) throw new S3Error(404, 'NoSuchUpload')
    if (request.method === 'PUT') {
      const part = { body, etag: md5(body) }
      upload.parts.set(Number(url.searchParams.get('partNumber')), part)
      response.writeHead(200, { etag: `"${part.etag}"` }).end()
    } else if (request.method === 'DELETE') {
      this.uploads.delete(uploadId)
      response.writeHead(204).end()
    } else {
      this.objects.set(key, joined(upload, body.toString()))
      this.uploads.delete(uploadId)
      const result = `<CompleteMultipartUploadResult><Key>${key}</Key></CompleteMultipartUploadResult>`
      response.writeHead(200, { 'content-type': 'application/xml' }).end(xml(result))
    }
  }

  #list(url: URL, response: ServerResponse): void {
    const prefix = url.searchParams.get('prefix') ?? ''
    response.writeHead(200, { 'content-type': 'application/xml' })
    if (url.searchParams.has('uploads')) {
      const after = url.searchParams.get('upload-id-marker') ?? ''
      const all = [...this.uploads].filter(([id, { key }]) => key.startsWith(prefix) && id > after).toSorted()
      const entries = all.slice(0, PAGE).map(([id, { key, initiated }]) => {
        return `<Upload><Key>${key}</Key><UploadId>${id}</UploadId><Initiated>${initiated.toISOString()}</Initiated></Upload>`
      })
      const last = all[PAGE - 1]
      const next = `<NextKeyMarker>${last?.[1].key}</NextKeyMarker><NextUploadIdMarker>${last?.[0]}</NextUploadIdMarker>`
      const truncated = `<IsTruncated>${all.length > PAGE}</IsTruncated>${all.length > PAGE ? next : ''}`
      response.end(xml(`<ListMultipartUploadsResult>${truncated}${entries.join('')}</ListMultipartUploadsResult>`))
    } else {
      const after = url.searchParams.get('continuation-token') ?? ''
      const all = [...this.objects.keys()].filter((key) => key.startsWith(prefix) && key > after).toSorted()
      const entries = all.slice(0, PAGE).map((key) => {
        const { body, lastModified } = this.objects.get(key) ?? { body: '', lastModified: new Date(0) }
        const about = `<Size>${body.length}</Size><LastModified>${lastModified.toISOString()}</LastModified>`
        return `<Contents><Key>${key}</Key>${about}</Contents>`
      })
      const more = `<IsTruncated>true</IsTruncated><NextContinuationToken>${all[PAGE - 1]}</NextContinuationToken>`
      const truncated = all.length > PAGE ? more : '<IsTruncated>false</IsTruncated>'
      response.end(xml(`<ListBucketResult>${truncated}${entries.join('')}</ListBucketResult>`))
    }
  }
}

function joined(upload: StubUpload, manifest: string): StubObject {
  const listed = [...manifest.matchAll(/<Part>(.*?)<\/Part>/gs)].map(([, part = '']) => ({
    number: Number(/<PartNumber>(\d+)</.exec(part)?.[1]),
    etag: /<ETag>(?:&quot;|")?(\w+)/.exec(part)?.[1],
  }))
  const bodies = listed.map(({ number, etag }, index) => {
    if (number <= (listed[index - 1]?.number ?? 0)) throw new S3Error(400, 'InvalidPartOrder')
    const part = upload.parts.get(number)
    if (part === undefined || part.etag !== etag) throw new S3Error(400, 'InvalidPart')
    const isLast = index === listed.length - 1
    if (!isLast && part.body.byteLength < SMALLEST_PART_BYTES) throw new S3Error(400, 'EntityTooSmall')
    return part.body
  })
  const etag = `${md5(Buffer.concat(bodies.map((body) => createHash('md5').update(body).digest())))}-${bodies.length}`
  return { body: Buffer.concat(bodies), etag, headers: upload.headers, lastModified: new Date() }
}

function send(
  request: IncomingMessage,
  response: ServerResponse,
  { body, etag, headers, lastModified }: StubObject,
): void {
  const common = { ...headers, etag: `"${etag}"`, 'last-modified': lastModified.toUTCString() }
  const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '') ?? []
  const start = Number(first ?? 0)
  const end = Math.min(Number(last ?? body.byteLength - 1), body.byteLength - 1)
  if (first !== undefined && start >= body.byteLength) throw new S3Error(416, 'InvalidRange')
  const part = body.subarray(start, end + 1)
  const range = first === undefined ? {} : { 'content-range': `bytes ${start}-${end}/${body.byteLength}` }
  response.writeHead(first === undefined ? 200 : 206, { ...common, ...range, 'content-length': part.byteLength })
  response.end(request.method === 'HEAD' ? undefined : part)
}

function assertSigned(request: IncomingMessage, url: URL): void {
  // What the SDK adds by default, and servers other than Amazon's refuse or take for part of the body.
  const checksums = Object.keys(request.headers).some((name) => /^x-amz-(sdk-)?checksum/.test(name))
  if (checksums || /aws-chunked/.test(request.headers['content-encoding'] ?? ''))
    throw new S3Error(501, 'NotImplemented')
  if (/^AWS4-HMAC-SHA256 Credential=key\/\d{8}\/eu-test-1\/s3\//.test(request.headers.authorization ?? '')) return
  const [, y, mo, d, h, mi, s] = /^(....)(..)(..)T(..)(..)(..)Z$/.exec(url.searchParams.get('X-Amz-Date') ?? '') ?? []
  const signedAt = Date.parse(`${y}-${mo}-${d}T${h}:${mi}:${s}Z`)
  const over = signedAt + Number(url.searchParams.get('X-Amz-Expires')) * 1000
  if (!url.searchParams.has('X-Amz-Signature') || !(over > Date.now())) throw new S3Error(403, 'AccessDenied')
}

/** Headers that S3 keeps with an object. */
function stored(request: IncomingMessage): Record<string, string> {
  const kept = Object.entries(request.headers).filter(
    ([name]) => name === 'content-type' || name.startsWith('x-amz-meta-'),
  )
  return Object.fromEntries(kept.map(([name, value]) => [name, String(value)]))
}

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk)
  return Buffer.concat(chunks)
}

function md5(bytes: Buffer): string {
  return createHash('md5').update(bytes).digest('hex')
}

function xml(content: string): string {
  return `<?xml version="1.0" encoding="UTF-8"?>${content}`
}
