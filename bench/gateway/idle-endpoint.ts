import { z } from 'zod'
import type { EndpointSchema } from '../../packages/server/src/endpoints/endpoint.ts'

/** Does nothing, for `wait_ms` milliseconds. */
export const idleSchema: EndpointSchema = {
  id: 'bench/idle',
  aliases: [],
  title: 'Idle',
  description: 'Does nothing',
  category: 'bench',
  input: z.object({ prompt: z.string(), seed: z.int().optional(), wait_ms: z.number().optional() }),
  output: z.object({ images: z.array(z.unknown()), seed: z.int(), waited_ms: z.number() }),
  realtime: true,
}

/** Waits outside the processor. @returns milliseconds it took, which are the timer's choice */
export async function wait(milliseconds: number | undefined): Promise<number> {
  if (milliseconds === undefined) return 0
  const startedAt = performance.now()
  await new Promise((resolve) => setTimeout(resolve, milliseconds))
  return performance.now() - startedAt
}
