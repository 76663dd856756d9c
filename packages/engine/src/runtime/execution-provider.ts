import { NO_WEIGHTS } from '../checkpoint/prepared-weights.ts'
import { Graph } from '../graph/graph.ts'
import { mul } from '../graph/ops.ts'
import { float32 } from '../tensor/tensor.ts'
import type { ExecutionProvider } from './session.ts'
import { WorkerRuntime } from './worker-runtime.ts'

/** Providers that are worth trying unasked: what onnxruntime-node carries for a platform, WebGPU (experimental there) left out. */
const AUTOMATIC: Readonly<Partial<Record<NodeJS.Platform, readonly ExecutionProvider[]>>> = {
  linux: ['cuda'],
  win32: ['dml'],
  darwin: ['coreml'],
}

/**
 * The provider to run on: the wanted one if it loads and computes here, else the CPU. `auto` tries the platform's own.
 * @param onNotice told in one line when a provider that was asked for by name is not to be had
 * @param tryOut says in one line why a provider does not compute here, if it does not
 */
export async function chooseExecutionProvider(
  wanted: ExecutionProvider | 'auto',
  onNotice: (line: string) => void,
  tryOut: TryProvider = tryProvider,
): Promise<ExecutionProvider> {
  const candidates = wanted === 'auto' ? (AUTOMATIC[process.platform] ?? []) : [wanted]
  for (const provider of candidates) {
    const problem = provider === 'cpu' ? undefined : await tryOut(provider)
    if (problem === undefined) return provider
    if (wanted !== 'auto')
      onNotice(`the execution provider ${provider} is not available (${problem}): running on the CPU`)
  }
  return 'cpu'
}

type TryProvider = (provider: ExecutionProvider, deviceNumber?: number) => Promise<string | undefined>

/** Providers that number a machine's GPUs. */
const NUMBERED: readonly ExecutionProvider[] = ['cuda', 'tensorrt', 'dml']

/**
 * Which GPU a runner draws on, where there are several: they are dealt out in turn. How many there are is found by trying them.
 * @param runner its number among the runners of this machine, from 0
 */
export async function chooseDeviceNumber(
  provider: ExecutionProvider,
  runner: number,
  tryOut: TryProvider = tryProvider,
): Promise<number> {
  if (!NUMBERED.includes(provider)) return 0
  let count = 1
  while (count <= runner && (await tryOut(provider, count)) === undefined) count++
  return runner % count
}

/** Loads and runs one small graph; why that failed, if it did. */
async function tryProvider(executionProvider: ExecutionProvider, deviceNumber = 0): Promise<string | undefined> {
  const runtime = new WorkerRuntime({ executionProvider, deviceNumber })
  try {
    const graph = new Graph('execution provider probe')
    const x = graph.input('x', 'float32', [2])
    graph.output('y', mul(x, x))
    const session = await runtime.createSession(graph, NO_WEIGHTS)
    const { y } = await session.run({ x: float32([2], Float32Array.of(2, 3)) })
    return String(y?.data) === '4,9' ? undefined : `it computed 2² and 3² as ${y?.data}`
  } catch (error) {
    return reasonOf((error as Error).message)
  } finally {
    await runtime.dispose()
  }
}

/** The last sentence of what onnxruntime says: before it are the place in its sources and the condition that did not hold there. */
function reasonOf(message: string): string {
  const [line = ''] = message.replace(/^cannot load [^:]*: /, '').split('\n')
  return line.replace(/^\S+\.cc:\d+ .* was false\. /, '')
}
