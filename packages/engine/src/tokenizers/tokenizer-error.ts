/** A tokenizer folder cannot be used; the message names the file and what is wrong with it. */
export class TokenizerError extends Error {
  override readonly name = 'TokenizerError'
}
