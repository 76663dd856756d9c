/** Calls a server and returns how long it took, in milliseconds, less what the handler says it waited. */
export type Call = (caller: number) => Promise<{ readonly waitedMs: number }>

export interface Measured {
  /** Sorted, milliseconds. */
  readonly latencies: readonly number[]
  readonly perSecond: number
}

/** Closed loop: every caller waits for its answer before it calls again. */
export async function closedLoop(callers: number, calls: number, call: Call): Promise<Measured> {
  const latencies: number[] = []
  let left = calls
  const startedAt = performance.now()
  const caller = async (_: unknown, index: number) => {
    while (left-- > 0) {
      const calledAt = performance.now()
      const { waitedMs } = await call(index)
      latencies.push(performance.now() - calledAt - waitedMs)
    }
  }
  await Promise.all(Array.from({ length: callers }, caller))
  return measured(latencies, startedAt)
}

/**
 * Open loop: `perSecond` calls a second in all, whatever the answers do, over `callers` connections in turn. A latency counts
 * from when its call was due, so a server that falls behind is charged for every call it keeps waiting.
 */
export async function openLoop(callers: number, calls: number, perSecond: number, call: Call): Promise<Measured> {
  const latencies: number[] = []
  const underway: Promise<void>[] = []
  const startedAt = performance.now()
  const begin = async (index: number) => {
    const { waitedMs } = await call(index % callers)
    latencies.push(performance.now() - (startedAt + (index * 1000) / perSecond) - waitedMs)
  }
  while (underway.length < calls) {
    const due = Math.min(calls, 1 + Math.floor(((performance.now() - startedAt) * perSecond) / 1000))
    while (underway.length < due) underway.push(begin(underway.length))
    await new Promise((resolve) => setTimeout(resolve, 1))
  }
  await Promise.all(underway)
  return measured(latencies, startedAt)
}

function measured(latencies: number[], startedAt: number): Measured {
  const seconds = (performance.now() - startedAt) / 1000
  return { latencies: latencies.sort((a, b) => a - b), perSecond: latencies.length / seconds }
}
