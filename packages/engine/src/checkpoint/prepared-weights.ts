import { createHash, randomUUID } from 'node:crypto'
import { type FileHandle, mkdir, mkdtemp, open, readdir, rename, rm, stat, utimes } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { setImmediate as yieldToEvents } from 'node:timers/promises'
import { planSafetensors, readSafetensors, type SafetensorsPlan, writeBytes } from '../formats/safetensors.ts'
import { ELEMENT_BYTES, type ElementType, isPlain, type WeightFile } from '../formats/stored-tensor.ts'
import { float32ToFloat16 } from '../tensor/float16.ts'
import type { DType, FloatTensor, Shape } from '../tensor/tensor.ts'
import { blockFilter, isBlockable } from './blocked-filter.ts'
import { CheckpointError } from './checkpoint-error.ts'
import { type ComponentWeights, readStoredTensor, type StoredTensor } from './component-weights.ts'
import { type QuantizedLayout, quantizeMatrix } from './quantized-matrix.ts'

/** Where the bytes of a tensor lie, or of a part of it. */
export interface WeightLocation {
  /** Absolute real path. */
  readonly path: string
  readonly offset: number
  readonly length: number
}

/** A component's weights on disk, ready to be mapped: as float32, or as float16 where that was asked for. */
export interface Weights {
  /** Component name, for messages. */
  readonly name: string
  /** Same identity, same values. */
  readonly identity: string
  /** @throws CheckpointError when the component has no such tensor */
  locate(key: string): WeightLocation & { readonly dtype: 'float32' | 'float16' }
  /** Channels in one block of the convolutions that `locateBlocked` knows; undefined when none are blocked. */
  readonly convolutionBlock: number | undefined
  /** A convolution's weights in the blocked form (`blockFilter`); undefined where they are kept as they are. */
  locateBlocked(key: string): WeightLocation | undefined
  /** A linear layer's weights in 8 bits (`quantizeMatrix`); undefined where they are kept as they are. */
  locateQuantized(key: string): QuantizedLocation | undefined
  /** Where the tensors lie that sessions map, in no order. */
  places(): readonly WeightLocation[]
}

/** Where the parts of a quantised matrix lie. */
export interface QuantizedLocation {
  readonly values: WeightLocation
  readonly scales: WeightLocation
}

/** Weights to read ahead: what tells them from others, and where they lie. */
export type ReadableWeights = Pick<Weights, 'identity' | 'places'>

/** The weights of a graph that has none. */
export const NO_WEIGHTS: Weights = {
  name: 'nothing',
  identity: '',
  convolutionBlock: undefined,
  locate(key) {
    throw new CheckpointError(`a graph without weights asked for ${key}`)
  },
  locateBlocked: () => undefined,
  locateQuantized: () => undefined,
  places: () => [],
}

/** Linear layers' weights that are stored in 8 bits. */
export interface QuantizedLinears {
  readonly keys: ReadonlySet<string>
  readonly layout: QuantizedLayout
}

/** Changes of some tensors (a merged LoRA), made once when the weights are prepared. */
export interface WeightEdits {
  /** Same identity, same changes: files, scales and their order. */
  readonly identity: string
  readonly keys: ReadonlySet<string>
  /** Of the tensors that get another shape (an input convolution that is widened), that shape. */
  readonly shapes?: ReadonlyMap<string, Shape>
  /** The changed tensor; `weight`, which has the stored shape, may be changed in place and returned. */
  apply(key: string, weight: FloatTensor): FloatTensor | Promise<FloatTensor>
  /** Called once after the last `apply` of a preparation, also when it failed. */
  release?(): Promise<void>
}

