/** One entry of a 422's `detail`. */
export interface FieldError {
  readonly loc: readonly (string | number)[]
  readonly msg: string
  readonly type?: string
}

/** Messages by the field's path inside the input: `loras.0.path`; '' for the input as a whole. */
export type FieldErrors = ReadonlyMap<string, readonly string[]>

export const NO_ERRORS: FieldErrors = new Map()

export function fieldErrorsOf(body: unknown): FieldErrors {
  const detail = typeof body === 'object' && body !== null && 'detail' in body ? body.detail : undefined
  const errors = new Map<string, string[]>()
  if (!Array.isArray(detail)) return errors
  for (const entry of detail as Partial<FieldError>[]) {
    const path = (entry.loc ?? []).slice(1).join('.')
    errors.set(path, [...(errors.get(path) ?? []), entry.msg ?? 'is not valid'])
  }
  return errors
}

/**
 * Messages of a field that is drawn at this path. A union's errors come with the names of its branches in the path
 * (`image_size.ImageSize.width`); those belong to the union.
 */
export function errorsAt(errors: FieldErrors, path: string, deep: boolean): readonly string[] {
  const own = errors.get(path) ?? []
  if (!deep) return own
  const below = [...errors].filter(([at]) => at.startsWith(`${path}.`)).flatMap(([, messages]) => messages)
  return [...new Set([...own, ...below])]
}
