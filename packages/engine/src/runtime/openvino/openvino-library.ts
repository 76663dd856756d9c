import { existsSync } from 'node:fs'
import { join } from 'node:path'
import koffi, { type TypeObject } from 'koffi'
import type { DType, Shape } from '../../tensor/tensor.ts'
import { RunCancelledError } from '../native-session.ts'
import { OutOfMemoryError } from '../session.ts'
import { openVinoLibraries } from './openvino-release.ts'

/** A pointer of the library's. */
export type Handle = bigint

/** Numbers of `ov_element_type_e`. */
const ELEMENT_TYPE: Readonly<Partial<Record<DType, number>>> = {
  float16: 3,
  float32: 4,
  int32: 9,
  int64: 10,
  uint8: 16,
}

/** `ov_status_e` of a run that was cancelled. */
const INFER_CANCELLED = -13

/** Stack of a call. Compiling walks the graph's passes recursively, beyond the one megabyte that koffi gives. */
const STACK_BYTES = 16 * 2 ** 20

/** OpenVINO's C interface (`openvino/c/*.h`), as much of it as a graph on the CPU needs. Every call throws with the library's reason. */
export interface OpenVino {
  /** Compiles the ONNX file `path`. This thread waits. */
  compile(path: string, properties: Readonly<Record<string, string>>): Handle
  createRequest(compiled: Handle): Handle
  createTensor(dtype: DType, shape: Shape): NativeTensor
  setTensor(request: Handle, name: string, tensor: NativeTensor): void
  /** Runs the graph on threads of the library's. @throws RunCancelledError after `cancel` */
  infer(request: Handle): Promise<void>
  cancel(request: Handle): void
  free(kind: 'request' | 'compiled', handle: Handle): void
}

/** Memory that the library owns, which V8 does not move. */
export interface NativeTensor {
  readonly handle: Handle
  /** Its bytes; not to be touched after `free`. */
  readonly bytes: Uint8Array
  free(): void
}

let loaded: { readonly folder: string; readonly library: OpenVino } | undefined

/**
 * Loads the libraries of a folder; once a process, since native libraries are not unloaded.
 * @throws Error in one sentence when they are missing or do not load
 */
export function loadOpenVino(folder: string): OpenVino {
  if (loaded?.folder === folder) return loaded.library
  const names = openVinoLibraries()
  if (names === undefined) throw new Error(`there is no OpenVINO for ${process.platform} ${process.arch}`)
  const missing = names.filter((name) => !existsSync(join(folder, name)))
  if (missing.length > 0) throw new Error(`${folder} lacks ${missing.join(', ')}`)
  if (loaded === undefined) koffi.config({ ...koffi.config(), sync_stack_size: STACK_BYTES })
  const library = bind(koffi.load(join(folder, names[0] as string)))
  loaded = { folder, library }
  return library
}

type Library = ReturnType<typeof koffi.load>

function bind(library: Library): OpenVino {
  const call = caller(library)
  const core = call.handle('int ov_core_create(_Out_ void **core)')
  const property = struct('DarkroomOpenVinoProperty', { key: 'str', value: 'str' })
  const compile = library.func('ov_core_compile_model_from_file_props', 'int', [
    'void *',
    'str',
    'str',
    'size_t',
    koffi.pointer(property),
    koffi.out(koffi.pointer('void *')),
  ])
  const createRequest = library.func('int ov_compiled_model_create_infer_request(void *model, _Out_ void **request)')
  const setTensor = library.func('int ov_infer_request_set_tensor(void *request, str name, void *tensor)')
  const start = library.func('int ov_infer_request_start_async(void *request)')
  const wait = library.func('int ov_infer_request_wait(void *request)')
  const cancel = library.func('int ov_infer_request_cancel(void *request)')
  const frees = {
    request: library.func('void ov_infer_request_free(void *request)'),
    compiled: library.func('void ov_compiled_model_free(void *model)'),
  }
  return {
    compile(path, properties) {
      const pairs = Object.entries(properties).map(([key, value]) => ({ key, value }))
      return call.out((out) => compile(core, path, 'CPU', pairs.length, pairs, out))
    },
    createRequest: (compiled) => call.out((out) => createRequest(compiled, out)),
    createTensor: tensorMaker(library, call),
    setTensor: (request, name, { handle }) => call.check(setTensor(request, name, handle)),
    infer(request) {
      call.check(start(request))
      return new Promise((resolve, reject) => {
        // The library keeps an error's text by thread, and another thread waits: a second, ready wait on this one gets the text.
        wait.async(request, (error: unknown, status: number) => {
          if (status === 0 && !error) resolve()
          else if (status === INFER_CANCELLED) reject(new RunCancelledError('the run was cancelled'))
          else reject(call.failure(status === 0 ? 0 : wait(request)))
        })
      })
    },
    cancel: (request) => call.check(cancel(request)),
    free: (kind, handle) => frees[kind](handle),
  }
}

interface Caller {
  check(status: number): void
  failure(status: number): Error
  out(make: (out: [Handle | null]) => number): Handle
  handle(declaration: string): Handle
}

function caller(library: Library): Caller {
  const lastError = library.func('str ov_get_last_err_msg()')
  const failure = (status: number): Error => {
    const text = String(lastError() ?? '')
    // "Exception from FILE:LINE:" and "Check 'CONDITION' failed at FILE:LINE:" stand above what a reader can use.
    const lines = text.split('\n').filter((line) => line.trim() !== '' && !/^(Exception from|Check ')/.test(line))
    const reason = lines.slice(0, 4).join(' ') || text.split('\n')[0] || `status ${status}`
    if (/bad_alloc|allocat|out of memory/i.test(text))
      return new OutOfMemoryError(`OpenVINO ran out of memory: ${reason}`)
    return new Error(`OpenVINO: ${reason}`)
  }
  const check = (status: number) => {
    if (status !== 0) throw failure(status)
  }
  const out = (make: (out: [Handle | null]) => number) => {
    const made: [Handle | null] = [null]
    check(make(made))
    if (made[0] === null) throw new Error('OpenVINO: no result')
    return made[0]
  }
  return { check, failure, out, handle: (declaration) => out(library.func(declaration)) }
}

function tensorMaker(library: Library, call: Caller): OpenVino['createTensor'] {
  const shapeType = struct('DarkroomOpenVinoShape', { rank: 'int64_t', dims: 'int64_t *' })
  const create = library.func('ov_tensor_create', 'int', ['int', shapeType, koffi.out(koffi.pointer('void *'))])
  const dataOf = library.func('int ov_tensor_data(void *tensor, _Out_ void **data)')
  const sizeOf = library.func('int ov_tensor_get_byte_size(void *tensor, _Out_ size_t *size)')
  const free = library.func('void ov_tensor_free(void *tensor)')
  return (dtype, shape) => {
    const type = ELEMENT_TYPE[dtype]
    if (type === undefined) throw new Error(`OpenVINO tensors of ${dtype} are not used here`)
    const handle = call.out((out) => create(type, { rank: shape.length, dims: shape }, out))
    const data = call.out((out) => dataOf(handle, out))
    const size: [number] = [0]
    call.check(sizeOf(handle, size))
    return { handle, bytes: new Uint8Array(koffi.view(data, Number(size[0]))), free: () => free(handle) }
  }
}

/** koffi's types are global to the process, a thread that was started again finds its own. */
function struct(name: string, members: Record<string, string>): TypeObject {
  return koffi.struct(`${name}_${++structCount}`, members)
}

let structCount = 0
