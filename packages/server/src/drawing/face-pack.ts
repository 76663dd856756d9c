import { WireError } from '../errors/errors.ts'
import { ModelError } from '../models/model-error.ts'
import type { ModelStore } from '../models/model-store.ts'
import { DEMO_FACE_PACK, FACE_PACKS } from '../models/vision-models.ts'
import { type FindContext, findWeights, pathOf, type WeightsFinder } from './find-weights.ts'

const WISH = { kind: 'detector' } as const

/** Where the networks are looked for. */
type NetworkStore = WeightsFinder & Pick<ModelStore, 'findLocal'>

interface NetworkFile {
  readonly path: string
  /** What logs call it. */
  readonly name: string
  /** The demo's own, which may be used for anything. */
  readonly isFree?: boolean
}

/** Files of networks that see faces; absent is what is not on this machine. */
export interface FacePack {
  readonly detector?: NetworkFile
  readonly embedder?: NetworkFile
}

/** insightface's networks as far as they are on this machine: nothing is fetched, since their licence is not ours to accept. */
export async function findFacePack(store: NetworkStore): Promise<FacePack> {
  return { ...(await firstLocal(store, 'detector')), ...(await firstLocal(store, 'embedder')) }
}

async function firstLocal(store: NetworkStore, part: keyof FacePack): Promise<FacePack> {
  for (const pack of FACE_PACKS) {
    const path = await findLocalDetector(store, `${pack.folder}/${pack[part]}`)
    if (path !== undefined) return { [part]: { path, name: pack.folder } }
  }
  return {}
}

/**
 * The networks that a request names: a pack by its name (`antelopev2`, `buffalo_l`, `pinhole/face`), a folder or repository with a pack's files, or one
 * recognition network (`….onnx`), which goes with the detector that is here. They are fetched as other weights that a request names.
 * @throws WireError 422 with a sentence when they are not to be had
 */
export async function findNamedFacePack(
  store: NetworkStore,
  reference: string,
  context: FindContext,
): Promise<FacePack> {
  const find = async (name: string) => pathOf(await findWeights(store, name, WISH, context))
  if (/\.onnx$/i.test(reference)) {
    return { ...(await firstLocal(store, 'detector')), embedder: { path: await find(reference), name: reference } }
  }
  const candidates = candidatesOf(reference.replace(/(?<!\/)\/+$/, ''))
  for (const pack of candidates) {
    const found = await findPack(pack, (name) => findLocalDetector(store, name))
    if (found) return found
  }
  let missing: unknown
  for (const pack of candidates) {
    try {
      const found = await findPack(pack, find)
      if (found) return found
    } catch (error) {
      if (!isAbsent(error)) throw error
      missing ??= error
    }
  }
  throw missing
}

type PackFiles = Readonly<Record<'folder' | keyof FacePack, string>>

/** Packs of that name, or that folder with the files of any pack. */
function candidatesOf(reference: string): readonly PackFiles[] {
  if (reference === DEMO_FACE_PACK.folder) return [DEMO_FACE_PACK]
  const namesakes = FACE_PACKS.filter(({ folder }) => folder.endsWith(`/${reference}`))
  if (namesakes.length > 0) return namesakes
  const byFiles = new Map(FACE_PACKS.map((pack) => [pack.detector, pack]))
  return [...byFiles.values()].map((pack) => ({ ...pack, folder: reference }))
}

async function findPack(
  { folder, detector, embedder }: PackFiles,
  find: (name: string) => Promise<string | undefined>,
): Promise<FacePack | undefined> {
  const detectorPath = await find(`${folder}/${detector}`)
  const embedderPath = detectorPath && (await find(`${folder}/${embedder}`))
  if (!embedderPath) return undefined
  const named = { name: folder, isFree: folder === DEMO_FACE_PACK.folder }
  return { detector: { path: detectorPath, ...named }, embedder: { path: embedderPath, ...named } }
}

/** Not in a folder or repository, and not to be fetched. */
function isAbsent(error: unknown): boolean {
  return error instanceof WireError && error.cause instanceof ModelError && ABSENT.includes(error.cause.reason)
}

const ABSENT: readonly ModelError['reason'][] = ['not-found', 'downloads-off', 'offline']

/** The path of a detector's file on this machine. */
export async function findLocalDetector(store: NetworkStore, reference: string): Promise<string | undefined> {
  try {
    const found = await store.findLocal(reference, WISH)
    return found && pathOf(found)
  } catch (error) {
    // A folder of that name without that file is as good as none.
    if (error instanceof ModelError && error.reason === 'not-found') return undefined
    throw error instanceof ModelError ? new WireError(422, error.message, { cause: error }) : error
  }
}
