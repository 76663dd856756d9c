import { useEffect, useState } from 'react'
import type { Input } from '../schema/starting-input.ts'

interface JsonViewProps {
  readonly input: Input
  readonly onChange: (input: Input) => void
}

/** The input as the JSON that is sent; what is typed here is in the form at once. */
export function JsonView({ input, onChange }: JsonViewProps) {
  const [text, setText] = useState(() => JSON.stringify(input, null, 2))
  const parsed = parseObject(text)
  // The form may have changed it meanwhile.
  useEffect(() => {
    setText((now) => (isSame(parseObject(now), input) ? now : JSON.stringify(input, null, 2)))
  }, [input])
  return (
    <div className="field">
      <label className="label" htmlFor="json-input">
        Input as JSON
      </label>
      <textarea
        id="json-input"
        className="code json"
        rows={22}
        spellCheck={false}
        value={text}
        aria-invalid={parsed === undefined}
        onChange={(event) => {
          setText(event.target.value)
          const next = parseObject(event.target.value)
          if (next !== undefined) onChange(next)
        }}
      />
      <p className={parsed === undefined ? 'error' : 'description'} role="status">
        {parsed === undefined ? 'This is not a JSON object yet; the last valid one is kept.' : 'Valid JSON.'}
      </p>
    </div>
  )
}

function parseObject(text: string): Input | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Input) : undefined
  } catch {
    return undefined
  }
}

function isSame(a: Input | undefined, b: Input): boolean {
  return a !== undefined && JSON.stringify(a) === JSON.stringify(b)
}
