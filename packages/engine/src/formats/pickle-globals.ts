/**
 * The names that a pickle of weights may use, and what comes of them here. All others are refused: a pickle can name any function of
 * any Python module and have it called.
 */

import { isCount } from '../tensor/tensor.ts'
import { PickledGlobal, PickledObject, PickledStorage, PickledTensor, type PickleValue } from './pickle-values.ts'
import { ELEMENT_BYTES, type ElementType, spanOf } from './stored-tensor.ts'

/** A value cannot be made; the message is half a sentence. */
export class PickleProblem extends Error {
  override readonly name = 'PickleProblem'
}

/** Counts what the reading of a pickle makes; throws PickleProblem when it is too much. */
export type Charge = (items: number) => void

type Make = (args: readonly PickleValue[], charge: Charge) => PickleValue

const DTYPES: Readonly<Record<string, ElementType>> = {
  float64: 'F64',
  double: 'F64',
  float32: 'F32',
  float: 'F32',
  float16: 'F16',
  half: 'F16',
  bfloat16: 'BF16',
  int64: 'I64',
  long: 'I64',
  int32: 'I32',
  int: 'I32',
  int16: 'I16',
  short: 'I16',
  int8: 'I8',
  uint8: 'U8',
  uint16: 'U16',
  uint32: 'U32',
  uint64: 'U64',
  bool: 'BOOL',
  float8_e4m3fn: 'F8_E4M3',
  float8_e5m2: 'F8_E5M2',
}

const STORAGES: Readonly<Record<string, ElementType>> = {
  'torch.DoubleStorage': 'F64',
  'torch.FloatStorage': 'F32',
  'torch.HalfStorage': 'F16',
  'torch.BFloat16Storage': 'BF16',
  'torch.LongStorage': 'I64',
  'torch.IntStorage': 'I32',
  'torch.ShortStorage': 'I16',
  'torch.CharStorage': 'I8',
  'torch.ByteStorage': 'U8',
  'torch.BoolStorage': 'BOOL',
  'torch.storage.UntypedStorage': 'U8',
  'torch.UntypedStorage': 'U8',
}

/** Functions and classes that are called, by today's Python names. */
const CALLED: Readonly<Record<string, Make>> = {
  'collections.OrderedDict': (args, charge) => new Map(asPairs(args[0] ?? [], charge)),
  'collections.defaultdict': (args, charge) => new Map(asPairs(args[1] ?? [], charge)),
  'builtins.set': (args, charge) => new Set(asItems(args[0] ?? [], charge)),
  'builtins.frozenset': (args, charge) => new Set(asItems(args[0] ?? [], charge)),
  // Protocol 2 has no bytes of its own: they are text in which each character is one byte.
  '_codecs.encode': ([text], charge) => {
    if (typeof text !== 'string') throw new PickleProblem('it encodes something that is no text')
    charge(text.length)
    return new Uint8Array(Buffer.from(text, 'latin1'))
  },
  'torch.Size': (args) => asList(args[0] ?? []),
  'torch.device': (args) => (typeof args[0] === 'string' ? args[0] : ''),
  'torch._utils._rebuild_tensor': ([storage, offset, size, stride]) => tensor(storage, undefined, offset, size, stride),
  'torch._utils._rebuild_tensor_v2': ([storage, offset, size, stride]) =>
    tensor(storage, undefined, offset, size, stride),
  'torch._utils._rebuild_tensor_v3': ([storage, offset, size, stride, , , dtype]) =>
    tensor(storage, asDType(dtype), offset, size, stride),
  'torch._utils._rebuild_parameter': ([data]) => asTensor(data),
  'torch._utils._rebuild_parameter_with_state': ([data]) => asTensor(data),
  // A tensor with attributes of its own, or of a subclass: (function, class, its arguments, state).
  'torch._tensor._rebuild_from_type_v2': ([make, , args], charge) => {
    const isTensor = make instanceof PickledGlobal && /^torch\._utils\._rebuild_/.test(make.path)
    if (!isTensor) throw new PickleProblem('it builds a tensor in an unknown way')
    return callGlobal(make, asList(args), charge)
  },
}

/** Classes that training programs leave in checkpoints. Their objects hold data, which is kept as it is. */
const DATA_CLASSES: ReadonlySet<string> = new Set([
  'torch.nn.modules.container.ParameterDict',
  'torch.nn.parameter.Parameter',
  'torch.Tensor',
  'builtins.dict',
  'builtins.list',
  'builtins.int',
  'builtins.float',
  'argparse.Namespace',
  'numpy.dtype',
  'numpy.ndarray',
  'numpy.core.multiarray.scalar',
  'numpy.core.multiarray._reconstruct',
  'numpy._core.multiarray.scalar',
  'numpy._core.multiarray._reconstruct',
  'pytorch_lightning.callbacks.model_checkpoint.ModelCheckpoint',
  'lightning.pytorch.callbacks.model_checkpoint.ModelCheckpoint',
])

/** Names of Python 2. */
const MODULES: Readonly<Record<string, string>> = { __builtin__: 'builtins', copy_reg: 'copyreg' }

