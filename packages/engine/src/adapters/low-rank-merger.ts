import { CheckpointError } from '../checkpoint/checkpoint-error.ts'
import { NO_WEIGHTS, type Weights } from '../checkpoint/prepared-weights.ts'
import { Graph } from '../graph/graph.ts'
import { elementCount, type FloatTensor, float32, type Tensor } from '../tensor/tensor.ts'

interface MergeSession {
  run(feeds: Readonly<Record<string, Tensor>>): Promise<Readonly<Record<string, Tensor>>>
  release(): Promise<void>
}

/** What loads graphs: the engine's Runtime. */
export interface SessionFactory {
  createSession(graph: Graph, weights: Weights): Promise<MergeSession>
}

export interface LowRankFactors {
  /** [rank, in] or [rank, in, k, k] */
  readonly down: FloatTensor
  /** [out, rank] or [out, rank, 1, 1] */
  readonly up: FloatTensor
  readonly scale: number
}

/** Computes W + scale · up · down with one matrix product each, in sessions that are kept for layers of the same shape. */
export class LowRankMerger {
  readonly #factory: SessionFactory
  readonly #sessions = new Map<string, Promise<MergeSession>>()

  constructor(factory: SessionFactory) {
    this.#factory = factory
  }

  /** @throws CheckpointError naming `what` when the factors do not fit the weight's shape */
  async merge(weight: FloatTensor, { down, up, scale }: LowRankFactors, what: string): Promise<FloatTensor> {
    const rows = weight.shape[0] as number
    const columns = elementCount(weight.shape.slice(1))
    const rank = down.shape[0] as number
    if (down.data.length !== rank * columns || up.data.length !== rows * rank) {
      throw new CheckpointError(
        `${what}: factors [${up.shape}] and [${down.shape}] do not fit the weight [${weight.shape}]; the LoRA is for another base model`,
      )
    }
    const session = await this.#session(rows, rank, columns)
    const { merged } = await session.run({
      weight: float32([rows, columns], weight.data),
      up: float32([rows, rank], scaled(up.data, scale)),
      down: float32([rank, columns], down.data),
    })
    return float32(weight.shape, (merged as FloatTensor).data)
  }

  async release(): Promise<void> {
    const sessions = await Promise.allSettled(this.#sessions.values())
    this.#sessions.clear()
    for (const session of sessions) if (session.status === 'fulfilled') await session.value.release()
  }

  #session(rows: number, rank: number, columns: number): Promise<MergeSession> {
    const key = String([rows, rank, columns])
    const known = this.#sessions.get(key)
    if (known) return known
    const created = this.#factory.createSession(mergeGraph(rows, rank, columns), NO_WEIGHTS)
    this.#sessions.set(key, created)
    return created
  }
}

function scaled(values: Float32Array, scale: number): Float32Array {
  return scale === 1 ? values : values.map((value) => value * scale)
}

function mergeGraph(rows: number, rank: number, columns: number): Graph {
  const graph = new Graph('low-rank merge')
  const weight = graph.input('weight', 'float32', [rows, columns])
  const up = graph.input('up', 'float32', [rows, rank])
  const down = graph.input('down', 'float32', [rank, columns])
  graph.output('merged', graph.node('', { opType: 'Gemm', inputs: [up, down, weight], output: weight }))
  return graph
}
