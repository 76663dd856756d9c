import { createContext, type ReactNode, useCallback, useContext, useEffect, useState } from 'react'
import { useNavigate } from 'react-router'
import { replaceInput } from '../inputs/input-store.ts'
import { readPictureRecord } from '../schema/picture-record.ts'

const SHOWN_MILLISECONDS = 6000

const RestoreContext = createContext<(file: File) => void>(() => {})

/**
 * Takes up the request that a dropped picture carries, wherever on the pages it is dropped but on a picture field, and says what came of it
 * on the page that it leads to.
 */
export function PictureRestore({ children }: { readonly children: ReactNode }) {
  const [message, setMessage] = useState('')
  const restore = useRestore(setMessage)
  useEffect(() => {
    const allow = (event: DragEvent) => event.preventDefault()
    const take = (event: DragEvent) => {
      // A picture field has taken it.
      if (event.defaultPrevented) return
      event.preventDefault()
      const [file] = event.dataTransfer?.files ?? []
      if (file !== undefined) restore(file)
    }
    window.addEventListener('dragover', allow)
    window.addEventListener('drop', take)
    return () => {
      window.removeEventListener('dragover', allow)
      window.removeEventListener('drop', take)
    }
  }, [restore])
  useEffect(() => {
    if (message === '') return
    const timer = setTimeout(() => setMessage(''), SHOWN_MILLISECONDS)
    return () => clearTimeout(timer)
  }, [message])
  return (
    <RestoreContext value={restore}>
      {children}
      <div className={message === '' ? 'notice' : 'notice shown'} role="status">
        {message}
      </div>
    </RestoreContext>
  )
}

/** The same by a file dialog, for those who drag nothing. */
export function RestoreButton() {
  const restore = useContext(RestoreContext)
  return (
    <p className="hint">
      <label className="button small file-button">
        Take up a picture’s request
        <input
          type="file"
          accept="image/png,image/jpeg"
          className="visually-hidden"
          onChange={(event) => {
            const [file] = event.target.files ?? []
            if (file !== undefined) restore(file)
            event.target.value = ''
          }}
        />
      </label>{' '}
      or drop a picture that Darkroom drew anywhere on these pages.
    </p>
  )
}

function useRestore(tell: (message: string) => void): (file: File) => void {
  const navigate = useNavigate()
  return useCallback(
    (file) => {
      const take = async () => {
        const record = readPictureRecord(new Uint8Array(await file.arrayBuffer()))
        if (record === undefined) {
          tell('This picture carries no request of Darkroom’s.')
          return
        }
        replaceInput(record.endpointId, record.input)
        const missing = record.omitted.length === 0 ? '' : ` Not in the picture: ${record.omitted.join(', ')}.`
        tell(`Its request is in the form.${missing}`)
        await navigate(`/models/${record.endpointId}`)
      }
      void take()
    },
    [navigate, tell],
  )
}
