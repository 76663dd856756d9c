import type { HandlerContext } from '../endpoints/endpoint.ts'
import { WireError } from '../errors/errors.ts'
import { ModelError } from '../models/model-error.ts'
import type { FindOptions, FoundModel, ModelStore } from '../models/model-store.ts'

/** What is wanted of a reference. */
export type WeightsWish = Omit<FindOptions, 'signal' | 'log' | 'openOwnFile'>

/**
 * The weights that a request names, fetched where that is allowed, with a line of the request's log for what takes time.
 * @throws WireError 422 with a sentence, as the live service answers unusable weights
 */
export async function findWeights(
  store: ModelStore,
  reference: string,
  wish: WeightsWish,
  { signal, log, openOwnFile }: HandlerContext,
): Promise<FoundModel> {
  try {
    return await store.find(reference, { ...wish, signal, log: (message) => log(message), openOwnFile })
  } catch (error) {
    throw toWireError(error)
  }
}

/** The path of a file, or of a folder that an adapter's loader looks into. */
export function pathOf(found: FoundModel): string {
  return found.type === 'file' ? found.path : found.folder
}

function toWireError(error: unknown): unknown {
  return error instanceof ModelError ? new WireError(422, error.message, { cause: error }) : error
}
