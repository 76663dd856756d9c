import { useEffect, useRef } from 'react'
import type { Endpoint } from '../api/catalogue.ts'
import type { FieldErrors } from '../schema/field-errors.ts'
import { kindOf, type Property, propertiesOf } from '../schema/json-schema.ts'
import type { Input } from '../schema/starting-input.ts'
import { Field } from './field.tsx'
import { type FormContext, valueAfter } from './field-props.ts'
import { withProperty } from './object-field.tsx'

export interface SchemaFormProps {
  readonly endpoint: Endpoint
  readonly input: Input
  readonly errors: FieldErrors
  /** Given what becomes of the input: it may have changed since the form was drawn. */
  readonly onChange: (change: (now: Input) => Input) => void
  readonly onUpload?: FormContext['onUpload']
}

/** Every field of an endpoint, drawn from its OpenAPI document: what matters first, the rest folded away. */
export function SchemaForm({ endpoint, input, errors, onChange, onUpload }: SchemaFormProps) {
  const properties = propertiesOf(endpoint.input, endpoint.document)
  const form: FormContext = { document: endpoint.document, errors, input, Field, onUpload }
  const field = ({ name, schema, required }: Property) => (
    <Field
      key={name}
      name={name}
      path={name}
      schema={schema}
      required={required}
      value={input[name]}
      onChange={(next) => onChange((now) => withProperty(now, name, valueAfter(next, now[name])))}
      form={form}
    />
  )
  const main = properties.filter(isMain)
  const rest = properties.filter((property) => !isMain(property))
  const hasErrorInRest = rest.some(({ name }) => [...errors.keys()].some((path) => path.split('.')[0] === name))
  const changed = rest.filter(({ name }) => input[name] !== undefined).length
  const more = useRef<HTMLDetailsElement>(null)
  // A field with an error must be seen; it stays when the error goes, for the person is there.
  useEffect(() => {
    if (hasErrorInRest && more.current !== null) more.current.open = true
  }, [hasErrorInRest])
  return (
    <div className="form-fields">
      {main.map(field)}
      {rest.length === 0 ? null : (
        <details className="more" ref={more}>
          <summary>
            More settings <span className="count">{changed > 0 ? `${changed} set` : `${rest.length}`}</span>
          </summary>
          <div className="form-fields">{rest.map(field)}</div>
        </details>
      )}
    </div>
  )
}

/** Fields that nearly every call sets. */
const MAIN = new Set([
  'prompt',
  'negative_prompt',
  'image_size',
  'num_inference_steps',
  'seed',
  'strength',
  'num_images',
])

function isMain({ name, schema, required }: Property): boolean {
  if (required || schema.ui?.important === true || MAIN.has(name)) return true
  const kind = kindOf(schema, name)
  return kind === 'image' || (kind === 'list' && /lora|controlnet|embedding/.test(name))
}
