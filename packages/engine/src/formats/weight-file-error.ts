import { basename } from 'node:path'

/** A file of weights that cannot be used: the message names the file, the tensor and the likely cause. */
export class WeightFileError extends Error {
  override readonly name = 'WeightFileError'
  /** Whole path; the message has the file's name alone, because clients read it. */
  readonly path: string

  constructor(path: string, problem: string, cause?: unknown) {
    super(`${basename(path)}: ${problem}`, { cause })
    this.path = path
  }
}
