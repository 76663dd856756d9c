import { propertiesOf } from '../schema/json-schema.ts'
import { FieldFrame } from './field-frame.tsx'
import { type FieldProps, valueAfter } from './field-props.ts'

/** Several values under one name. */
export function ObjectField(props: FieldProps) {
  return (
    <FieldFrame {...props} isGroup>
      <ObjectBody {...props} />
    </FieldFrame>
  )
}

/** The fields of an object, without a frame of its own: in a list and in a union the frame is there already. */
export function ObjectBody({ path, schema, value, onChange, form }: FieldProps) {
  const object = asObject(value)
  const change = (name: string, next: unknown) =>
    onChange((now: unknown) => {
      const latest = asObject(now ?? value)
      return withProperty(latest, name, valueAfter(next, latest[name]))
    })
  return (
    <div className="object">
      {propertiesOf(schema, form.document).map(({ name, schema: property, required }) => (
        <form.Field
          key={name}
          name={name}
          path={`${path}.${name}`}
          schema={property}
          required={required}
          value={object[name]}
          onChange={(next) => change(name, next)}
          form={form}
        />
      ))}
    </div>
  )
}

function asObject(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
}

/** The object with a property set, or gone where the value is none. */
export function withProperty(
  object: Readonly<Record<string, unknown>>,
  name: string,
  value: unknown,
): Record<string, unknown> {
  const { [name]: _, ...rest } = object
  return value === undefined ? rest : { ...object, [name]: value }
}
