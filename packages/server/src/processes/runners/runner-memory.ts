import { totalmem } from 'node:os'
import type { RunnersConfig } from '../../config/config.ts'

type RunnersMemory = Pick<RunnersConfig, 'count' | 'memoryBytes'>

/** Part of the machine's memory that its runners may take together before one that takes more than its share is replaced. */
const MEMORY_SHARE = 0.9
/** Part of a runner's memory that is its engine's; the rest is for the process and for pictures on their way. */
const ENGINE_SHARE = 5 / 6

/** Part of the machine's memory that models may keep while they are not run: other programs need the rest. */
const KEPT_SHARE = 0.25

/** Bytes of this machine, or of the container that it is. */
export function machineMemory(): number {
  // Node reports an absurdly large number where a container has no limit.
  return Math.min(totalmem(), process.constrainedMemory() || Number.POSITIVE_INFINITY)
}

/** Bytes beyond which a runner process is replaced. */
export function runnerMemory(runners: RunnersMemory): number {
  return runners.memoryBytes ?? (machineMemory() * MEMORY_SHARE) / runners.count
}

/** Bytes that a runner's engine may plan with. */
export function engineMemory(runners: RunnersMemory): number {
  return runnerMemory(runners) * ENGINE_SHARE
}

/** Bytes of a runner's models that may stay loaded without running. */
export function keptMemory({
  keptBytes,
  ...runners
}: Pick<RunnersConfig, 'count' | 'memoryBytes' | 'keptBytes'>): number {
  return Math.min(engineMemory(runners), keptBytes ?? (machineMemory() * KEPT_SHARE) / runners.count)
}
