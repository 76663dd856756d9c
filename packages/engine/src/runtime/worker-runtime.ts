import { parse } from 'node:path'
import { Worker } from 'node:worker_threads'
import type { Weights } from '../checkpoint/prepared-weights.ts'
import type { OnnxFile } from '../formats/onnx-file.ts'
import type { Graph } from '../graph/graph.ts'
import type { LastingFeeds } from '../tensor/lasting-feeds.ts'
import type { FloatTensor, Tensor } from '../tensor/tensor.ts'
import { findConvolutionBlock } from './convolution-block.ts'
import type { OpenVinoFastForm } from './fast-form.ts'
import { checkFeeds, type FeedInfo } from './feeds.ts'
import { RunCancelledError } from './native-session.ts'
import { int8Keys } from './openvino/int8-linears.ts'
import { sweepLinkedModels, writeLinkedModel } from './openvino/linked-model.ts'
import type { OpenVinoSessionOptions } from './openvino/openvino-session.ts'
import { quantizableLinears } from './quantized-linears.ts'
import {
  infoOf,
  type NetworkInfo,
  OutOfMemoryError,
  type Runtime,
  type RuntimeOptions,
  type Session,
  SessionLostError,
  type WeightForm,
} from './session.ts'
import { estimateCost, estimateFloat16Cost, estimateOpenVinoCost, type SessionCost } from './session-cost.ts'
import type { CancelMessage, ReplyMessage, RequestMessage, SessionRequest } from './session-protocol.ts'
import { type SerializedModel, serializeInPlace } from './weight-files.ts'

/** Previews have a thread of their own: one picture's is decoded while another is denoised. */
type ThreadName = 'pictures' | 'previews'

/**
 * Bytes of activations below which a graph runs on one thread. The demo checkpoint's UNet has 2.6 MB: its 600 operators take 17 ms on one thread and 15 on
 * two, which are busy for 23, and a realtime frame before it wants the second core for its decoder. SD1.5's at 512×512 has 346 MB.
 */
const SMALL_WORK = 4e6

interface LoadOptions {
  /** Default `pictures`. */
  readonly thread?: ThreadName
  /** Default false. */
  readonly isSmall?: boolean
  /** Left out: onnxruntime runs it. */
  readonly openVino?: OpenVinoSessionOptions
}

/**
 * A runtime whose sessions live in worker threads, so that native calls never block this one. A thread starts with its first
 * session; should it die, its sessions throw SessionLostError and the next one starts a new thread. It keeps the process
 * alive only while it works.
 */
export class WorkerRuntime implements Runtime {
  readonly #options: RuntimeOptions
  readonly #threads = new Map<ThreadName, SessionThread>()
  #sessionCount = 0
  #swept: Promise<void> | undefined
  #convolutionBlock: Promise<number | undefined> | undefined

  constructor(options: RuntimeOptions = {}) {
    this.#options = options
  }

  async createSession(graph: Graph, weights: Weights): Promise<Session> {
    const { convolutionBlock } = weights
    const openVino = this.#openVinoFor(graph)
    if (openVino) return this.#loadInOpenVino(graph, weights, openVino)
    const own = convolutionBlock === undefined ? undefined : await this.convolutionBlock()
    if (convolutionBlock !== own) {
      throw new Error(`the weights of ${weights.name} are in blocks of ${convolutionBlock}, this runtime's are ${own}`)
    }
    const { executionProvider = 'cpu', fast } = this.#options
    const model = serializeInPlace(graph, weights, {
      executionProvider,
      foldsUpsampling: this.#foldsUpsampling(graph),
      float16: fast?.kind === 'float16',
    })
    return this.#load(graph, model, { thread: this.#threadOf(graph), isSmall: this.#isSmall(graph) })
  }

  openModel(file: OnnxFile): Promise<Session> {
    return this.#load(file, { model: file.path })
  }

