import { expect, test } from 'vitest'
import type { ImageEngine } from '../drawing/image-engine.ts'
import { ENDPOINT_FOLDERS, ENDPOINT_SCHEMAS } from './endpoints.ts'

test('every folder answers exactly the endpoints whose schemas it shows', async () => {
  // Making handlers draws nothing.
  const engine = {} as ImageEngine
  for (const { schemas, handlers } of ENDPOINT_FOLDERS) {
    const endpoints = (await handlers()).createEndpoints(engine)
    expect(endpoints.map(({ schema }) => schema)).toEqual(schemas)
  }
  expect(ENDPOINT_SCHEMAS.map(({ id }) => id)).toContain('fal-ai/lcm-sd15-i2i')
})

test('no two endpoints share an id', () => {
  const ids = ENDPOINT_SCHEMAS.flatMap(({ id, aliases }) => [id, ...aliases])
  expect(new Set(ids).size).toBe(ids.length)
})
