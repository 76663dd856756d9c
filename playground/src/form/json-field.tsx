import { useState } from 'react'
import { describedBy, FieldFrame } from './field-frame.tsx'
import { type FieldProps, idOf } from './field-props.ts'

/** A value whose form the schema leaves open. */
export function JsonField(props: FieldProps) {
  const { path, value, onChange } = props
  const [draft, setDraft] = useState<string>()
  const isBroken = draft !== undefined && parsed(draft) === undefined
  return (
    <FieldFrame {...props}>
      <textarea
        id={idOf(path)}
        className="code"
        rows={3}
        spellCheck={false}
        value={draft ?? (value === undefined ? '' : JSON.stringify(value))}
        onChange={(event) => {
          const text = event.target.value
          setDraft(text)
          if (text.trim() === '') onChange(undefined)
          else if (parsed(text) !== undefined) onChange(parsed(text)?.value)
        }}
        onBlur={() => !isBroken && setDraft(undefined)}
        {...describedBy(props)}
      />
      {isBroken && draft.trim() !== '' ? <p className="error">Not JSON yet; the last valid value is kept.</p> : null}
    </FieldFrame>
  )
}

function parsed(text: string): { readonly value: unknown } | undefined {
  try {
    return { value: JSON.parse(text) }
  } catch {
    return undefined
  }
}
