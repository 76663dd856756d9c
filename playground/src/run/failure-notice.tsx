import { CircleAlert } from 'lucide-react'
import type { FieldErrors } from '../schema/field-errors.ts'
import type { FailedRun } from './run-state.ts'

interface FailureNoticeProps {
  readonly failure: FailedRun
  /** Takes the person to the field at a path of the input. */
  readonly onShowField: (path: string) => void
}

/** Why nothing was drawn; of fields that are wrong each leads to its place in the form. */
export function FailureNotice({ failure: { message, fields }, onShowField }: FailureNoticeProps) {
  return (
    <div className="notice-box bad" role="alert">
      <CircleAlert aria-hidden size={20} />
      <div>
        <p>{message}</p>
        {fields.size === 0 ? null : (
          <ul>
            {entriesOf(fields).map(([path, text]) => (
              <li key={`${path} ${text}`}>
                <button type="button" className="link-button" onClick={() => onShowField(path)}>
                  {path === '' ? 'Input' : path}
                </button>
                : {text}
              </li>
            ))}
          </ul>
        )}
      </div>
    </div>
  )
}

const MOST_SHOWN = 8

function entriesOf(fields: FieldErrors): readonly (readonly [string, string])[] {
  return [...fields].flatMap(([path, texts]) => texts.map((text) => [path, text] as const)).slice(0, MOST_SHOWN)
}
