import { EngineError } from '../errors/engine-error.ts'

/** A tokenizer folder cannot be used; the message names the file and what is wrong with it. */
export class TokenizerError extends EngineError {
  override readonly name = 'TokenizerError'
  readonly kind = 'model'
}
