import { z } from 'zod'
import type { EndpointSchema } from '../../packages/server/src/endpoints/endpoint.ts'

export const idleSchema: EndpointSchema = {
  id: 'bench/idle',
  aliases: [],
  title: 'Idle',
  description: 'Does nothing',
  category: 'bench',
  input: z.object({ prompt: z.string(), seed: z.int().optional(), request_id: z.string().optional() }),
  output: z.object({ images: z.array(z.unknown()), seed: z.int() }),
  realtime: true,
}
