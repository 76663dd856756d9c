import type { Tensor } from '../tensor/tensor.ts'

/** A session of a native library on the thread that owns it. */
export interface NativeSession {
  /** @throws RunCancelledError after `cancel` */
  run(feeds: Readonly<Record<string, Tensor>>): Promise<Record<string, Tensor>>
  /** Ends the run that is under way, which then fails; absent where the library cannot. */
  cancel?(): void
  release(): Promise<void>
}

/** A run that was ended before it had a result. */
export class RunCancelledError extends Error {
  override readonly name = 'RunCancelledError'
}
