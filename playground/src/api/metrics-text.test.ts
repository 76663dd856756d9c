import { expect, it } from 'vitest'
import { parseMetrics, sumOf } from './metrics-text.ts'

it('reads samples with and without labels, and no comments', () => {
  const samples = parseMetrics(`# HELP x y
# TYPE darkroom_runners gauge
darkroom_runners 2
darkroom_queue_requests{endpoint="fal-ai/lora",state="queued"} 3
darkroom_queue_requests{endpoint="fal-ai/x",state="queued"} 4
process_resident_memory_bytes 1.5e+8
`)
  expect(sumOf(samples, 'darkroom_runners')).toBe(2)
  expect(sumOf(samples, 'darkroom_queue_requests')).toBe(7)
  expect(sumOf(samples, 'darkroom_queue_requests', { endpoint: 'fal-ai/lora' })).toBe(3)
  expect(sumOf(samples, 'process_resident_memory_bytes')).toBe(150_000_000)
})
