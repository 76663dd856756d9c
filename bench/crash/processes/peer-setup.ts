import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

/** What the processes of the pg-boss system are sent first of all. */
export interface PeerSetup {
  readonly databaseUrl: string
  /** Folder of the installed package. */
  readonly modulePath: string
  readonly port: number
  readonly journal: string
}

export const PEER_QUEUE = 'work'

export interface PeerInput {
  readonly token: string
  readonly ms: number
  readonly webhook: string
}

export interface PeerJob {
  readonly id: string
  readonly data: PeerInput
}

/** What of pg-boss 12 is used here. */
export interface PgBoss {
  start(): Promise<unknown>
  stop(options: object): Promise<void>
  createQueue(name: string, options: object): Promise<void>
  send(name: string, data: object, options: object): Promise<string | null>
  getJobById(name: string, id: string): Promise<{ state: string; output: object | null } | null>
  work(name: string, options: object, handler: (jobs: PeerJob[]) => Promise<unknown>): Promise<unknown>
  on(event: 'error', listener: (error: Error) => void): unknown
}

/**
 * pg-boss set to notice a dead worker as soon as it can: a heartbeat of its shortest 10 s, looked at every second;
 * ten retries without delay; wake-ups by NOTIFY.
 */
export async function startPgBoss({ databaseUrl, modulePath }: PeerSetup): Promise<PgBoss> {
  const url = pathToFileURL(join(modulePath, 'dist/index.js')).href
  const module: { PgBoss: new (options: object) => PgBoss } = await import(url)
  const boss = new module.PgBoss({
    connectionString: databaseUrl,
    useListenNotify: true,
    monitorIntervalSeconds: 1,
    superviseIntervalSeconds: 1,
  })
  boss.on('error', (error) => console.error('pg-boss:', error.message))
  await boss.start()
  await boss.createQueue(PEER_QUEUE, { notify: true, retryLimit: 10, retryDelay: 0, heartbeatSeconds: 10 })
  return boss
}
