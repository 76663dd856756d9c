import { createHash } from 'node:crypto'
import { readdir, realpath, stat } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { readSafetensors, type SafetensorsFile, type SafetensorsTensor } from '../formats/safetensors.ts'
import { CheckpointError } from './checkpoint-error.ts'
import { isMissing, readJsonObject } from './json-file.ts'

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
export interface StoredTensor extends SafetensorsTensor {
  readonly file: SafetensorsFile
  /** Its key in that file, before renaming. */
  readonly storedKey: string
}

/** The headers of a component's weight files. */
export interface ComponentWeights {
  /** Component name, `unet`. */
  readonly name: string
  readonly folder: string
  /** Real paths: symlinks (a hub snapshot's) are resolved. */
  readonly files: readonly SafetensorsFile[]
  /** By today's key. */
  readonly tensors: ReadonlyMap<string, StoredTensor>
  /** Changes when a file changes: hashed real paths, sizes and modification times. */
  readonly identity: string
}

/**
 * Finds and reads the headers of a component's weight files: `diffusion_pytorch_model` or `model`, whole or sharded, the variant's
 * files first where one is named.
 * @throws CheckpointError when there are none that can be read; SafetensorsError when one is damaged
 */
export async function openComponentWeights(
  name: string,
  folder: string,
  { variant, renames = {} }: WeightsOptions = {},
): Promise<ComponentWeights> {
  const paths = await findWeightFiles(name, folder, variant)
  return loadHeaders(name, folder, paths, renames)
}

/** Opens one safetensors file as a component's weights (adapters, fixtures, single weight files). */
export function openWeightFile(name: string, path: string, renames: KeyRenames = {}): Promise<ComponentWeights> {
  return loadHeaders(name, path, [path], renames)
}

async function loadHeaders(
  name: string,
  folder: string,
  paths: readonly string[],
  renames: KeyRenames,
): Promise<ComponentWeights> {
  const hash = createHash('sha256')
  const files: SafetensorsFile[] = []
  const tensors = new Map<string, StoredTensor>()
  for (const path of paths) {
    const file = await readSafetensors(await existing(path))
    const { size, mtimeMs } = await stat(file.path)
    hash.update(JSON.stringify([file.path, size, mtimeMs]))
    files.push(file)
    for (const [storedKey, tensor] of file.tensors) {
      const key = rename(storedKey, renames)
      const other = tensors.get(key)
      if (other) throw new CheckpointError(`${key} is both in ${other.file.path} and in ${file.path}; keep one of them`)
      tensors.set(key, { ...tensor, file, storedKey })
    }
  }
  return { name, folder, files, tensors, identity: hash.digest('hex') }
}

async function existing(path: string): Promise<string> {
  try {
    return await realpath(path)
  } catch (cause) {
    if (!isMissing(cause)) throw cause
    throw new CheckpointError(`${path} is missing or a dangling link; the download is incomplete`, { cause })
  }
}

function rename(key: string, renames: KeyRenames): string {
  let dotted = `.${key}.`
  for (const [from, to] of Object.entries(renames)) dotted = dotted.replace(`.${from}.`, `.${to}.`)
  return dotted.slice(1, -1)
}

const BASE_NAMES = ['diffusion_pytorch_model', 'model']

async function findWeightFiles(name: string, folder: string, variant: string | undefined): Promise<string[]> {
  const names = new Set(await listFolder(name, folder))
  for (const suffix of variant === undefined ? [''] : [`.${variant}`, '']) {
    for (const base of BASE_NAMES) {
      const single = `${base}${suffix}.safetensors`
      if (names.has(single)) return [join(folder, single)]
      const index = `${base}.safetensors.index${suffix}.json`
      if (names.has(index)) return readShardIndex(join(folder, index), folder)
    }
  }
  throw new CheckpointError(`no weights for ${name} in ${folder}${describeOthers(names)}`)
}

async function listFolder(name: string, folder: string): Promise<string[]> {
  try {
    return await readdir(folder)
  } catch (cause) {
    if (!isMissing(cause)) throw cause
    throw new CheckpointError(`the folder ${folder} of ${name} is missing; the download is incomplete`, { cause })
  }
}

function describeOthers(names: ReadonlySet<string>): string {
  const listed = [...names]
  const variants = listed.flatMap(
    (file) => /^(?:diffusion_pytorch_model|model)\.(.+)\.safetensors$/.exec(file)?.[1] ?? [],
  )
  if (variants.length > 0) return `: only the variant ${variants.join(', ')} is there; ask for it by name`
  const pickle = listed.find((file) => /\.(bin|ckpt|pt|pth)$/.test(file))
  if (pickle) return `: ${pickle} is a PyTorch pickle, which is not read; get the .safetensors form of the model`
  return ` (looked for ${BASE_NAMES.map((base) => `${base}.safetensors`).join(' and ')}); the download is incomplete`
}

async function readShardIndex(indexPath: string, folder: string): Promise<string[]> {
  const map = (await readJsonObject(indexPath))?.weight_map
  if (typeof map !== 'object' || map === null)
    throw new CheckpointError(`${indexPath}: weight_map must map keys to files`)
  const shards = [...new Set<unknown>(Object.values(map))]
  return shards.map((shard) => {
    if (typeof shard !== 'string' || shard !== basename(shard) || !shard.endsWith('.safetensors')) {
      throw new CheckpointError(`${indexPath}: ${JSON.stringify(shard)} is no safetensors file of this folder`)
    }
    return join(folder, shard)
  })
}
