import { useQueryClient } from '@tanstack/react-query'
import { useId, useState } from 'react'
import { IS_PUBLIC, isKeyRemembered, readKey, storeKey } from '../api/connection.ts'
import { Alert } from './alert.tsx'
import { Modal } from './modal.tsx'

interface KeyDialogProps {
  /** The server has just refused a call. */
  readonly wasRefused: boolean
  readonly onClose: () => void
}

/** Asks for a key; it is kept for the tab, or for the browser where the person says so. */
export function KeyDialog({ wasRefused, onClose }: KeyDialogProps) {
  const queries = useQueryClient()
  const [key, setKey] = useState(readKey() ?? '')
  const [remember, setRemember] = useState(isKeyRemembered)
  const id = useId()
  const save = (value: string | undefined) => {
    storeKey(value, remember)
    onClose()
    // Everything is asked for again but what is there and the same for every key: what was entered and drawn with it stays.
    void queries.resetQueries({ predicate: ({ meta, state }) => meta !== IS_PUBLIC || state.status === 'error' })
  }
  return (
    <Modal title="Key" onClose={onClose}>
      <form
        className="form-fields"
        onSubmit={(event) => {
          event.preventDefault()
          save(key.trim() === '' ? undefined : key.trim())
        }}
      >
        {wasRefused ? (
          <Alert>
            {readKey() === undefined
              ? 'This server wants a key.'
              : 'The server knows no such key. It may have been revoked, or mistyped.'}
          </Alert>
        ) : null}
        <p className="hint">
          Servers on a loopback address need none. Others do: <code>npx @darkroom/server keys create</code> prints one.
        </p>
        <div className="field">
          <label className="label" htmlFor={id}>
            Key, as id:secret
          </label>
          <input
            id={id}
            type="password"
            autoComplete="off"
            value={key}
            onChange={(event) => setKey(event.target.value)}
          />
        </div>
        <label className="inline-label">
          <input type="checkbox" checked={remember} onChange={(event) => setRemember(event.target.checked)} /> Remember
          it in this browser
        </label>
        <div className="row">
          <button type="submit" className="button primary">
            Use this key
          </button>
          {readKey() === undefined ? null : (
            <button type="button" className="button" onClick={() => save(undefined)}>
              Forget it
            </button>
          )}
        </div>
      </form>
    </Modal>
  )
}
