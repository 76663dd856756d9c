import { useRef, useState } from 'react'
import { fal, localFileUrl, SERVER_URL } from '../api/connection.ts'
import { describedBy, FieldFrame } from './field-frame.tsx'
import { type FieldProps, idOf, titleOf } from './field-props.ts'
import { PictureSources } from './picture-sources.tsx'

interface ImageFieldProps extends FieldProps {
  /** White where the picture is drawn anew, black where it stays. */
  readonly isMask?: boolean
}

/** A picture: dropped, pasted, chosen, photographed, drawn, by URL, or one that was drawn before. */
export function ImageField(props: ImageFieldProps) {
  const { name, path, schema, value, required, onChange, form, isMask = false } = props
  const [isOver, setOver] = useState(false)
  const [isUploading, setUploading] = useState(false)
  const [problem, setProblem] = useState<string>()
  const latest = useRef(new AbortController())
  const url = typeof value === 'string' ? value : ''

  /** What is chosen wins over an upload that began before. */
  function begin(): AbortSignal {
    latest.current.abort()
    latest.current = new AbortController()
    setProblem(undefined)
    return latest.current.signal
  }

  function drop() {
    begin()
    setUploading(false)
  }

  function choose(next: unknown) {
    drop()
    onChange(next)
  }

  function upload(file: Blob) {
    const signal = begin()
    setUploading(true)
    const done = new Promise<void>((resolve, reject) => {
      signal.addEventListener('abort', () => resolve())
      fal.storage
        .upload(file)
        .then((uploaded) => {
          // The form may be gone by now, and the input have changed in other ways.
          if (!signal.aborted) onChange((now: unknown) => (now === value ? uploaded : now))
          resolve()
        })
        .catch(reject)
    })
    form.onUpload?.({ done, drop: () => !signal.aborted && drop() })
    done
      .catch((error: unknown) => setProblem(error instanceof Error ? error.message : String(error)))
      .finally(() => !signal.aborted && setUploading(false))
  }

  return (
    <FieldFrame {...props} onChange={choose}>
      <section
        className={isOver ? 'picture-field over' : 'picture-field'}
        aria-label={`${titleOf(schema, name)}: drop or paste a picture`}
        onDragOver={(event) => {
          event.preventDefault()
          setOver(true)
        }}
        onDragLeave={() => setOver(false)}
        onDrop={(event) => {
          event.preventDefault()
          setOver(false)
          const file = pictureIn(event.dataTransfer)
          if (file !== undefined) upload(file)
          else takeUrl(event.dataTransfer, choose)
        }}
        onPaste={(event) => {
          const file = pictureIn(event.clipboardData)
          if (file === undefined) return
          event.preventDefault()
          upload(file)
        }}
      >
        <div className="picture-preview">
          {url === '' ? (
            <span>{isUploading ? 'Uploading…' : 'Drop or paste a picture'}</span>
          ) : (
            <Preview url={localFileUrl(url)} title={titleOf(schema, name)} />
          )}
        </div>
        <div className="picture-controls">
          <input
            id={idOf(path)}
            type="text"
            value={url.startsWith('data:') ? `${url.slice(0, 40)}…` : url}
            readOnly={url.startsWith('data:')}
            placeholder="https://… or data:"
            required={required}
            onChange={(event) => choose(event.target.value === '' ? undefined : event.target.value)}
            {...describedBy(props)}
          />
          <PictureSources
            title={titleOf(schema, name)}
            paintOn={isMask ? pictureUnder(props) : undefined}
            isMask={isMask}
            onBlob={upload}
            onUrl={choose}
            onClear={url === '' ? undefined : () => choose(undefined)}
          />
          {problem === undefined ? null : <p className="error">{problem}</p>}
        </div>
      </section>
    </FieldFrame>
  )
}

/** Pictures of other hosts are for the server to fetch: these pages ask no other host for anything. */
function Preview({ url, title }: { readonly url: string; readonly title: string }) {
  const isHere = url.startsWith('data:') || url.startsWith(`${SERVER_URL}/`)
  if (!isHere) return <span>Fetched by the server when it draws</span>
  return <img src={url} alt={title} />
}

/** The picture that a mask belongs to: `image_url` beside `mask_url`, at the same depth of the input. */
function pictureUnder({ form, name }: FieldProps): string | undefined {
  const sibling = form.input[name.replace('mask', 'image')] ?? form.input.image_url
  return typeof sibling === 'string' ? localFileUrl(sibling) : undefined
}

function pictureIn(transfer: DataTransfer): File | undefined {
  return [...transfer.files].find(({ type }) => type.startsWith('image/'))
}

function takeUrl(transfer: DataTransfer, onChange: (value: unknown) => void): void {
  const url = transfer.getData('text/uri-list').split('\n')[0]?.trim() ?? ''
  if (/^(https?|data):/.test(url)) onChange(url)
}
