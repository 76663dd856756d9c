import { BYTES_PER_ELEMENT, bytesOf, elementCount, type Tensor } from '../../tensor/tensor.ts'
import type { OpenVinoLinears, OpenVinoPrecision } from '../fast-form.ts'
import type { NativeSession } from '../native-session.ts'
import type { TensorInfo } from '../session.ts'
import { type Handle, loadOpenVino, type NativeTensor, type OpenVino } from './openvino-library.ts'

export interface OpenVinoSessionOptions {
  /** Folder of the libraries. */
  readonly folder: string
  readonly precision: OpenVinoPrecision
  readonly linears: OpenVinoLinears
  readonly threads?: number
  /** Where compiled models are kept: what is in here loads faster the second time. */
  readonly cacheFolder?: string
}

/** Activations that share a scale, where linear layers are of 8 bits: 64 and 128 take 0.34 to 0.60 of the time of float32, 32 a quarter more. */
const QUANTIZATION_GROUP = '128'

/**
 * An ONNX file, compiled by OpenVINO for this CPU. This thread waits while it is compiled, not while it runs.
 * @throws Error with OpenVINO's reason; OutOfMemoryError when an allocation failed
 */
export function createOpenVinoSession(
  path: string,
  outputs: readonly TensorInfo[],
  options: OpenVinoSessionOptions,
): NativeSession {
  const library = loadOpenVino(options.folder)
  const compiled = library.compile(path, compileProperties(options))
  const request = library.createRequest(compiled)
  const results = outputs.map((info) => ({ info, tensor: outputTensor(library, request, info) }))
  const feedTensors = new Map<string, FedTensor>()
  return {
    async run(feeds) {
      for (const [name, feed] of Object.entries(feeds)) {
        const fed = fedTensor(library, request, feedTensors, name, feed)
        // Feeds that last from run to run (factors of LoRAs) are the same object each time.
        if (fed.last !== feed) fed.tensor.bytes.set(bytesOf(feed.data))
        fed.last = feed
      }
      await library.infer(request)
      return Object.fromEntries(results.map(({ info, tensor }) => [info.name, copyOf(info, tensor)]))
    },
    cancel: () => library.cancel(request),
    async release() {
      library.free('request', request)
      library.free('compiled', compiled)
      for (const { tensor } of [...feedTensors.values(), ...results]) tensor.free()
    },
  }
}

function compileProperties({
  precision,
  linears,
  threads,
  cacheFolder,
}: OpenVinoSessionOptions): Record<string, string> {
  return {
    INFERENCE_PRECISION_HINT: precision,
    NUM_STREAMS: '1',
    ...(linears === 'int8' && { DYNAMIC_QUANTIZATION_GROUP_SIZE: QUANTIZATION_GROUP }),
    ...(threads !== undefined && { INFERENCE_NUM_THREADS: String(threads) }),
    // Each process pins its threads to the same first cores, and runners share a machine.
    ENABLE_CPU_PINNING: 'NO',
    // The compiled model without its weights, which are read from where they lie: 238 MB in place of 3.4 GB for an SD1.5 UNet (677 MB with Winograd's
    // convolutions), nearly all of it filters that are made when it is compiled (`openVinoForm`).
    ...(cacheFolder !== undefined && { CACHE_DIR: cacheFolder, CACHE_MODE: 'OPTIMIZE_SIZE' }),
  }
}

interface FedTensor {
  readonly shape: string
  readonly tensor: NativeTensor
  /** What was copied into it last. */
  last?: Tensor
}

/** The tensor an input is copied into, made anew when an open dimension has another size than before. */
function fedTensor(
  library: OpenVino,
  request: Handle,
  tensors: Map<string, FedTensor>,
  name: string,
  { dtype, shape }: Tensor,
): FedTensor {
  const known = tensors.get(name)
  if (known?.shape === String(shape)) return known
  const made: FedTensor = { shape: String(shape), tensor: library.createTensor(dtype, shape) }
  library.setTensor(request, name, made.tensor)
  tensors.set(name, made)
  known?.tensor.free()
  return made
}

function outputTensor(library: OpenVino, request: Handle, { name, dtype, shape }: TensorInfo): NativeTensor {
  const tensor = library.createTensor(dtype, shape)
  library.setTensor(request, name, tensor)
  return tensor
}

function copyOf({ dtype, shape }: TensorInfo, { bytes }: NativeTensor): Tensor {
  if (dtype !== 'float32' || bytes.length !== elementCount(shape) * BYTES_PER_ELEMENT.float32) {
    throw new Error(`a result of ${bytes.length} bytes is no float32 [${shape}]`)
  }
  return { dtype, shape, data: new Float32Array(bytes.slice().buffer) }
}
