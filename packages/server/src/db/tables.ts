import type { Generated } from 'kysely'

/** Times are milliseconds since 1970, booleans 0 or 1: both databases store and compare them alike. */
type Milliseconds = number
type Flag = 0 | 1

/** One row per request: small, because claims and heartbeats rewrite it. The bodies are in `payloads`. */
export interface RequestsTable {
  /** Order of acceptance. */
  seq: Generated<number>
  request_id: string
  endpoint_id: string
  /** `run`: was answered synchronously; recorded for the listings only. */
  kind: 'queue' | 'run'
  state: 'queued' | 'running' | 'completed'
  /** 0 is taken before 1. */
  priority: number
  /** Order of the account's turns in the endpoint's queue; requests of one turn are taken in order of acceptance. */
  turn: Generated<number>
  /** Claims so far: the fencing number of the present one. */
  attempt: number
  /** Attempts that ended with their runner. */
  losses: number
  accepted_at: Milliseconds
  /** Back-off: not claimable before; 0 unless an attempt was lost. */
  not_before: Milliseconds
  start_deadline: Milliseconds | null
  run_timeout_ms: Milliseconds | null
  run_deadline: Milliseconds | null
  started_at: Milliseconds | null
  lease_until: Milliseconds | null
  completed_at: Milliseconds | null
  /** When sweep erases it. */
  expires_at: Milliseconds | null
  runner_id: string | null
  cancel_requested: Flag
  retry: Flag
  store_io: Flag
  key_id: string | null
  account: string
  files_url: string
  webhook_url: string | null
  /** Host and port of the URL. */
  webhook_host: string | null
  runner_hint: string | null
  object_lifecycle: string | null
  /** HTTP status of the outcome. */
  status: number | null
  /** JSON object. */
  headers: string | null
  error_message: string | null
  error_type: string | null
  inference_seconds: number | null
}

export interface PayloadsTable {
  request_id: string
  /** JSON, or empty where it lies in pieces or was not kept. */
  input: string
  /** In UTF-8, where the text does not lie here: in pieces, or, where there are none, nowhere. */
  input_bytes: Generated<number | null>
  input_pieces: Generated<number>
  output: string | null
  output_bytes: Generated<number | null>
  output_pieces: Generated<number>
}

/** Texts that bodies are made of, each stored once. */
export interface PayloadContentsTable {
  sha256: string
  content: string
  /** In UTF-8. */
  bytes: number
  /** Pieces that are of this content. */
  uses: number
}

export interface PayloadPiecesTable {
  /** Order in which they were stored. */
  id: Generated<number>
  request_id: string
  part: 'input' | 'output'
  /** From 0. */
  position: number
  sha256: string
}

export interface LogsTable {
  id: Generated<number>
  request_id: string
  logged_at: Milliseconds
  level: string
  message: string
  /** Steps done of a total, where the entry tells of one. */
  done: number | null
  total: number | null
}

export interface RunnersTable {
  runner_id: string
  /** The RunnerAdvertisement as JSON. */
  advertisement: string
  heard_at: Milliseconds
}

/** Outbox of webhooks: written in the transaction that completes the request. */
export interface WebhookDeliveriesTable {
  id: Generated<number>
  request_id: string
  url: string
  /** The body to send, byte for byte; empty once no attempt is left. */
  payload: string
  state: 'pending' | 'delivered' | 'failed'
  /** Whose it is, and where it goes: each has its own line. */
  account: Generated<string>
  host: Generated<string>
  attempts: Generated<number>
  /** While somebody attempts it, when his lease is over. */
  next_attempt_at: Milliseconds
  lease_until: Milliseconds | null
  last_status: number | null
  last_error: string | null
  created_at: Milliseconds
  delivered_at: Milliseconds | null
}

export interface ApiKeysTable {
  id: string
  secret_hash: string
  account: string
  scope: 'API' | 'ADMIN'
  alias: string
  created_at: Milliseconds
  revoked_at: Milliseconds | null
}

export interface SettingsTable {
  key: string
  value: string
}

export interface Schema {
  requests: RequestsTable
  payloads: PayloadsTable
  payload_contents: PayloadContentsTable
  payload_pieces: PayloadPiecesTable
  logs: LogsTable
  runners: RunnersTable
  webhook_deliveries: WebhookDeliveriesTable
  api_keys: ApiKeysTable
  settings: SettingsTable
}
