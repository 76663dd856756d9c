import { useState } from 'react'
import { readKey, SERVER_URL } from '../api/connection.ts'
import { CopyButton } from '../parts/copy-button.tsx'
import { LANGUAGES, type Language, requestCode } from '../schema/request-code.ts'
import type { Input } from '../schema/starting-input.ts'

/** The request as a program. */
export function CodeView({ endpointId, input }: { readonly endpointId: string; readonly input: Input }) {
  const [language, setLanguage] = useState<Language>('JavaScript')
  const code = requestCode(language, { base: SERVER_URL, endpointId, input, needsKey: readKey() !== undefined })
  return (
    <div className="field">
      <div className="row">
        <label className="inline-label">
          Language{' '}
          <select value={language} onChange={(event) => setLanguage(event.target.value as Language)}>
            {LANGUAGES.map((name) => (
              <option key={name}>{name}</option>
            ))}
          </select>
        </label>
        <CopyButton text={code} label="Copy the code" />
      </div>
      {/* Scrolls sideways, which a keyboard can do in what it can reach only. */}
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: see above */}
      <pre className="code" tabIndex={0} data-testid="code">
        {code}
      </pre>
    </div>
  )
}
