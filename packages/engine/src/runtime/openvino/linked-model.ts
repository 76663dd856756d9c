import { createHash, randomUUID } from 'node:crypto'
import { constants } from 'node:fs'
import { copyFile, link, mkdir, readdir, rename, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { WeightLocation, Weights } from '../../checkpoint/prepared-weights.ts'
import { encodeModel } from '../../formats/onnx.ts'
import type { Graph } from '../../graph/graph.ts'
import type { OpenVinoConvolutions } from '../fast-form.ts'
import { openVinoForm } from './openvino-form.ts'

const MODEL_FILE = 'model.onnx'

/** Where OpenVINO looks for the weights of a compiled model that it kept without them; of more files than one it could not tell which. */
const ONLY_WEIGHTS_FILE = 'model.bin'

/** OpenVINO knows a compiled model again by its file's path, size and time. */
const MODEL_TIME = new Date('2000-01-01T00:00:00Z')

/** Folders that no session was made from for so long are removed when their weights are gone, so that these take no room. */
const UNUSED_MILLISECONDS = 24 * 3600_000

/** Folders are removed after this time in any case; what they hold is made again in a second. */
const FORGOTTEN_MILLISECONDS = 30 * UNUSED_MILLISECONDS

/** A model's file. */
export interface LinkedModel {
  readonly path: string
  /** Where OpenVINO may keep what it compiles of it; absent where it would not find the weights again. */
  readonly cacheFolder?: string
}

/**
 * Writes a graph as a file beside its weights, as OpenVINO wants it: external data must lie below the model's folder once symlinks are
 * resolved, so the weights are hard links there, which take no room, or copies where the file systems differ.
 * @param options `folder` of all such folders; how large convolutions are written (`openVinoForm`)
 * @returns the model's path, the same for the same graph on the same weights
 */
export async function writeLinkedModel(
  graph: Graph,
  weights: Weights,
  options: { readonly folder: string; readonly convolutions: OpenVinoConvolutions },
): Promise<LinkedModel> {
  const { folder, convolutions } = options
  const placeOf = (key: string) => weights.locateQuantized(key)?.values ?? weights.locate(key)
  const paths = [...new Set([...graph.weights.keys()].map((key) => placeOf(key).path))]
  const isOnly = paths.length === 1
  const links = new Map(paths.map((path, i) => [path, isOnly ? ONLY_WEIGHTS_FILE : `weights-${i}`]))
  const linked = ({ path, offset, length }: WeightLocation) => ({ location: links.get(path) ?? '', offset, length })
  const { model } = openVinoForm(
    graph,
    graph.model((key) => linked(placeOf(key))),
    {
      convolutions,
      scalesOf(key) {
        const quantized = weights.locateQuantized(key)
        return quantized && linked(quantized.scales)
      },
    },
  )
  const bytes = encodeModel(model)
  const name = createHash('sha256').update(weights.identity).update(bytes).digest('hex').slice(0, 32)
  const own = join(folder, name)
  await mkdir(own, { recursive: true })
  for (const [path, location] of links) await linkFile(path, join(own, location))
  const path = join(own, MODEL_FILE)
  const known = await stat(path).catch(() => undefined)
  if (known?.size !== bytes.length) await writeWhole(path, bytes)
  const now = new Date()
  await utimes(own, now, now)
  return { path, ...(isOnly && { cacheFolder: own }) }
}

async function writeWhole(path: string, bytes: Uint8Array): Promise<void> {
  const temporary = `${path}.${randomUUID()}.tmp`
  await writeFile(temporary, bytes)
  await utimes(temporary, MODEL_TIME, MODEL_TIME)
  await rename(temporary, path)
}

async function linkFile(path: string, target: string): Promise<void> {
  const [own, linked] = await Promise.all([stat(path), stat(target).catch(() => undefined)])
  // A copy has another inode; the folder's name stands for its content.
  if (linked?.ino === own.ino || (linked?.size === own.size && linked.dev !== own.dev)) return
  const temporary = `${target}.${randomUUID()}.tmp`
  try {
    await link(path, temporary)
  } catch (error) {
    // Another file system, or one without hard links.
    if (!(error instanceof Error) || !('code' in error) || error.code === 'ENOENT' || error.code === 'ENOSPC')
      throw error
    await copyFile(path, temporary, constants.COPYFILE_FICLONE)
  }
  await rename(temporary, target)
  // rename(2) does nothing where both names are links to one file.
  await rm(temporary, { force: true })
}

/** Removes folders whose weights were removed or replaced where they came from, with what was compiled of them, and those that nobody uses any more. */
export async function sweepLinkedModels(folder: string): Promise<void> {
  const now = Date.now()
  for (const name of await readdir(folder).catch(() => [])) {
    const own = join(folder, name)
    const info = await stat(own).catch(() => undefined)
    if (!info?.isDirectory() || now - info.mtimeMs < UNUSED_MILLISECONDS) continue
    if (now - info.mtimeMs > FORGOTTEN_MILLISECONDS || (await isOrphaned(own))) {
      await rm(own, { recursive: true, force: true }).catch(() => {})
    }
  }
}

/** Whether some weights in the folder have no other name; a copy, which never had one, counts too. */
async function isOrphaned(folder: string): Promise<boolean> {
  const names = (await readdir(folder)).filter((name) => name === ONLY_WEIGHTS_FILE || name.startsWith('weights-'))
  const infos = await Promise.all(names.map((name) => stat(join(folder, name)).catch(() => undefined)))
  return infos.some((info) => info?.nlink === 1)
}
