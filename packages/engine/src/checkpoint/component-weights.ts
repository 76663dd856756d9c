import { createHash } from 'node:crypto'
import { realpath, stat } from 'node:fs/promises'
import { displayName } from '../formats/display-name.ts'
import { readEntry, type TensorEntry, type WeightFile } from '../formats/stored-tensor.ts'
import { readWeightFile } from '../formats/weight-file.ts'
import { WeightFileError } from '../formats/weight-file-error.ts'
import type { FloatTensor } from '../tensor/tensor.ts'
import { CheckpointError } from './checkpoint-error.ts'
import { findWeightFiles } from './find-weight-files.ts'
import { isMissing } from './json-file.ts'

/**
 * Names that older files use for parts of a key, and today's: `{ 'attentions.0.query': 'attentions.0.to_q' }` renames these path
 * segments wherever they stand in a key.
 */
export type KeyRenames = Readonly<Record<string, string>>

export interface WeightsOptions {
  readonly variant?: string
  readonly renames?: KeyRenames
}

/** A tensor of a component and the file it lies in. */
export interface StoredTensor extends TensorEntry {
  readonly file: WeightFile
  /** Its key in that file, before renaming. */
  readonly storedKey: string
}

/** The headers of a component's weight files. */
export interface ComponentWeights {
  /** Component name, `unet`. */
  readonly name: string
  /** What messages call the checkpoint or file: never a path of this machine. */
  readonly source: string
  /** Real paths: symlinks (a hub snapshot's) are resolved. */
  readonly files: readonly WeightFile[]
  /** By today's key. */
  readonly tensors: ReadonlyMap<string, StoredTensor>
  /** Changes when a file changes: hashed real paths, sizes and modification times. */
  readonly identity: string
}

/**
 * Finds and reads the headers of a component's weight files (`findWeightFiles`).
 * @param source what messages call the checkpoint
 * @throws CheckpointError when there are none that can be read; WeightFileError when one is damaged
 */
export async function openComponentWeights(
  name: string,
  folder: string,
  { variant, renames = {} }: WeightsOptions = {},
  source: string = displayName(folder),
): Promise<ComponentWeights> {
  return loadHeaders(name, source, await findWeightFiles(name, folder, variant, source), renames)
}

/** Opens one file as a component's weights (adapters, fixtures, single weight files). */
export function openWeightFile(name: string, path: string, renames: KeyRenames = {}): Promise<ComponentWeights> {
  return loadHeaders(name, displayName(path), [path], renames)
}

/**
 * A tensor as float32, whatever it is stored as.
 * @throws WeightFileError when its file has shrunk since its header was read
 */
export async function readStoredTensor(stored: StoredTensor): Promise<FloatTensor> {
  try {
    return await readEntry(stored.file.path, stored)
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new WeightFileError(stored.file.path, `${stored.storedKey}: ${reason}`, cause)
  }
}

async function loadHeaders(
  name: string,
  source: string,
  paths: readonly string[],
  renames: KeyRenames,
): Promise<ComponentWeights> {
  const files = await Promise.all(paths.map(readLinkedFile))
  const tensors = new Map<string, StoredTensor>()
  for (const file of files) {
    for (const [storedKey, entry] of file.tensors) {
      const key = renameKey(storedKey, renames)
      const other = tensors.get(key)
      if (other) {
        const names = [other.file.path, file.path].map(displayName).join(' and in ')
        throw new CheckpointError(`${key} is both in ${names}; keep one of them`)
      }
      tensors.set(key, { ...(key === storedKey ? entry : asLinear(entry)), file, storedKey })
    }
  }
  return { name, source, files, tensors, identity: await identityOf(files) }
}

/** Changes when one of the files changes. */
export async function identityOf(files: readonly WeightFile[]): Promise<string> {
  const hash = createHash('sha256')
  for (const { path } of files) {
    const { size, mtimeMs } = await stat(path)
    hash.update(JSON.stringify([path, size, mtimeMs]))
  }
  return hash.digest('hex')
}

/**
 * Reads a file's header by its real path, which can be mapped; problems are told of the name that it was asked for by: a hub cache's own
 * names are hashes.
 * @throws CheckpointError when it is missing; WeightFileError when it is damaged
 */
export async function readLinkedFile(path: string): Promise<WeightFile> {
  const real = await existing(path)
  try {
    return await readWeightFile(real)
  } catch (error) {
    throw error instanceof WeightFileError ? new WeightFileError(path, error.problem, error) : error
  }
}

async function existing(path: string): Promise<string> {
  try {
    return await realpath(path)
  } catch (cause) {
    if (!isMissing(cause)) throw cause
    const problem = `${displayName(path)} is missing or a dangling link; the download is incomplete`
    throw new CheckpointError(problem, { cause, path })
  }
}

/** Today's name of a key. */
export function renameKey(key: string, renames: KeyRenames): string {
  let dotted = `.${key}.`
  for (const [from, to] of Object.entries(renames)) dotted = dotted.replace(`.${from}.`, `.${to}.`)
  return dotted.slice(1, -1)
}

/** Old names may stand for 1×1 convolutions where today's are linear layers: the same bytes. */
export function asLinear(entry: TensorEntry): TensorEntry {
  const [rows = 0, columns = 0, height, width] = entry.shape
  const isConvolution = entry.shape.length === 4 && height === 1 && width === 1 && entry.strides === undefined
  return isConvolution ? { ...entry, shape: [rows, columns] } : entry
}
