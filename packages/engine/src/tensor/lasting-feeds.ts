import type { Tensor } from './tensor.ts'

/**
 * Feeds of many runs, some hundred megabytes of them: they are made when they are first run with and then stay where the sessions are, in
 * one copy, until others of the same place take their room.
 */
export interface LastingFeeds {
  readonly place: string
  /**
   * The tensors, whose buffers move to the sessions; called again when others have been in their place, or the runtime died. Inputs that
   * a session lacks are left out.
   */
  make(): Promise<Readonly<Record<string, Tensor>>>
}
