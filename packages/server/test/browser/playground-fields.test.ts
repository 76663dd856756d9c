import { describe, expect, it } from 'vitest'
import { CHROMIUM } from './chromium.ts'
import { useRealPlayground } from './real-playground.ts'

interface Schema {
  readonly $ref?: string
  readonly type?: string
  readonly anyOf?: readonly Schema[]
  readonly allOf?: readonly Schema[]
  readonly description?: string
  readonly default?: unknown
  readonly enum?: readonly unknown[]
  readonly minimum?: number
  readonly maximum?: number
  readonly properties?: Readonly<Record<string, Schema>>
  readonly required?: readonly string[]
}

interface Document {
  readonly paths: Readonly<Record<string, { readonly post?: { readonly requestBody?: Body } }>>
  readonly components: { readonly schemas: Readonly<Record<string, Schema>> }
}

interface Body {
  readonly content: { readonly 'application/json': { readonly schema: Schema } }
}

/** What a field of the form shows, as the page has it. */
interface ShownField {
  readonly name: string
  readonly text: string
  readonly options: readonly string[]
  /** Of the control that takes the value as it is. */
  readonly value: string
  readonly min: string
  readonly max: string
  readonly checked: string | null
}

const READ_FIELDS = `[...document.querySelectorAll('.field[data-path]')].map((field) => {
  const control =
    field.querySelector('input[type=number]') ?? field.querySelector('input:not([type=radio], [type=file]), select, textarea')
  return {
    name: field.dataset.path,
    text: field.textContent,
    options: [...field.querySelectorAll('option')].map((option) => option.textContent),
    value: control?.selectedOptions?.[0]?.textContent ?? control?.value ?? '',
    min: control?.min ?? '',
    max: control?.max ?? '',
    checked: field.querySelector('[role=switch]')?.getAttribute('aria-checked') ?? null,
  }
})`

/** Each endpoint's form against its OpenAPI document, read without the playground's own code. */
describe.skipIf(CHROMIUM === undefined)('the form of each endpoint', { timeout: 120_000 }, () => {
  const playground = useRealPlayground()

  it('shows every field with its description, default, bounds and choices', async () => {
    const { page, server } = playground
    const response = await fetch(`${server.url}/v1/models?limit=100&expand=openapi-3.0`)
    const { models } = (await response.json()) as { models: { endpoint_id: string; openapi: Document }[] }
    expect(models.length).toBeGreaterThan(10)
    for (const { endpoint_id: id, openapi } of models) {
      await page.goto(`/models/${id}`)
      await page.getByRole('button', { name: 'Draw', exact: true }).waitFor()
      const shown = new Map(((await page.evaluate(READ_FIELDS)) as ShownField[]).map((field) => [field.name, field]))
      const body = openapi.paths[`/${id}`]?.post?.requestBody?.content['application/json'].schema ?? {}
      const { properties = {}, required = [] } = resolved(body, openapi)
      for (const [name, property] of Object.entries(properties)) {
        const differences = differencesOf(resolved(property, openapi), shown.get(name), required.includes(name))
        expect([id, name, differences]).toEqual([id, name, []])
      }
    }
  })
})

/** The schema behind references and behind the null that only says that a field is optional. */
function resolved(schema: Schema, document: Document): Schema {
  const { $ref, allOf, anyOf, ...own } = schema
  const target = $ref === undefined ? undefined : document.components.schemas[$ref.split('/').at(-1) ?? '']
  const branches = (anyOf ?? []).filter(({ type }) => type !== 'null')
  const behind = target ?? allOf?.[0] ?? (branches.length === 1 ? branches[0] : undefined)
  return behind === undefined ? schema : { ...resolved(behind, document), ...own }
}

function differencesOf(schema: Schema, shown: ShownField | undefined, isRequired: boolean): readonly string[] {
  if (shown === undefined) return ['is not shown']
  const { type, description = '', minimum, maximum, enum: choices = [] } = schema
  const isNumber = type === 'integer' || type === 'number'
  // A bound beyond what a double counts is no use to a browser.
  const isBound = (bound: number | undefined) =>
    isNumber && bound !== undefined && Number.isSafeInteger(Math.trunc(bound))
  return [
    ...(shown.text.includes(description) ? [] : ['says something else']),
    ...(choices.every((choice) => shown.options.includes(String(choice))) ? [] : ['lacks a choice']),
    ...(isBound(minimum) && shown.min !== String(minimum) ? [`begins at ${shown.min}`] : []),
    ...(isBound(maximum) && shown.max !== String(maximum) ? [`ends at ${shown.max}`] : []),
    ...(isRequired && !shown.text.includes('required') ? ['does not say that it is required'] : []),
    ...defaultDifference(schema, shown),
  ]
}

function defaultDifference({ type, default: standard, enum: choices }: Schema, shown: ShownField): readonly string[] {
  // The page starts from an input without pictures in the answer.
  if (standard === undefined || standard === null || shown.name === 'sync_mode') return []
  if (type === 'boolean') return shown.checked === String(standard) ? [] : [`is ${shown.checked} at first`]
  const isPlain = type === 'integer' || type === 'number' || choices !== undefined
  return !isPlain || shown.value === String(standard) ? [] : [`is ${shown.value} at first`]
}