/**
 * The class or function that a pickle names.
 * @throws PickleProblem for every name that weights have no need of
 */
export function findGlobal(module: string, name: string): PickledGlobal {
  const path = `${MODULES[module] ?? module}.${name}`
  const isKnown =
    Object.hasOwn(CALLED, path) ||
    Object.hasOwn(STORAGES, path) ||
    DATA_CLASSES.has(path) ||
    dtypeOf(path) !== undefined
  if (isKnown) return new PickledGlobal(path)
  const shown = JSON.stringify(`${module}.${name}`).slice(1, -1).slice(0, 80)
  throw new PickleProblem(
    `refused \`${shown}\`: a weights file holds numbers, and this one wants to run code; get the .safetensors form of the model`,
  )
}

function dtypeOf(path: string): ElementType | undefined {
  const name = path.slice('torch.'.length)
  return path.startsWith('torch.') && Object.hasOwn(DTYPES, name) ? DTYPES[name] : undefined
}

/** What the call of a known class or function gives. */
export function callGlobal({ path }: PickledGlobal, args: readonly PickleValue[], charge: Charge): PickleValue {
  const make = Object.hasOwn(CALLED, path) ? CALLED[path] : undefined
  if (make) return make(args, charge)
  if (DATA_CLASSES.has(path)) return new PickledObject(path, args)
  throw new PickleProblem(`it calls ${path}, which is no function`)
}

/** The storage that a persistent id stands for: `('storage', class, key, location, count)`. */
export function storageOfId(id: PickleValue): PickledStorage {
  if (!Array.isArray(id) || id[0] !== 'storage') throw new PickleProblem('it refers to something that is no storage')
  const [, type, key, , count] = id
  const dtype = type instanceof PickledGlobal && Object.hasOwn(STORAGES, type.path) ? STORAGES[type.path] : undefined
  if (dtype === undefined) {
    throw new PickleProblem(`it has a storage of ${type instanceof PickledGlobal ? type.path : 'no known class'}`)
  }
  if (typeof key !== 'string' || !isCount(count)) throw new PickleProblem('it has a storage without a name or a size')
  return new PickledStorage(key, dtype, count * ELEMENT_BYTES[dtype])
}

const MAX_DIMENSIONS = 64
/** A tensor that repeats a few stored elements (torch.Tensor.expand) must not become gigabytes: 4 Mi elements. */
const MAX_REPEATED_ELEMENTS = 2 ** 22

function tensor(
  storage: PickleValue | undefined,
  givenType: ElementType | undefined,
  offset: PickleValue | undefined,
  size: PickleValue | undefined,
  stride: PickleValue | undefined,
): PickledTensor {
  if (!(storage instanceof PickledStorage)) throw new PickleProblem('it has a tensor without a storage')
  const dtype = givenType ?? storage.dtype
  const [shape, strides] = [asCounts(size), asCounts(stride)]
  if (!isCount(offset) || shape.length !== strides.length || shape.length > MAX_DIMENSIONS) {
    throw new PickleProblem('it has a tensor with an impossible shape')
  }
  const stored = storage.byteLength / ELEMENT_BYTES[dtype]
  const elements = shape.reduce((product, count) => product * count, 1)
  if (offset + spanOf(shape, strides) > stored) {
    throw new PickleProblem(`a tensor of shape [${shape.slice(0, 8)}] reaches beyond its storage`)
  }
  if (elements > Math.max(stored, MAX_REPEATED_ELEMENTS)) {
    throw new PickleProblem(`a tensor of shape [${shape.slice(0, 8)}] repeats the ${stored} elements of its storage`)
  }
  return new PickledTensor({ storage, dtype, storageOffset: offset, shape, strides })
}

function asTensor(value: PickleValue | undefined): PickledTensor {
  if (value instanceof PickledTensor) return value
  throw new PickleProblem('it has a parameter that is no tensor')
}

function asDType(value: PickleValue | undefined): ElementType {
  const dtype = value instanceof PickledGlobal ? dtypeOf(value.path) : undefined
  if (dtype === undefined) throw new PickleProblem('it has a tensor of an unknown element type')
  return dtype
}

function asCounts(value: PickleValue | undefined): number[] {
  if (!Array.isArray(value) || value.length > MAX_DIMENSIONS || !value.every(isCount)) {
    throw new PickleProblem('it has a tensor with an impossible shape')
  }
  return [...value]
}

function asList(value: PickleValue | undefined): PickleValue[] {
  if (!Array.isArray(value)) throw new PickleProblem('it calls a function with something that is no list')
  return value
}

function asItems(value: PickleValue, charge: Charge): PickleValue[] {
  const items = asList(value)
  charge(items.length)
  return items
}

function asPairs(value: PickleValue, charge: Charge): [PickleValue, PickleValue][] {
  if (value instanceof Map) {
    charge(value.size)
    return [...value]
  }
  return asItems(value, charge).map((pair) => {
    const [key, item] = asList(pair)
    if (key === undefined || item === undefined)
      throw new PickleProblem('it fills a dict with something else than pairs')
    return [key, item]
  })
}
