import { describedBy, FieldFrame } from './field-frame.tsx'
import { type FieldProps, idOf } from './field-props.ts'

/** One of several values. */
export function ChoiceField(props: FieldProps) {
  const { path, schema, value, required, onChange } = props
  const choices = schema.enum ?? [schema.const]
  const selected = choices.indexOf(value ?? schema.default)
  return (
    <FieldFrame {...props}>
      <select
        id={idOf(path)}
        value={selected}
        onChange={(event) => {
          const index = Number(event.target.value)
          onChange(index < 0 ? undefined : choices[index])
        }}
        {...describedBy(props)}
      >
        {selected < 0 || (!required && schema.default === undefined) ? (
          <option value={-1}>{required ? 'Choose…' : 'Not set'}</option>
        ) : null}
        {choices.map((choice, index) => (
          <option key={String(choice)} value={index}>
            {String(choice)}
          </option>
        ))}
      </select>
    </FieldFrame>
  )
}
