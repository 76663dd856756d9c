/**
 * What would have to be different: a parameter of the call, the picture given, the model's files, the machine's memory; `session` is
 * a run whose thread ended, which may succeed when it is tried again.
 */
export type EngineErrorKind = 'parameter' | 'picture' | 'model' | 'memory' | 'session'

/** Base of every error that the engine explains: its message says what to do, and `name` is its class. Any other error is a defect. */
export abstract class EngineError extends Error {
  abstract readonly kind: EngineErrorKind
  /** Of the kind `parameter`: the one to change, by the engine's name for it. */
  readonly parameter?: string
  /** Of the kind `model`: the file or folder on this machine. Messages have its name alone, because clients read them. */
  readonly path?: string | undefined
}

/** Something of a model cannot be used as it is: the message names the file or tensor, the likely cause and what to do. */
export abstract class ModelFileError extends EngineError {
  readonly kind = 'model'
  override readonly path: string | undefined

  /** @param options `path`: what the message calls by its name alone */
  constructor(message: string, { path, ...options }: ErrorOptions & { readonly path?: string } = {}) {
    super(message, options)
    this.path = path
  }
}
