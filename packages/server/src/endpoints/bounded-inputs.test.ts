import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { ENDPOINT_SCHEMAS } from '../processes/endpoints.ts'
import { parseInput } from '../validation/json-input.ts'
import { validateInput } from '../validation/validate-input.ts'
import { lora } from './fal-ai/lora/schema.ts'

/** Fields whose text or list has no upper length, by path; the text of those that lead to a file is bounded by whoever fetches it. */
function unbounded(type: z.core.$ZodType, path: string, leads = false): string[] {
  const meta = z.globalRegistry.get(type)
  const ui = meta?.ui as { field?: string } | undefined
  const isUrl = leads || meta?.fetched !== undefined || ui?.field === 'image'
  const { def } = (type as z.core.$ZodTypes)._zod
  const isBounded = (def.checks ?? []).some((check) => check._zod.def.check === 'max_length')
  switch (def.type) {
    case 'string':
      return isBounded || isUrl ? [] : [path]
    case 'array':
      return [...(isBounded ? [] : [`${path}[]`]), ...unbounded(def.element, `${path}[]`, isUrl)]
    case 'object':
      return Object.entries(def.shape).flatMap(([name, member]) => unbounded(member, `${path}.${name}`))
    case 'union':
      return def.options.flatMap((option) => unbounded(option, path, isUrl))
    case 'optional':
    case 'nullable':
    case 'default':
      return unbounded(def.innerType, path, isUrl)
    default:
      return []
  }
}

it.each(ENDPOINT_SCHEMAS.map((schema) => [schema.id, schema] as const))(
  '%s bounds its texts and lists',
  (_, schema) => {
    expect(unbounded(schema.input, schema.id)).toEqual([])
  },
)

describe('what is too long is refused by its field', () => {
  const detailOf = (input: object) => {
    try {
      validateInput(lora.input, parseInput(JSON.stringify({ model_name: 'a/b', prompt: 'p', ...input })))
      return 'valid'
    } catch (error) {
      return (error as { detail: unknown }).detail
    }
  }

  it.each([
    [
      { prompt: 'a '.repeat(10_001) },
      { loc: ['body', 'prompt'], type: 'value_error.any_str.max_length', ctx: { limit_value: 20_000 } },
    ],
    [
      { embeddings: [{ path: 'a/b', tokens: ['t'.repeat(5_001)] }] },
      { loc: ['body', 'embeddings', 0, 'tokens', 0], type: 'value_error.any_str.max_length' },
    ],
    [
      { loras: new Array(33).fill({ path: 'a/b' }) },
      { loc: ['body', 'loras'], type: 'value_error.list.max_items', ctx: { limit_value: 32 } },
    ],
    [
      { timesteps: { method: 'array', array: new Array(1_001).fill(1) } },
      { loc: ['body', 'timesteps', 'array'], type: 'value_error.list.max_items' },
    ],
    [
      { ip_adapter: [{ path: 'a/b', image_url: 'data:,', scale_json: { down: new Array(2_000).fill(1) } }] },
      { loc: ['body', 'ip_adapter', 0, 'scale_json', 'down'], type: 'value_error.dict.max_members' },
    ],
    [
      {
        ip_adapter: [
          {
            path: 'a/b',
            image_url: 'data:,',
            scale_json: Object.fromEntries(Array.from({ length: 1_001 }, (_, i) => [`k${i}`, 1])),
          },
        ],
      },
      { loc: ['body', 'ip_adapter', 0, 'scale_json'], type: 'value_error.dict.max_members' },
    ],
  ])('%#', (input, item) => {
    expect(detailOf(input)).toMatchObject([item])
  })

  it('and what is not goes through', () => {
    expect(detailOf({ prompt: 'a '.repeat(10_000), timesteps: { method: 'array', array: [999, 500] } })).toBe('valid')
  })
})
