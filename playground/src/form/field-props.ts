import type { ComponentType } from 'react'
import type { Upload } from '../api/upload.ts'
import type { FieldErrors } from '../schema/field-errors.ts'
import type { JsonSchema, OpenApiDocument } from '../schema/json-schema.ts'
import type { Input } from '../schema/starting-input.ts'

/** What every field of a form is given. */
export interface FieldProps {
  /** The field's name, as the input has it. */
  readonly name: string
  /** Where the field lies in the input: `loras.0.path`. */
  readonly path: string
  readonly schema: JsonSchema
  readonly required: boolean
  /** Absent: not sent, so that the endpoint takes its default. */
  readonly value: unknown
  /** Sets the value. What is known late, when the input may have become another, gives a function of the value as it is by then. */
  readonly onChange: (next: unknown) => void
  readonly form: FormContext
}

/** What the fields of a form share. */
export interface FormContext {
  readonly document: OpenApiDocument
  /** Draws any field: objects, lists and unions hold further ones. */
  readonly Field: ComponentType<FieldProps>
  readonly errors: FieldErrors
  /** The whole input: a mask is painted on the picture of another field. */
  readonly input: Input
  /** A picture is on its way into the input. */
  readonly onUpload?: ((upload: Upload) => void) | undefined
}

/** What a field's value becomes. */
export function valueAfter(next: unknown, now: unknown): unknown {
  return typeof next === 'function' ? next(now) : next
}

/** An id that is unique in the page, for labels and descriptions. */
export function idOf(path: string): string {
  return `field-${path.replaceAll('.', '-')}`
}

/** `num_inference_steps` → `Num inference steps`, where the schema has no title. */
export function titleOf(schema: JsonSchema, name: string): string {
  if (schema.title !== undefined && schema.title !== '') return schema.title
  const words = name.replaceAll('_', ' ')
  return words.charAt(0).toUpperCase() + words.slice(1)
}