export interface PrepareOptions {
  /**
   * `Runtime.convolutionBlock`: convolutions are stored in the CPU kernels' blocked form, so that loading needs no copy of them. Without
   * it every load reorders them (SD1.5's UNet: 5 s and 2.2 GB of memory).
   */
  readonly convolutionBlock?: number | undefined
  readonly quantized?: QuantizedLinears
  /** Whether all floats are in one file, also those that could be mapped as they lie. Default false. */
  readonly isWhole?: boolean
  /** `kept`: what is stored in float16 is mapped as it lies; `all`: the other tensors become float16, too. Absent: all float32. */
  readonly float16?: 'kept' | 'all' | undefined
  readonly edits?: WeightEdits
  /** Called after each tensor that had to be converted. */
  readonly onProgress?: (done: number, total: number) => void
  readonly signal?: AbortSignal
}

export interface WeightCacheOptions {
  /** Kept between runs; without it a private temporary folder that `dispose` removes. */
  readonly folder?: string
  /** Files beyond this are removed, least recently used first. Default 40 GB. */
  readonly maxBytes?: number
}

const DEFAULT_MAX_BYTES = 40e9
/** Part of every identity: another number makes older files unused. */
const FORMAT = 1
/** Files used this recently may be about to be mapped by another process. */
const IN_USE_MILLISECONDS = 5 * 60_000
const ABANDONED_MILLISECONDS = 24 * 3600_000

/**
 * Files of weights that cannot be mapped as they lie: of another precision than graphs compute in, and edited ones. A graph that casts or transposes
 * weights would make the runtime do it on one thread at every load and keep both copies. Float32 tensors stay in the
 * checkpoint's own files.
 */
export class WeightCache {
  readonly #givenFolder: string | undefined
  #folder: Promise<string> | undefined
  readonly #maxBytes: number
  readonly #running = new Map<string, Promise<WeightFile>>()
  /** Prepared files whose weights somebody still holds, and may map again at any time. */
  readonly #held = new Map<string, WeakRef<Weights>>()

  constructor({ folder, maxBytes = DEFAULT_MAX_BYTES }: WeightCacheOptions = {}) {
    this.#givenFolder = folder
    this.#maxBytes = maxBytes
  }

  /**
   * The weights as graphs map them; converts what has to be converted unless an earlier call, or process, did.
   * @throws CheckpointError when the cache folder cannot be written or an edit names a tensor that is not there
   */
  async prepare(weights: ComponentWeights, options: PrepareOptions = {}): Promise<Weights> {
    const form = preparedForm(weights, options)
    const { identity, converted } = form
    const file = converted.length > 0 ? await this.#file(identity, weights.name, converted, options) : undefined
    const prepared = preparedWeights(weights, identity, file, { ...options, ...form })
    if (file) this.#held.set(file.path, new WeakRef(prepared))
    return prepared
  }

  /**
   * What `prepare` would give where it has written its file before; else the weights as they lie in the checkpoint, which it will read. Writes
   * nothing: these are to be read ahead, not to be mapped.
   * @throws CheckpointError as `prepare`
   */
  async foresee(weights: ComponentWeights, options: PrepareOptions = {}): Promise<Weights> {
    const form = preparedForm(weights, options)
    const path = this.#path(await this.#openFolder(), weights.name, form.identity)
    const file = form.converted.length > 0 ? await readSafetensors(path).catch(() => undefined) : undefined
    const isAsStored = form.converted.length > 0 && file === undefined
    const identity = isAsStored ? `${form.identity} as stored` : form.identity
    return preparedWeights(weights, identity, file, { ...options, ...form })
  }

