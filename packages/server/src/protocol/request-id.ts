import { randomUUID } from 'node:crypto'

/** A UUIDv7 (RFC 9562, 5.7): sorts by creation time, which keeps the queue's index append-only. */
export function createRequestId(now: number = Date.now()): string {
  const time = now.toString(16).padStart(12, '0')
  // The random bits of a UUIDv4, for which Node keeps a pool: 16 bytes fetched by themselves cost a system call.
  return `${time.slice(0, 8)}-${time.slice(8)}-7${randomUUID().slice(15)}`
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i

/** Whether a path segment can be a request id: anything else is answered 404 without asking the database. */
export function isRequestId(text: string): boolean {
  return UUID.test(text)
}
