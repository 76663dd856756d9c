/**
 * Why a handler's signal was aborted.
 * `cancelled`: the user cancelled, the gateway lost its reader, or another runner has the request now.
 */
export type StopKind = 'cancelled' | 'run-timeout' | 'shutdown'

/** The `reason` of a handler's signal; an Error, so that `signal.throwIfAborted()` throws one. */
export class StopReason extends Error {
  override readonly name = 'AbortError'
  readonly kind: StopKind

  constructor(kind: StopKind, message: string) {
    super(message)
    this.kind = kind
  }
}