  /** Removes the private folder, if it is one. Sessions that map its files must be released before. */
  async dispose(): Promise<void> {
    await Promise.allSettled(this.#running.values())
    if (this.#givenFolder !== undefined || this.#folder === undefined) return
    await rm(await this.#folder, { recursive: true, force: true, maxRetries: 3 })
    this.#folder = undefined
  }

  #openFolder(): Promise<string> {
    const given = this.#givenFolder
    const opening =
      this.#folder ?? (given === undefined ? mkdtemp(join(tmpdir(), 'darkroom-weights-')) : createFolder(given))
    this.#folder = opening
    // A disk that was full has room again one day.
    opening.catch(() => {
      if (this.#folder === opening) this.#folder = undefined
    })
    return opening
  }

  #file(
    identity: string,
    name: string,
    tensors: readonly WrittenTensor[],
    options: PrepareOptions,
  ): Promise<WeightFile> {
    const running = this.#running.get(identity)
    if (running) return running
    const made = this.#openOrWrite(identity, name, tensors, options).finally(() => this.#running.delete(identity))
    this.#running.set(identity, made)
    return made
  }

  #path(folder: string, name: string, identity: string): string {
    return join(folder, `${name.replace(/[^\w.-]/g, '_')}-${identity.slice(0, 32)}.safetensors`)
  }

  async #openOrWrite(
    identity: string,
    name: string,
    tensors: readonly WrittenTensor[],
    options: PrepareOptions,
  ): Promise<WeightFile> {
    const folder = await this.#openFolder()
    const path = this.#path(folder, name, identity)
    const kept = await readSafetensors(path).catch(() => undefined)
    if (kept) {
      const now = new Date()
      await utimes(path, now, now).catch(() => {})
      return kept
    }
    const temporary = `${path}.${randomUUID()}.tmp`
    try {
      await writeConverted(temporary, tensors, options)
      await rename(temporary, path)
    } catch (cause) {
      await rm(temporary, { force: true })
      if (options.signal?.aborted) throw cause
      if (!(cause instanceof Error) || !('code' in cause)) throw cause
      const { size } = planOf(tensors, options)
      throw new CheckpointError(
        `the prepared weights of ${name} cannot be written (${cause.code}); they need ${Math.ceil(size / 1e6)} MB in this machine's cache folder`,
        { cause, path: folder },
      )
    }
    await this.#evict(folder, path)
    return readSafetensors(path)
  }

  async #evict(folder: string, newest: string): Promise<void> {
    const now = Date.now()
    const files: { path: string; size: number; usedAt: number }[] = []
    for (const name of await readdir(folder)) {
      const path = join(folder, name)
      const info = await stat(path).catch(() => undefined)
      if (!info?.isFile()) continue
      if (name.endsWith('.tmp') && now - info.mtimeMs > ABANDONED_MILLISECONDS) await rm(path, { force: true })
      if (name.endsWith('.safetensors')) files.push({ path, size: info.size, usedAt: info.mtimeMs })
    }
    let total = files.reduce((sum, { size }) => sum + size, 0)
    files.sort((a, b) => a.usedAt - b.usedAt)
    for (const { path, size, usedAt } of files) {
      if (total <= this.#maxBytes) return
      const isHeld = this.#held.get(path)?.deref() !== undefined
      if (isHeld || path === newest || now - usedAt < IN_USE_MILLISECONDS) continue
      // On Windows a mapped file cannot be removed; it goes at a later turn.
      const removed = await rm(path).then(
        () => true,
        () => false,
      )
      if (removed) total -= size
    }
  }
}

/** A tensor of a prepared file. */
interface WrittenTensor {
  readonly key: string
  readonly stored: StoredTensor
  /** After the edits. */
  readonly shape: Shape
}

/** What of the weights a prepared file holds, and what tells that file from others. */
interface PreparedForm {
  readonly identity: string
  readonly converted: readonly WrittenTensor[]
  shapeOf(key: string, stored: StoredTensor): Shape
}

