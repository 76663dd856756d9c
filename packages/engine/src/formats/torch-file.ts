/** Files of torch.save (`.bin`, `.pt`, `.ckpt`, `.pth`), read without Python: torch/serialization.py describes both forms. */

import { type FileHandle, open } from 'node:fs/promises'
import { defined } from '../tensor/defined.ts'
import { isCount } from '../tensor/tensor.ts'
import { PickleProblem, storageOfId } from './pickle-globals.ts'
import { readPickle } from './pickle-machine.ts'
import { PickledObject, PickledStorage, PickledTensor, type PickleValue } from './pickle-values.ts'
import { ELEMENT_BYTES, readBytes, type TensorEntry, type WeightFile } from './stored-tensor.ts'
import { WeightFileError } from './weight-file-error.ts'
import { readZipDirectory, ZipError, type ZipMember } from './zip-directory.ts'

/** What was saved. Tensors are places in the file; nothing is kept open. */
export interface TorchFile {
  readonly path: string
  /** Bytes of the whole file. */
  readonly size: number
  readonly value: PickleValue
}

/** A checkpoint's pickle has some hundred kilobytes. */
const MAX_PICKLE_BYTES = 32 * 2 ** 20
/** A checkpoint has some thousands. */
const MAX_VALUES = 200_000
/** First value of the form before torch 1.6. */
const LEGACY_MAGIC = 0x1950a86a20f9469cfc6cn
const LEGACY_PROTOCOL = 1001
/**
 * Whether a file that starts with these bytes (nine at least) is for this reader. A safetensors file may begin like either form, when its
 * header happens to have that length, but the header's brace follows.
 */
export function isTorchFile(start: Uint8Array): boolean {
  const head = Buffer.from(start)
  const isPickle = head[0] === 0x80 && [2, 3, 4, 5].includes(defined(head[1]))
  return (isPickle || head.toString('latin1', 0, 4) === 'PK\x03\x04') && head.toString('latin1', 8, 9) !== '{'
}

/**
 * Reads what a file of torch.save holds, except the tensors' elements.
 * @throws WeightFileError when it is damaged, no such file, or would run code in Python
 */
export async function readTorchFile(path: string): Promise<TorchFile> {
  const handle = await open(path, 'r')
  try {
    const { size } = await handle.stat()
    const start = Buffer.from((await readBytes(handle, 0, Math.min(size, 4))).buffer)
    const isZip = start.toString('latin1') === 'PK\x03\x04'
    return { path, size, value: await (isZip ? readZipForm(handle, size) : readLegacyForm(handle, size)) }
  } catch (cause) {
    if (!(cause instanceof PickleProblem || cause instanceof ZipError)) throw cause
    throw new WeightFileError(path, cause.message, cause)
  } finally {
    await handle.close()
  }
}

/** Storages of a file by key; one key is one storage, and cannot be two sizes. */
class Storages {
  readonly byKey = new Map<string, PickledStorage>()

  load = (id: PickleValue): PickledStorage => {
    const storage = storageOfId(id)
    const known = this.byKey.get(storage.key)
    if (known?.dtype === storage.dtype && known.byteLength === storage.byteLength) return known
    if (known) throw new PickleProblem(`its storage ${shown(storage)} has two forms`)
    this.byKey.set(storage.key, storage)
    return storage
  }
}

function shown({ key }: PickledStorage): string {
  return JSON.stringify(key).slice(0, 80)
}

async function readZipForm(handle: FileHandle, size: number): Promise<PickleValue> {
  const members = await readZipDirectory(handle, size)
  const pickle = [...members.values()].find(({ name }) => /^[^/]+\/data\.pkl$/.test(name))
  if (!pickle) throw new ZipError('it is a zip archive without a data.pkl: no file of torch.save')
  const root = pickle.name.slice(0, -'data.pkl'.length)
  if (members.has(`${root}constants.pkl`)) throw new ZipError('it is a TorchScript program, which is not run')
  const storages = new Storages()
  const { value } = readPickle(await readMember(handle, pickle), 0, storages.load)
  const byteOrder = members.get(`${root}byteorder`)
  const isBigEndian = byteOrder !== undefined && (await readMember(handle, byteOrder)).toString() === 'big'
  for (const storage of storages.byKey.values()) {
    const member = members.get(`${root}data/${storage.key}`)
    if (!member) throw new PickleProblem(`its storage ${shown(storage)} is missing`)
    if (member.length < storage.byteLength) {
      throw new PickleProblem(
        `its storage ${shown(storage)} has ${member.length} bytes instead of ${storage.byteLength}`,
      )
    }
    storage.start = member.offset
    storage.isBigEndian = isBigEndian
  }
  return value
}

async function readMember(handle: FileHandle, { name, offset, length }: ZipMember): Promise<Buffer> {
  if (length > MAX_PICKLE_BYTES) throw new ZipError(`its member ${name} has ${length} bytes`)
  return Buffer.from((await readBytes(handle, offset, length)).buffer)
}

