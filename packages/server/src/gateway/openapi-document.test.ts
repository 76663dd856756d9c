import { describe, expect, test } from 'vitest'
import type { EndpointSchema } from '../endpoints/endpoint.ts'
import { fastLcmDiffusion, fastLcmDiffusionImageToImage } from '../endpoints/fal-ai/fast-lcm-diffusion/schema.ts'
import { lcmSd15ImageToImage } from '../endpoints/fal-ai/lcm/schema.ts'
import { ENDPOINT_SCHEMAS } from '../processes/endpoints.ts'
import { stringifyJson } from '../protocol/json-text.ts'
import { type JsonObject, openApiDocument } from './openapi-document.ts'

const URLS = { queue: 'https://queue.fal.run', base: 'http://localhost:3010' }

interface Schema {
  readonly type?: string
  readonly required?: readonly string[]
  readonly properties: Readonly<Record<string, JsonObject>>
  readonly 'x-fal-order-properties': readonly string[]
}

function componentsOf(endpoint: EndpointSchema): Readonly<Record<string, Schema>> {
  const { schemas } = openApiDocument(endpoint, URLS).components as { schemas: Readonly<Record<string, Schema>> }
  return schemas
}

describe('the OpenAPI document', () => {
  const schemas = componentsOf(fastLcmDiffusion)

  test('names its models as fal does and refers to shared ones', () => {
    expect(Object.keys(schemas).sort()).toEqual([
      'FastLcmDiffusionInput',
      'FastLcmDiffusionOutput',
      'Image',
      'ImageSize',
      'QueueStatus',
    ])
    expect(schemas.FastLcmDiffusionInput?.properties.image_size?.anyOf).toMatchObject([
      { $ref: '#/components/schemas/ImageSize' },
      { enum: ['square_hd', 'square', 'portrait_4_3', 'portrait_16_9', 'landscape_4_3', 'landscape_16_9'] },
    ])
    expect(schemas.ImageSize?.properties.width).toMatchObject({
      type: 'integer',
      exclusiveMinimum: 0,
      maximum: 14142,
      default: 512,
    })
    expect(Object.keys(componentsOf(fastLcmDiffusionImageToImage))).toContain('FastLcmDiffusionImageToImageInput')
  })

  test('gives fields their order, titles, defaults and bounds, and no null', () => {
    const input = schemas.FastLcmDiffusionInput
    expect(input?.required).toEqual(['prompt'])
    expect(input?.['x-fal-order-properties']).toEqual(Object.keys(input?.properties ?? {}))
    expect(input?.properties.num_images).toEqual({
      type: 'integer',
      title: 'Num Images',
      description: 'The number of images to generate.',
      default: 1,
      minimum: 1,
      maximum: 8,
    })
    expect(input?.properties.seed).toMatchObject({ type: 'integer', title: 'Seed', maximum: 2n ** 64n - 1n })
    expect(stringifyJson(input?.properties.seed)).toContain('"maximum":18446744073709551615')
    expect(stringifyJson(schemas)).not.toContain('"null"')
  })

  test('hides what is only accepted, and asks for the URL that bytes may stand in for', () => {
    const input = componentsOf(lcmSd15ImageToImage).LcmSd15I2iInput
    expect(input?.required).toEqual(['prompt', 'image_url'])
    expect(Object.keys(input?.properties ?? {})).not.toContain('image_bytes')
    expect(Object.keys(input?.properties ?? {})).not.toContain('enable_safety_checker')
    expect(Object.keys(input?.properties ?? {})).toContain('enable_safety_checks')
    expect(Object.keys(schemas.Image?.properties ?? {})).toEqual(['url', 'width', 'height', 'content_type'])
    expect(stringifyJson(openApiDocument(lcmSd15ImageToImage, URLS))).not.toMatch(
      /requiredUnless|hidden|boundsAsText|\$defs|\$schema/,
    )
  })

  test.each([fastLcmDiffusion, fastLcmDiffusionImageToImage, lcmSd15ImageToImage])(
    'every field of $id has a title and a description',
    (endpoint) => {
      for (const [name, schema] of Object.entries(componentsOf(endpoint))) {
        if (name === 'QueueStatus') continue
        for (const [field, property] of Object.entries(schema.properties)) {
          expect([field, property.title, property.description]).toEqual([field, expect.any(String), expect.any(String)])
        }
      }
    },
  )

  test('every reference leads somewhere and the four calls are there', () => {
    const text = stringifyJson(openApiDocument(lcmSd15ImageToImage, URLS))
    const names = new Set(Object.keys(componentsOf(lcmSd15ImageToImage)))
    const references = [...text.matchAll(/"\$ref":"#\/components\/schemas\/([^"]+)"/g)].map(([, name]) => name)
    expect(references.length).toBeGreaterThan(3)
    expect(references.filter((name) => name === undefined || !names.has(name))).toEqual([])
    expect(Object.keys(openApiDocument(lcmSd15ImageToImage, URLS).paths as object)).toEqual([
      '/fal-ai/lcm-sd15-i2i/requests/{request_id}/status',
      '/fal-ai/lcm-sd15-i2i/requests/{request_id}/cancel',
      '/fal-ai/lcm-sd15-i2i',
      '/fal-ai/lcm-sd15-i2i/requests/{request_id}',
    ])
  })
})

describe.each(ENDPOINT_SCHEMAS.map((endpoint) => [endpoint.id, endpoint] as const))(
  'the document of %s',
  (_, endpoint) => {
    test('publishes optional fields by their type alone', () => {
      expect(stringifyJson(openApiDocument(endpoint, URLS))).not.toContain('"null"')
    })

    test('refers to components that it holds, each with its properties', () => {
      const text = stringifyJson(openApiDocument(endpoint, URLS))
      const schemas = componentsOf(endpoint)
      for (const [, name = ''] of text.matchAll(/"#\/components\/schemas\/([^"]+)"/g)) {
        expect(Object.keys(schemas[name]?.properties ?? {})).not.toEqual([])
      }
    })
  },
)