/** @throws CheckpointError when an edit names a tensor that is not there */
function preparedForm(
  weights: ComponentWeights,
  { edits, convolutionBlock, quantized, isWhole, float16 }: PrepareOptions,
): PreparedForm {
  for (const key of edits?.keys ?? []) {
    if (!weights.tensors.has(key)) throw new CheckpointError(`${weights.name} has no tensor ${key} to edit`)
  }
  for (const key of edits?.shapes?.keys() ?? []) {
    if (!edits?.keys.has(key)) throw new CheckpointError(`the new shape of ${key} is of no edit`)
  }
  const shapeOf = (key: string, stored: StoredTensor): Shape => edits?.shapes?.get(key) ?? stored.shape
  const converted = [...weights.tensors].flatMap(([key, stored]) => {
    const tensor = { key, stored, shape: shapeOf(key, stored) }
    const isWritten =
      edits?.keys.has(key) ||
      needsConversion(stored, float16) ||
      isBlocked(tensor, convolutionBlock) ||
      quantized?.keys.has(key) ||
      (isWhole && isFloat(stored))
    return isWritten ? [tensor] : []
  })
  const identity = createHash('sha256')
    .update(JSON.stringify([FORMAT, weights.identity, edits?.identity, convolutionBlock, [...(edits?.shapes ?? [])]]))
    .update(quantized === undefined ? '' : JSON.stringify([quantized.layout, ...quantized.keys]))
    .update(isWhole ? 'whole' : '')
    .update(float16 === undefined ? '' : `float16 ${float16}`)
    .digest('hex')
  return { identity, converted, shapeOf }
}

function planOf(tensors: readonly WrittenTensor[], { quantized, float16 }: PrepareOptions): SafetensorsPlan {
  const dtype = float16 === 'all' ? 'float16' : 'float32'
  return planSafetensors(
    tensors.flatMap(({ key, shape }): (readonly [string, { readonly dtype: DType; readonly shape: Shape }])[] => {
      if (!quantized?.keys.has(key)) return [[key, { dtype, shape }]]
      const [out = 0, inputs = 0] = shape
      // The scales first: floats start at a multiple of their size, and after bytes they would not.
      return [
        [scalesKey(key), { dtype: 'float32', shape: [out] }],
        [key, { dtype: 'int8', shape: quantized.layout === '[in, out]' ? [inputs, out] : [out, inputs] }],
      ]
    }),
  )
}

const FLOAT_TYPES: Readonly<Partial<Record<ElementType, 'float32' | 'float16'>>> = { F32: 'float32', F16: 'float16' }

const scalesKey = (key: string) => `${key}:scale`

async function createFolder(folder: string): Promise<string> {
  const path = resolve(folder)
  try {
    await mkdir(path, { recursive: true })
  } catch (cause) {
    throw new CheckpointError('the folder for prepared weights cannot be made', { cause, path })
  }
  return path
}

/** Anything but the wanted floats that start at a multiple of their size, which kernels may rely on. */
function needsConversion(tensor: StoredTensor, float16: PrepareOptions['float16']): boolean {
  if (!isFloat(tensor)) return false
  const isWanted = tensor.dtype === 'F32' ? float16 !== 'all' : tensor.dtype === 'F16' && float16 !== undefined
  return !isWanted || tensor.offset % ELEMENT_BYTES[tensor.dtype] !== 0 || !isPlain(tensor)
}

function isFloat({ dtype }: StoredTensor): boolean {
  return /^(F|BF)\d/.test(dtype)
}

function isBlocked({ shape }: { readonly shape: Shape }, block: number | undefined): block is number {
  return block !== undefined && isBlockable(shape, block)
}

/** The next tensor is read and the last one written while one is converted: most of the time goes into moving bytes, on other threads than this. */
async function writeConverted(path: string, tensors: readonly WrittenTensor[], options: PrepareOptions): Promise<void> {
  const plan = planOf(tensors, options)
  const handle = await open(path, 'wx')
  let writing = writeBytes(handle, plan.header)
  try {
    let done = 0
    for await (const [written, tensor] of readOneAhead(tensors)) {
      options.signal?.throwIfAborted()
      const parts = storedParts(written.key, await editedTensor(written, tensor, options), options)
      await writing
      writing = writeAll(handle, parts)
      // Awaited at the next turn.
      writing.catch(() => {})
      options.onProgress?.(++done, tensors.length)
      await yieldToEvents()
    }
    await writing
    await handle.sync()
  } finally {
    await Promise.allSettled([writing])
    await handle.close()
    await options.edits?.release?.()
  }
}

