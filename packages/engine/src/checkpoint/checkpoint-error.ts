import { EngineError } from '../errors/engine-error.ts'

/** A checkpoint that cannot be used as it is: the message names the file or tensor, the likely cause and what to do. */
export class CheckpointError extends EngineError {
  override readonly name = 'CheckpointError'
  readonly kind = 'model'
  override readonly path: string | undefined

  /** @param options `path`: what the message calls by its name alone */
  constructor(message: string, { path, ...options }: ErrorOptions & { readonly path?: string } = {}) {
    super(message, options)
    this.path = path
  }
}
