import pg from 'pg'
import type { Notifications } from './database.ts'

const RECONNECT_MILLISECONDS = 500

/** LISTEN on a connection of its own, which reconnects until closed; NOTIFY through the pool. */
export class PostgresNotifications implements Notifications {
  readonly #url: string
  readonly #pool: pg.Pool
  readonly #channels = new Map<string, Set<(payload: string) => void>>()
  #client: pg.Client | undefined
  #connecting: Promise<void> | undefined
  #retry: NodeJS.Timeout | undefined
  #closed = false

  constructor(url: string, pool: pg.Pool) {
    this.#url = url
    this.#pool = pool
  }

  async notify(channel: string, payloads: readonly string[]): Promise<void> {
    await this.#pool.query('select pg_notify($1, payload) from unnest($2::text[]) as payload', [channel, payloads])
  }

  async listen(channel: string, onPayload: (payload: string) => void): Promise<() => void> {
    const listeners = this.#channels.get(channel) ?? new Set()
    this.#channels.set(channel, listeners)
    // Wrapped, so that one function that listens twice is called twice and removed once.
    const own = (payload: string) => onPayload(payload)
    listeners.add(own)
    this.#connecting ??= this.#connect().catch(() => this.#reconnectSoon(undefined))
    await this.#connecting
    await this.#client?.query(`listen ${pg.escapeIdentifier(channel)}`)
    return () => void listeners.delete(own)
  }

  async close(): Promise<void> {
    this.#closed = true
    clearTimeout(this.#retry)
    await this.#connecting
    await this.#client?.end()
  }

  async #connect(): Promise<void> {
    const client = new pg.Client({ connectionString: this.#url, keepAlive: true, connectionTimeoutMillis: 5000 })
    client.on('notification', (message) => {
      for (const onPayload of this.#channels.get(message.channel) ?? []) onPayload(message.payload ?? '')
    })
    client.on('error', () => undefined)
    client.on('end', () => this.#reconnectSoon(client))
    await client.connect()
    this.#client = client
    for (const channel of this.#channels.keys()) await client.query(`listen ${pg.escapeIdentifier(channel)}`)
  }

  #reconnectSoon(lost: pg.Client | undefined): void {
    if (this.#closed || this.#client !== lost) return
    this.#retry = setTimeout(() => {
      this.#connecting = this.#connect().catch(() => this.#reconnectSoon(lost))
    }, RECONNECT_MILLISECONDS)
  }
}
