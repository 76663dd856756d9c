import { describe, expect, test } from 'vitest'
import type { EndpointSchema } from '../../src/endpoints/endpoint.ts'
import { fastLcmDiffusion, fastLcmDiffusionImageToImage } from '../../src/endpoints/fal-ai/fast-lcm-diffusion/schema.ts'
import { lcmSd15ImageToImage } from '../../src/endpoints/fal-ai/lcm/schema.ts'
import { difference, readVerdicts } from './pydantic-corpus.ts'

const ENDPOINTS: readonly EndpointSchema[] = [fastLcmDiffusion, fastLcmDiffusionImageToImage, lcmSd15ImageToImage]

describe('random bodies are judged as pydantic 1.10 judges them', () => {
  test.each(ENDPOINTS)('$id', (endpoint) => {
    const file = `data/pydantic-v1.${endpoint.id.replaceAll('/', '.')}.jsonl.gz`
    const verdicts = readVerdicts(new URL(file, import.meta.url))
    expect(verdicts.filter(({ status }) => status === 200).length).toBeGreaterThan(50)
    expect(verdicts.filter(({ status }) => status === 422).length).toBeGreaterThan(400)
    expect(verdicts.map((verdict) => difference(endpoint, verdict)).filter((text) => text !== undefined)).toEqual([])
  })
})
