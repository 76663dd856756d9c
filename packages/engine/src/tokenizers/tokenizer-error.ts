import { EngineError } from '../errors/engine-error.ts'

/** A tokenizer folder cannot be used; the message names the file and what is wrong with it. */
export class TokenizerError extends EngineError {
  override readonly name = 'TokenizerError'
  readonly kind = 'model'
  override readonly path: string | undefined

  /** @param options `path`: what the message calls by its name alone */
  constructor(message: string, { path, ...options }: ErrorOptions & { readonly path?: string } = {}) {
    super(message, options)
    this.path = path
  }
}