/** Magic, protocol, system, value, keys of the storages: one pickle each; then each storage's element count and elements. */
async function readLegacyForm(handle: FileHandle, size: number): Promise<PickleValue> {
  const bytes = Buffer.from((await readBytes(handle, 0, Math.min(size, MAX_PICKLE_BYTES))).buffer)
  const magic = readPickle(bytes, 0)
  if (magic.value !== LEGACY_MAGIC) throw new PickleProblem('it is a pickle, but no file of torch.save')
  const protocol = readPickle(bytes, magic.end)
  if (protocol.value !== LEGACY_PROTOCOL) throw new PickleProblem('it is of an unknown version of torch.save')
  const system = readPickle(bytes, protocol.end)
  const storages = new Storages()
  const views: { readonly view: PickledStorage; readonly of: PickledStorage; readonly offset: number }[] = []
  const saved = readPickle(bytes, system.end, (id) => loadLegacyStorage(id, storages, views))
  const keys = readPickle(bytes, saved.end)
  if (!Array.isArray(keys.value) || keys.value.length > MAX_VALUES)
    throw new PickleProblem('it does not list its storages')
  let position = keys.end
  for (const key of keys.value) {
    const storage = typeof key === 'string' ? storages.byKey.get(key) : undefined
    if (!storage) throw new PickleProblem('it lists a storage that no tensor uses')
    if (position + 8 > size) throw new PickleProblem('it ends before its last storage: a truncated download')
    const count = Buffer.from((await readBytes(handle, position, 8)).buffer).readBigInt64LE()
    storage.start = position + 8
    if (Number(count) * ELEMENT_BYTES[storage.dtype] !== storage.byteLength) {
      throw new PickleProblem(`its storage ${shown(storage)} has ${count} elements, and should have another number`)
    }
    position = storage.start + storage.byteLength
    if (position > size) throw new PickleProblem('it ends before its last storage: a truncated download')
  }
  for (const { view, of, offset } of views) view.start = of.start === undefined ? undefined : of.start + offset
  const unplaced = [...storages.byKey.values()].find(({ start }) => start === undefined)
  if (unplaced) throw new PickleProblem(`its storage ${shown(unplaced)} is missing`)
  return saved.value
}

/** The sixth part of a legacy id makes the storage a view: `(key, first element, elements)`. */
function loadLegacyStorage(
  id: PickleValue,
  storages: Storages,
  views: { readonly view: PickledStorage; readonly of: PickledStorage; readonly offset: number }[],
): PickledStorage {
  const storage = storages.load(id)
  const part = Array.isArray(id) ? (id[5] ?? null) : null
  if (part === null) return storage
  const [key, first, count] = Array.isArray(part) ? part : []
  const size = ELEMENT_BYTES[storage.dtype]
  const isView = typeof key === 'string' && isCount(first) && isCount(count)
  if (!isView || (first + count) * size > storage.byteLength) {
    throw new PickleProblem('it has a view beyond its storage')
  }
  const view = new PickledStorage(key, storage.dtype, count * size)
  views.push({ view, of: storage, offset: first * size })
  return view
}

const MAX_DEPTH = 8
const MAX_KEY_LENGTH = 512

/** Key of a tensor that was saved alone (a textual inversion). */
export const BARE_TENSOR = ''

/**
 * The named tensors of a saved state dict: that of a `state_dict` entry where there is one (training checkpoints), dicts within it
 * flattened with dots (`image_proj.latents`), everything else left out.
 * @throws WeightFileError when it holds no named tensors
 */
export function namedTensors({ path, size, value }: TorchFile): WeightFile {
  const tensors = new Map<string, TensorEntry>()
  let visited = 0
  const visit = (dict: ReadonlyMap<PickleValue, PickleValue>, prefix: string, depth: number): void => {
    for (const [name, item] of dict) {
      if (++visited > MAX_VALUES) throw new WeightFileError(path, `it holds more than ${MAX_VALUES} values`)
      if (typeof name !== 'string' && typeof name !== 'number') continue
      if (prefix.length + String(name).length > MAX_KEY_LENGTH) throw new WeightFileError(path, 'it has endless names')
      const key = `${prefix}${name}`
      if (item instanceof PickledTensor) tensors.set(key, item.entry)
      const dict = asDict(item)
      if (dict && depth < MAX_DEPTH) visit(dict, `${key}.`, depth + 1)
    }
  }
  let root = value
  for (let depth = 0; root instanceof Map && root.get('state_dict') instanceof Map && depth < MAX_DEPTH; depth++) {
    root = root.get('state_dict') ?? null
  }
  if (root instanceof Map) visit(root, '', 0)
  if (root instanceof PickledTensor) tensors.set(BARE_TENSOR, root.entry)
  if (tensors.size === 0) throw new WeightFileError(path, 'it holds no named tensors')
  return { path, size, tensors, metadata: {} }
}

/** A dict, also one of torch's parameters (the web UI's textual inversions). */
function asDict(value: PickleValue): ReadonlyMap<PickleValue, PickleValue> | undefined {
  if (value instanceof Map) return value
  const isParameters = value instanceof PickledObject && value.path === 'torch.nn.modules.container.ParameterDict'
  const parameters = isParameters && value.state instanceof Map ? value.state.get('_parameters') : undefined
  return parameters instanceof Map ? parameters : undefined
}