  async weightForm(graphs: readonly Graph[]): Promise<WeightForm> {
    if (graphs.some((graph) => this.#openVinoFor(graph))) return this.#openVinoWeightForm(graphs)
    if (this.#options.fast?.kind === 'float16')
      return { float16: graphs.every(({ fitsFloat16 }) => fitsFloat16) ? 'all' : 'kept' }
    const convolutionBlock = await this.convolutionBlock()
    const form = convolutionBlock === undefined ? {} : { convolutionBlock }
    if (this.#options.fast?.kind !== 'int8') return form
    const quantized = graphs.flatMap((graph) => (graph.toleratesReducedPrecision ? [...quantizableLinears(graph)] : []))
    return quantized.length > 0 ? { ...form, quantized: { keys: new Set(quantized), layout: '[in, out]' } } : form
  }

  /** In one file: what is compiled is kept only of models whose weights are (`writeLinkedModel`). */
  #openVinoWeightForm(graphs: readonly Graph[]): WeightForm {
    const isEach = graphs.every((graph) => this.#openVinoFor(graph)?.linears === 'int8')
    const keys = new Set(isEach ? graphs.flatMap((graph) => [...int8Keys(graph)]) : [])
    return keys.size === 0 ? {} : { quantized: { keys, layout: '[out, in]' }, isWhole: true }
  }

  costOf(graph: Graph): SessionCost {
    const openVino = this.#openVinoFor(graph)
    if (openVino) return estimateOpenVinoCost(graph, openVino)
    const isHalved = this.#options.fast?.kind === 'float16' && graph.fitsFloat16
    return isHalved
      ? estimateFloat16Cost(graph)
      : estimateCost(graph, { foldsUpsampling: this.#foldsUpsampling(graph) })
  }

  /**
   * The block size of this CPU's convolution kernels, found once by trying; weights in this form are loaded in place. Undefined where the
   * kernels have no blocked form.
   */
  convolutionBlock(): Promise<number | undefined> {
    if ((this.#options.executionProvider ?? 'cpu') !== 'cpu') return Promise.resolve(undefined)
    this.#convolutionBlock ??= findConvolutionBlock(async (model, graph, x) => {
      const session = await this.#load(graph, { model, folder: parse(process.cwd()).root })
      const { y } = await session.run({ x })
      await session.release()
      return y as FloatTensor
    })
    return this.#convolutionBlock
  }

  /** Whether convolutions of doubled maps are folded, where onnxruntime runs the graph: on the CPU, where sums may be taken in another order. */
  #foldsUpsampling(graph: Graph): boolean {
    const { executionProvider = 'cpu', fast } = this.#options
    if (executionProvider !== 'cpu' || fast?.kind === 'float16') return false
    return graph.isPreview || (fast !== undefined && graph.toleratesReducedPrecision)
  }

  /** Whether waking a second thread for each operator costs onnxruntime more processor time than the picture gains by it. */
  #isSmall(graph: Graph): boolean {
    return (this.#options.executionProvider ?? 'cpu') === 'cpu' && estimateCost(graph).workBytes < SMALL_WORK
  }

  /** How OpenVINO runs this graph, if it does. */
  #openVinoFor(graph: Graph): OpenVinoFastForm | undefined {
    const { fast } = this.#options
    return graph.toleratesReducedPrecision && fast?.kind === 'openvino' ? fast : undefined
  }

  async #loadInOpenVino(
    graph: Graph,
    weights: Weights,
    { precision, convolutions, linears, folders }: OpenVinoFastForm,
  ): Promise<Session> {
    if (weights.convolutionBlock !== undefined) {
      throw new Error(
        `the weights of ${weights.name} are in blocks of ${weights.convolutionBlock}, OpenVINO has its own`,
      )
    }
    this.#swept ??= sweepLinkedModels(folders.work)
    await this.#swept
    const { threads } = this.#options
    const { path, cacheFolder } = await writeLinkedModel(graph, weights, { folder: folders.work, convolutions })
    const openVino = {
      folder: folders.libraries,
      precision,
      linears,
      ...(cacheFolder !== undefined && { cacheFolder }),
      ...(threads !== undefined && { threads }),
    }
    return this.#load(graph, { model: path }, { thread: this.#threadOf(graph), openVino })
  }

  async #load(
    network: NetworkInfo,
    model: SerializedModel,
    { thread: threadName = 'pictures', isSmall = false, openVino }: LoadOptions = {},
  ): Promise<Session> {
    const thread = this.#liveThread(threadName)
    const options = isSmall ? { ...this.#options, threads: 1 } : this.#options
    const session = ++this.#sessionCount
    const { name } = network
    const [inputs, outputs] = [network.inputs.map(infoOf), network.outputs.map(infoOf)]
    await thread.request(
      { type: 'create', session, model, inputs, outputs, options, ...(openVino && { openVino }) },
      `load ${name}`,
    )
    let released = false
    return {
      inputs,
      outputs,
      async run(feeds, lasting, signal) {
        const made = lasting && !thread.holds(lasting) ? await thread.replaceBy(lasting) : undefined
        // From here on nothing is waited for: what is sent now is what the thread has when it comes to this run.
        if (released) throw new Error(`the session of ${name} was released`)
        checkFeeds(inputs, feeds, made ?? (lasting && thread.infosAt(lasting.place)))
        if (made) thread.move(lasting as LastingFeeds, made)
        const place = lasting && { place: lasting.place }
        return thread.request({ type: 'run', session, feeds, ...place }, `run ${name}`, { signal })
      },
      async release() {
        if (released || !thread.isAlive) return
        released = true
        await thread.request({ type: 'release', session }, `release ${name}`)
      },
    }
  }

  /** A GPU does one thing after another whoever asks it. */
  #threadOf({ isPreview }: Graph): ThreadName {
    return isPreview && (this.#options.executionProvider ?? 'cpu') === 'cpu' ? 'previews' : 'pictures'
  }

  #liveThread(name: ThreadName): SessionThread {
    const known = this.#threads.get(name)
    if (known?.isAlive) return known
    const thread = new SessionThread()
    this.#threads.set(name, thread)
    return thread
  }

  async dispose(): Promise<void> {
    const threads = [...this.#threads.values()]
    this.#threads.clear()
    await Promise.all(threads.map((thread) => thread.end()))
  }
}

interface Pending {
  readonly what: string
  resolve(results: Record<string, Tensor>): void
  reject(error: Error): void
}

/** The worker thread and the requests it has not answered yet. */
class SessionThread {
  readonly #worker: Worker
  readonly #pending = new Map<number, Pending>()
  /** What lies there from run to run, by place. */
  readonly #places = new Map<string, { readonly lasting: LastingFeeds; readonly infos: Record<string, FeedInfo> }>()
  #requestCount = 0
  #end: string | undefined

  constructor() {
    this.#worker = new Worker(workerModule())
    this.#worker.unref()
    this.#worker.on('message', (reply: ReplyMessage) => this.#settle(reply))
    this.#worker.on('error', (error) => this.#lose(`stopped: ${error.message}`))
    this.#worker.on('exit', (code) => this.#lose(`ended with code ${code}`))
  }

  get isAlive(): boolean {
    return this.#end === undefined
  }

  /**
   * @param moved buffers of the request that need not be copied
   * @throws the signal's reason, when the request was ended for it
   */
  async request(
    request: SessionRequest,
    what: string,
    { moved = [], signal }: { readonly moved?: readonly ArrayBuffer[]; readonly signal?: AbortSignal | undefined } = {},
  ): Promise<Record<string, Tensor>> {
    signal?.throwIfAborted()
    if (this.#end !== undefined) throw this.#lostError(what)
    const id = ++this.#requestCount
    const cancel = () => this.#worker.postMessage({ cancel: id } satisfies CancelMessage)
    signal?.addEventListener('abort', cancel)
    try {
      return await new Promise((resolve, reject) => {
        this.#pending.set(id, { what, resolve, reject })
        this.#worker.ref()
        this.#worker.postMessage({ id, request } satisfies RequestMessage, moved)
      })
    } catch (error) {
      throw error instanceof RunCancelledError ? signal?.reason : error
    } finally {
      signal?.removeEventListener('abort', cancel)
    }
  }

  /** Whether feeds lie in their place. */
  holds(lasting: LastingFeeds): boolean {
    return this.#places.get(lasting.place)?.lasting === lasting
  }

  /** What lies in a place. */
  infosAt(place: string): Readonly<Record<string, FeedInfo>> | undefined {
    return this.#places.get(place)?.infos
  }

  /** Makes feeds once those that lie in their place are gone, so that never both are in memory. */
  async replaceBy(lasting: LastingFeeds): Promise<Readonly<Record<string, Tensor>>> {
    const { place } = lasting
    if (this.#places.delete(place)) await this.request({ type: 'clear', place }, `make room for ${place}`)
    return lasting.make()
  }

  /** Moves feeds to their place. */
  move(lasting: LastingFeeds, tensors: Readonly<Record<string, Tensor>>): void {
    const { place } = lasting
    const infos = Object.entries(tensors).map(([name, { dtype, shape }]) => [name, { dtype, shape }] as const)
    this.#places.set(place, { lasting, infos: Object.fromEntries(infos) })
    const buffers = new Set(Object.values(tensors).map(({ data }) => data.buffer as ArrayBuffer))
    // A thread that died rejects the run behind this, too.
    this.request({ type: 'place', place, tensors }, `keep ${place}`, { moved: [...buffers] }).catch(() => {})
  }

  /** Ends the thread after the native call it is in, if any; what is pending is rejected. */
  async end(): Promise<void> {
    this.#lose('was disposed of')
    await this.#worker.terminate()
  }

  #settle(reply: ReplyMessage): void {
    const pending = this.#pending.get(reply.id)
    this.#pending.delete(reply.id)
    if (this.#pending.size === 0) this.#worker.unref()
    if (!pending) return
    if ('results' in reply) {
      pending.resolve(reply.results)
      return
    }
    const { message, kind } = reply.error
    const ErrorClass = { memory: OutOfMemoryError, cancelled: RunCancelledError, other: Error }[kind]
    pending.reject(new ErrorClass(`cannot ${pending.what}: ${message}`))
  }

  #lose(reason: string): void {
    this.#end ??= reason
    for (const { what, reject } of this.#pending.values()) reject(this.#lostError(what))
    this.#pending.clear()
  }

  #lostError(what: string): SessionLostError {
    return new SessionLostError(`cannot ${what}: the thread that holds the session ${this.#end}`)
  }
}

/** In sources a module that registers tsx first; what is compiled needs none. */
function workerModule(): URL {
  const name = import.meta.url.endsWith('.ts') ? './session-worker.mjs' : './session-worker.js'
  return new URL(name, import.meta.url)
}
