/**
 * Why a reference gives no weights.
 * `invalid-reference`: it names nothing that could be found. `forbidden`: a path that this server does not open.
 * `not-found`, `gated`, `ambiguous`: what the hub or the folder has. `downloads-off`, `offline`: it is not here, and is not
 * fetched. `too-large`, `disk-full`: there is no room for it. `blocked`, `unreachable`, `rate-limited`: there was no answer.
 * `corrupt`: what came is not what was promised. `not-weights`, `wrong-kind`: it is here, and is something else.
 */
export type ModelErrorReason =
  | 'invalid-reference'
  | 'forbidden'
  | 'not-found'
  | 'gated'
  | 'ambiguous'
  | 'downloads-off'
  | 'offline'
  | 'too-large'
  | 'disk-full'
  | 'blocked'
  | 'unreachable'
  | 'rate-limited'
  | 'corrupt'
  | 'not-weights'
  | 'wrong-kind'

/** The message is one sentence for whoever named the weights: no path of this machine, no token, and what to do where something helps. */
export class ModelError extends Error {
  override readonly name = 'ModelError'
  readonly reason: ModelErrorReason

  constructor(reason: ModelErrorReason, message: string, cause?: unknown) {
    super(message, { cause })
    this.reason = reason
  }
}
