import * as Switch from '@radix-ui/react-switch'
import { describedBy, FieldFrame } from './field-frame.tsx'
import { type FieldProps, idOf } from './field-props.ts'

/** Yes or no. */
export function SwitchField(props: FieldProps) {
  const { path, schema, value, onChange } = props
  return (
    <FieldFrame {...props}>
      <Switch.Root
        id={idOf(path)}
        className="switch"
        checked={Boolean(value ?? schema.default ?? false)}
        onCheckedChange={onChange}
        {...describedBy(props)}
      >
        <Switch.Thumb className="switch-thumb" />
      </Switch.Root>
    </FieldFrame>
  )
}
