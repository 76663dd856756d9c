import { ModelFileError } from '../errors/engine-error.ts'

/** A tokenizer folder that cannot be used. */
export class TokenizerError extends ModelFileError {
  override readonly name = 'TokenizerError'
}
