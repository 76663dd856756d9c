import type { HandlerContext } from '../endpoints/endpoint.ts'
import { WireError } from '../errors/errors.ts'
import { ModelError, type ModelErrorReason } from '../models/model-error.ts'
import type { FindOptions, FoundModel, ModelStore } from '../models/model-store.ts'
import { demoAdapterHint } from './demo-adapters.ts'

/** What is wanted of a reference. */
export type WeightsWish = Omit<FindOptions, 'signal' | 'log' | 'openOwnFile'>

/** Where weights are looked for. */
export type WeightsFinder = Pick<ModelStore, 'find'>

/** The part of a request that looking for weights needs. */
export type FindContext = Pick<HandlerContext, 'signal' | 'log' | 'openOwnFile' | 'setHeader'>

/** What a request has found stays found while it lasts: weights are fetched before it draws, and opened when it does. */
const foundFor = new WeakMap<FindContext, Map<string, Promise<FoundModel>>>()

/**
 * The weights that a request names, fetched where that is allowed, with a line of the request's log for what takes time.
 * @throws WireError 422 with a sentence, as the live service answers unusable weights
 */
export function findWeights(
  store: WeightsFinder,
  reference: string,
  wish: WeightsWish,
  context: FindContext,
): Promise<FoundModel> {
  const found = foundFor.get(context) ?? new Map<string, Promise<FoundModel>>()
  foundFor.set(context, found)
  const key = JSON.stringify([reference, wish.kind, wish.subfolder, wish.weightName, wish.variant])
  const finding = found.get(key) ?? find(store, reference, wish, context)
  found.set(key, finding)
  return finding
}

async function find(
  store: WeightsFinder,
  reference: string,
  wish: WeightsWish,
  { signal, log, openOwnFile }: FindContext,
): Promise<FoundModel> {
  try {
    return await store.find(reference, { ...wish, signal, log: (message) => log(message), openOwnFile })
  } catch (error) {
    throw toWireError(error, demoAdapterHint(wish.kind, reference))
  }
}

/** Not here, and not to be fetched for a request: the operator's to change, not the client's. */
const NOT_FETCHED: readonly ModelErrorReason[] = ['downloads-off', 'offline']

/** A base model that a demo checkpoint stands in for. */
export interface AbsentModel {
  readonly type: 'absent'
  /** A sentence that says what to do. */
  readonly why: string
}

/**
 * The base model that a request names, or why it is not on this machine and is not fetched.
 * @throws WireError 422 when the reference leads to something that is no base model
 */
export async function findBaseModel(
  store: WeightsFinder,
  { name, variant }: { readonly name: string; readonly variant?: string | undefined },
  context: FindContext,
): Promise<FoundModel | AbsentModel> {
  try {
    return await findWeights(store, name, { kind: 'base', ...(variant && { variant }) }, context)
  } catch (error) {
    if (!(error instanceof WireError) || !isNotFetched(error.cause)) throw error
    return { type: 'absent', why: error.message }
  }
}

function isNotFetched(cause: unknown): boolean {
  return cause instanceof ModelError && NOT_FETCHED.includes(cause.reason)
}

/**
 * The LCM-LoRA of a base model.
 * @returns undefined, and a warning in the request's log, where it cannot be had: pictures are drawn without
 */
export async function findLcmLora(
  store: WeightsFinder,
  name: string,
  context: FindContext,
): Promise<string | undefined> {
  try {
    return pathOf(await findWeights(store, name, { kind: 'lora' }, context))
  } catch (error) {
    if (!(error instanceof WireError && error.cause instanceof ModelError)) throw error
    context.log(`Pictures of few steps will look unfinished: ${error.message}`, 'WARN')
    return undefined
  }
}

/** The path of a file, or of a folder that an adapter's loader looks into. */
export function pathOf(found: FoundModel): string {
  return found.type === 'file' ? found.path : found.folder
}

function toWireError(error: unknown, hint: string): unknown {
  if (!(error instanceof ModelError)) return error
  return new WireError(422, isNotFetched(error) ? error.message + hint : error.message, { cause: error })
}
