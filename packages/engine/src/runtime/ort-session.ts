import ort from 'onnxruntime-node'
import type { Tensor } from '../tensor/tensor.ts'
import type { NativeSession } from './native-session.ts'
import { saysOutOfMemory } from './out-of-memory.ts'
import { type ExecutionProvider, OutOfMemoryError, type RuntimeOptions, type TensorInfo } from './session.ts'
import type { SerializedModel } from './weight-files.ts'

// Whatever is an error is also thrown; its own log would print it a second time, in red, for each provider that is tried.
ort.env.logLevel = 'fatal'

/**
 * A session of onnxruntime on this thread, which this and `run` block while they work.
 * @throws Error with onnxruntime's reason; OutOfMemoryError when an allocation failed
 */
export async function createOrtSession(
  { model, folder }: SerializedModel,
  outputs: readonly TensorInfo[],
  { threads, executionProvider = 'cpu', deviceNumber = 0 }: RuntimeOptions,
): Promise<NativeSession> {
  const built = ort.listSupportedBackends().map(({ name }) => name)
  // With the CPU listed behind it, an unknown provider would be dropped without an error.
  if (!built.includes(executionProvider)) {
    throw new Error(`this build of onnxruntime has ${built.join(', ')}, not ${executionProvider}`)
  }
  const options: ort.InferenceSession.SessionOptions = {
    executionProviders: [...providers(executionProvider, deviceNumber), 'cpu'],
    graphOptimizationLevel: 'all',
    // Plans all activations of a size into one block at the second run and keeps the first run's too: VAE decode at 512×512 takes
    // 2.6 GB with it and 1.4 GB without, at the same speed.
    enableMemPattern: false,
    extra: {
      session: {
        ...(folder !== undefined && { model_external_initializers_file_folder_path: folder }),
        // Packing copies every matrix at load (SD1.5's UNet: 1 s, 0.9 GB); packing them panel by panel in each run is as fast.
        disable_prepacking: '1',
        // A thread that has no work waits instead of asking for it in a loop. Asking took 250 ms of processor time for a frame of the demo
        // checkpoint whose arithmetic is 95, from whatever else the cores had to do: the gateway, other programs, the other thread.
        intra_op: { allow_spinning: '0' },
      },
    },
    logSeverityLevel: 4,
  }
  if (threads !== undefined) options.intraOpNumThreads = threads
  // The signatures for a path and for bytes are two, which a union fits neither of.
  const created =
    typeof model === 'string'
      ? ort.InferenceSession.create(model, options)
      : ort.InferenceSession.create(model, options)
  const session = await created.catch(rethrow)
  return {
    async run(feeds) {
      const results = await session.run(toOrt(feeds)).catch(rethrow)
      return Object.fromEntries(outputs.map((info) => [info.name, fromOrt(info, results[info.name] as ort.Tensor)]))
    },
    release: () => session.release(),
  }
}

function providers(name: ExecutionProvider, deviceId: number): ort.InferenceSession.ExecutionProviderConfig[] {
  if (name === 'cpu') return []
  return name === 'cuda' || name === 'tensorrt' || name === 'dml' ? [{ name, deviceId }] : [name]
}

function toOrt(feeds: Readonly<Record<string, Tensor>>): Record<string, ort.Tensor> {
  return Object.fromEntries(
    Object.entries(feeds).map(([name, { dtype, shape, data }]) => [
      name,
      new ort.Tensor(dtype as 'float32', data as Float32Array, shape),
    ]),
  )
}

function fromOrt({ dtype, name }: TensorInfo, value: ort.Tensor): Tensor {
  if (value.type !== dtype) throw new Error(`the output ${name} is ${value.type}, the graph declares ${dtype}`)
  // onnxruntime returns float16 as the runtime's Float16Array where there is one; this engine keeps the 16 bits.
  const data = value.data as Tensor['data']
  const bits = dtype === 'float16' ? new Uint16Array(data.buffer, data.byteOffset, data.length) : data
  return { dtype, shape: [...value.dims], data: bits } as Tensor
}

function rethrow(cause: unknown): never {
  const message = cause instanceof Error ? cause.message : String(cause)
  if (saysOutOfMemory(message)) {
    throw new OutOfMemoryError(`onnxruntime ran out of memory: ${message}`, { cause })
  }
  throw cause
}