async function* readOneAhead(
  tensors: readonly WrittenTensor[],
): AsyncGenerator<readonly [written: WrittenTensor, tensor: FloatTensor]> {
  let ahead: Promise<FloatTensor> | undefined
  for (const [index, written] of tensors.entries()) {
    const tensor = await (ahead ?? readStoredTensor(written.stored))
    const next = tensors[index + 1]
    ahead = next && readStoredTensor(next.stored)
    // Awaited at the next turn, which does not come when this one fails.
    ahead?.catch(() => {})
    yield [written, tensor]
  }
}

/** @throws CheckpointError where the edit makes another shape than it said */
async function editedTensor(
  { key, stored, shape }: WrittenTensor,
  tensor: FloatTensor,
  { edits }: PrepareOptions,
): Promise<FloatTensor> {
  const edited = edits?.keys.has(key) ? await edits.apply(key, tensor) : tensor
  if (String(edited.shape) === String(shape)) return edited
  throw new CheckpointError(`the edit of ${key} made [${edited.shape}] of [${stored.shape}], instead of [${shape}]`)
}

async function writeAll(handle: FileHandle, parts: readonly ArrayBufferView[]): Promise<void> {
  for (const data of parts) await writeBytes(handle, data)
}

/** A tensor's bytes in the form it is stored in, in the order of `planOf`. */
function storedParts(
  key: string,
  { data, shape }: FloatTensor,
  { convolutionBlock, quantized, float16 }: PrepareOptions,
): ArrayBufferView[] {
  if (float16 === 'all') return [float32ToFloat16(data)]
  if (quantized?.keys.has(key)) {
    const { values, scales } = quantizeMatrix(data, shape[0] as number, shape[1] as number, quantized.layout)
    return [scales, values]
  }
  return [isBlocked({ shape }, convolutionBlock) ? blockFilter(data, shape, convolutionBlock) : data]
}

function preparedWeights(
  weights: ComponentWeights,
  identity: string,
  prepared: WeightFile | undefined,
  {
    convolutionBlock,
    quantized,
    shapeOf,
  }: Pick<PrepareOptions, 'convolutionBlock' | 'quantized'> & Pick<PreparedForm, 'shapeOf'>,
): Weights {
  const storedTensor = (key: string): StoredTensor => {
    const stored = weights.tensors.get(key)
    if (!stored) throw new CheckpointError(`${weights.name} of ${weights.source} has no tensor ${key}`)
    return stored
  }
  const isBlockedKey = (key: string) =>
    !quantized?.keys.has(key) && isBlocked({ shape: shapeOf(key, storedTensor(key)) }, convolutionBlock)
  const inPreparedFile = (key: string): WeightLocation | undefined => {
    const place = prepared?.tensors.get(key)
    return prepared && place && { path: prepared.path, offset: place.offset, length: place.length }
  }
  return {
    name: weights.name,
    identity,
    convolutionBlock,
    locate(key) {
      const stored = storedTensor(key)
      if (isBlockedKey(key)) throw new CheckpointError(`${key} is stored for convolutions only`)
      if (quantized?.keys.has(key)) throw new CheckpointError(`${key} is stored for linear layers only`)
      const place = inPreparedFile(key) ?? placeOf(stored)
      const dtype = FLOAT_TYPES[prepared?.tensors.get(key)?.dtype ?? stored.dtype]
      if (!dtype) throw new CheckpointError(`${key} is ${stored.dtype}; a weight must be a float`)
      return { ...place, dtype }
    },
    locateBlocked: (key) => (isBlockedKey(key) ? inPreparedFile(key) : undefined),
    locateQuantized(key) {
      if (!quantized?.keys.has(key)) return undefined
      const [values, scales] = [inPreparedFile(key), inPreparedFile(scalesKey(key))]
      return values && scales && { values, scales }
    },
    places: () => [...weights.tensors].map(([key, stored]) => inPreparedFile(key) ?? placeOf(stored)),
  }
}

function placeOf({ file, offset, length }: StoredTensor): WeightLocation {
  return { path: file.path, offset, length }
}
