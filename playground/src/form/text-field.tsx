import { describedBy, FieldFrame } from './field-frame.tsx'
import { type FieldProps, idOf } from './field-props.ts'

/** A text; prompts get room. */
export function TextField(props: FieldProps) {
  const { name, path, schema, value, onChange } = props
  const isLong = /prompt|text/.test(name)
  const shared = {
    id: idOf(path),
    value: value === undefined || value === null ? '' : String(value),
    placeholder: typeof schema.default === 'string' && schema.default !== '' ? schema.default : '',
    required: props.required,
    ...describedBy(props),
  }
  const change = (text: string) => onChange(text === '' && !props.required ? undefined : text)
  return (
    <FieldFrame {...props}>
      {isLong ? (
        <textarea {...shared} rows={name === 'prompt' ? 4 : 2} onChange={(event) => change(event.target.value)} />
      ) : (
        <input type="text" {...shared} onChange={(event) => change(event.target.value)} />
      )}
    </FieldFrame>
  )
}
