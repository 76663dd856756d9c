import { z } from 'zod'
import type { EndpointSchema } from '../endpoints/endpoint.ts'
import { WireError } from '../errors/errors.ts'
import { ModelError } from '../models/model-error.ts'
import { labelOf, parseReference } from '../models/reference.ts'
import { type FindHost, refuseUnfetchable } from '../security/input-file.ts'
import { fileKeyOf } from '../storage/own-file.ts'
import type { GatewayDependencies } from './dependencies.ts'

/** What a field's text leads to: a file that is fetched for the request, or weights, which may be named otherwise than by a URL. */
type UrlKind = 'file' | 'weights'

interface InputUrl {
  /** Path of the field below the body. */
  readonly field: readonly (string | number)[]
  readonly text: string
  readonly kind: UrlKind
}

/** URLs of one input that are looked at; the rest is left to the runner. */
const MOST_URLS = 64

/**
 * Refuses URLs that nobody fetches, by their scheme or because their host has no address, before the request waits for a runner: of
 * pictures and weights, also in lists. A runner would refuse them in the same words.
 * @param find tells where a host is; the system's own way unless a test gives another
 * @param input the validated input, or JSON that nobody has validated yet: what does not fit the schema is passed over
 * @throws WireError 422
 */
export async function refuseUnfetchableUrls(
  { config, weights }: Pick<GatewayDependencies, 'config' | 'weights'>,
  { input: schema }: Pick<EndpointSchema, 'input'>,
  input: unknown,
  find?: FindHost,
): Promise<void> {
  const urls: InputUrl[] = []
  collect(schema, input, [], undefined, urls)
  await Promise.all(
    urls.map(async ({ field, text, kind }) => {
      // A file of this server is not fetched, whichever host names it.
      if (text === '' || fileKeyOf(text) !== undefined) return
      if (kind === 'file') await refuseUnfetchable(text, field, find)
      else await refuseWeights(text, field, { hubEndpoint: config.downloads.hubEndpoint, weights, find })
    }),
  )
}

interface WeightsPlaces {
  readonly hubEndpoint: string
  readonly weights: GatewayDependencies['weights']
  readonly find: FindHost | undefined
}

/** Weights by id, of a hub or Civitai, by path, or kept from an earlier request are the runner's to find. */
async function refuseWeights(
  text: string,
  field: InputUrl['field'],
  { hubEndpoint, weights, find }: WeightsPlaces,
): Promise<void> {
  try {
    const reference = parseReference(text, hubEndpoint)
    if (reference.type !== 'url' || (await weights?.isKept(reference.url))) return
    await refuseUnfetchable(reference.url.href, field, find).catch((error) => {
      if (!(error instanceof WireError)) throw error
      throw new ModelError(
        'unreachable',
        `${labelOf(reference)} could not be fetched: its server does not exist.`,
        error,
      )
    })
  } catch (error) {
    throw error instanceof ModelError ? new WireError(422, error.message, { cause: error }) : error
  }
}

/** Collects the texts of fields that lead somewhere, whatever they are wrapped in. */
function collect(
  type: z.core.$ZodType,
  value: unknown,
  field: InputUrl['field'],
  outerKind: UrlKind | undefined,
  urls: InputUrl[],
): void {
  const meta = z.globalRegistry.get(type)
  if (meta?.ignored === true || urls.length >= MOST_URLS) return
  const kind = kindOf(meta) ?? outerKind
  if (isWrapper(type)) {
    collect(type._zod.def.innerType, value, field, kind, urls)
    return
  }
  if (typeof value === 'string') {
    if (kind !== undefined) urls.push({ field, text: value, kind })
    return
  }
  const { def } = (type as z.core.$ZodTypes)._zod
  if (def.type === 'union') {
    for (const option of def.options) collect(option, value, field, kind, urls)
  } else if (def.type === 'array' && Array.isArray(value)) {
    for (const [i, item] of value.entries()) collect(def.element, item, [...field, i], kind, urls)
  } else if (def.type === 'object' && isRecord(value)) {
    for (const [name, member] of Object.entries(def.shape))
      collect(member, value[name], [...field, name], undefined, urls)
  }
}

function kindOf(meta: z.GlobalMeta | undefined): UrlKind | undefined {
  if (meta?.fetched === 'file' || meta?.fetched === 'weights') return meta.fetched
  const ui = meta?.ui
  return typeof ui === 'object' && ui !== null && 'field' in ui && ui.field === 'image' ? 'file' : undefined
}

type Wrapper = z.core.$ZodOptional | z.core.$ZodNullable | z.core.$ZodDefault

function isWrapper(type: z.core.$ZodType): type is Wrapper {
  return ['optional', 'nullable', 'default'].includes(type._zod.def.type)
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array)
}
