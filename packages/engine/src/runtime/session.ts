import type { PrepareOptions, Weights } from '../checkpoint/prepared-weights.ts'
import { EngineError } from '../errors/engine-error.ts'
import type { OnnxFile } from '../formats/onnx-file.ts'
import type { Graph } from '../graph/graph.ts'
import type { LastingFeeds } from '../tensor/lasting-feeds.ts'
import type { DType, Shape, Tensor } from '../tensor/tensor.ts'
import type { FastForm } from './fast-form.ts'
import type { SessionCost } from './session-cost.ts'

/** An input or output. A graph's shapes are static, a model file's may have dimensions that are `DYNAMIC`. */
export interface TensorInfo {
  readonly name: string
  readonly dtype: DType
  readonly shape: Shape
}

/** What a graph and a ready-made model have in common. */
export interface NetworkInfo {
  readonly name: string
  readonly inputs: readonly TensorInfo[]
  readonly outputs: readonly TensorInfo[]
}

/** A graph's value without the graph, which cannot cross threads and need not stay in memory. */
export function infoOf({ name, dtype, shape }: TensorInfo): TensorInfo {
  return { name, dtype, shape }
}

/** A graph with its weights, loaded and ready to run. */
export interface Session {
  readonly inputs: readonly TensorInfo[]
  readonly outputs: readonly TensorInfo[]
  /**
   * Runs the graph once; a second call waits for the first. Feeds are copied, results belong to the caller.
   * @param lasting feeds beside them that are not copied for each run
   * @param signal ends the run where the back end can (OpenVINO, within a step); elsewhere the run comes to its end and its result is dropped
   * @throws the signal's reason; Error naming the input when a feed is missing, unknown or misshapen; SessionLostError when the runtime died
   */
  run(
    feeds: Readonly<Record<string, Tensor>>,
    lasting?: LastingFeeds,
    signal?: AbortSignal,
  ): Promise<Record<string, Tensor>>
  /** Frees its memory. Calling it twice is fine, `run` afterwards is an error. */
  release(): Promise<void>
}

/** Hardware back ends of onnxruntime, in its spelling. */
export type ExecutionProvider = 'cpu' | 'cuda' | 'tensorrt' | 'dml' | 'coreml' | 'webgpu'

export interface RuntimeOptions {
  /** Threads within one operator. Default: onnxruntime's choice, the number of physical cores. */
  readonly threads?: number
  /** Default `cpu`. Operators that a provider lacks run on the CPU. */
  readonly executionProvider?: ExecutionProvider
  /** Which of several GPUs, of those that CUDA, TensorRT and DirectML number. Default 0. */
  readonly deviceNumber?: number
  /** What graphs that tolerate it run as; absent: all of them in float32, for which parity with diffusers is promised. */
  readonly fast?: FastForm
}

/** What to pass to `WeightCache.prepare` for graphs that run in some runtime. */
export type WeightForm = Pick<PrepareOptions, 'convolutionBlock' | 'quantized' | 'isWhole' | 'float16'>

/** Loads graphs. */
export interface Runtime {
  /** @throws Error when the graph does not load, OutOfMemoryError when memory runs out */
  createSession(graph: Graph, weights: Weights): Promise<Session>
  /** Loads a ready-made model. @throws Error when it does not load, OutOfMemoryError when memory runs out */
  openModel(file: OnnxFile): Promise<Session>
  /** The form in which this runtime loads the weights of these graphs, which are of one component, in place. */
  weightForm(graphs: readonly Graph[]): Promise<WeightForm>
  /** What a graph's session will take, before it is loaded. */
  costOf(graph: Graph): SessionCost
  /** Releases every session. */
  dispose(): Promise<void>
}

/** Memory ran out, or would: `neededBytes` for what, against `limitBytes`, as far as they are known. */
export class OutOfMemoryError extends EngineError {
  override readonly name = 'OutOfMemoryError'
  readonly kind = 'memory'
  readonly neededBytes: number | undefined
  readonly limitBytes: number | undefined

  constructor(
    message: string,
    options: { readonly neededBytes?: number; readonly limitBytes?: number; readonly cause?: unknown } = {},
  ) {
    super(message, { cause: options.cause })
    this.neededBytes = options.neededBytes
    this.limitBytes = options.limitBytes
  }
}

/** The thread that held the session ended. A new session can be created. */
export class SessionLostError extends EngineError {
  override readonly name = 'SessionLostError'
  readonly kind = 'session'
}
