/** A queue under measurement, seen the same way whoever made it. `Claim` is what it needs to end a request. */
export interface Contender<Claim = unknown> {
  readonly name: string
  /** Empties the queue, then leaves `waiting` requests behind: in the measured queue, or in one beside it. */
  reset(waiting: number, where: 'measured' | 'beside'): Promise<void>
  /** Resolves once the request is durably accepted. It is taken before those that `reset` left. */
  submit(requestId: string): Promise<void>
  claim(): Promise<Claim | undefined>
  complete(claim: Claim): Promise<void>
  /** Takes and completes requests as they come; `started` runs as each one starts. Resolves with what ends it. */
  work(started: (requestId: string) => void): Promise<() => Promise<void>>
  close(): Promise<void>
}

/** What a process needs to make a contender. */
export type ContenderSpec =
  | { readonly kind: 'darkroom'; readonly dataFolder: string; readonly databaseUrl?: string }
  | { readonly kind: 'pg-boss'; readonly databaseUrl: string; readonly modulePath: string }

export async function createContender(spec: ContenderSpec): Promise<Contender> {
  if (spec.kind === 'pg-boss') return (await import('./pg-boss-contender.ts')).createPgBossContender(spec)
  return (await import('./darkroom-contender.ts')).createDarkroomContender(spec)
}
