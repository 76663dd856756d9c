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
  const { name, path, schema, value, required, onChange, isMask = false } = props
  const [state, setState] = useState<'idle' | 'over' | 'uploading'>('idle')
  const [problem, setProblem] = useState<string>()
  const latest = useRef(0)
  const url = typeof value === 'string' ? value : ''

  async function upload(file: Blob) {
    latest.current += 1
    const turn = latest.current
    setProblem(undefined)
    setState('uploading')
    try {
      const uploaded = await fal.storage.upload(file)
      // A picture chosen meanwhile wins.
      if (turn === latest.current) onChange(uploaded)
    } catch (error) {
      setProblem(error instanceof Error ? error.message : String(error))
    } finally {
      if (turn === latest.current) setState('idle')
    }
  }

  return (
    <FieldFrame {...props}>
      <section
        className={`picture-field ${state}`}
        aria-label={`${titleOf(schema, name)}: drop or paste a picture`}
        onDragOver={(event) => {
          event.preventDefault()
          setState('over')
        }}
        onDragLeave={() => setState('idle')}
        onDrop={(event) => {
          event.preventDefault()
          setState('idle')
          const file = pictureIn(event.dataTransfer)
          if (file !== undefined) void upload(file)
          else takeUrl(event.dataTransfer, onChange)
        }}
        onPaste={(event) => {
          const file = pictureIn(event.clipboardData)
          if (file === undefined) return
          event.preventDefault()
          void upload(file)
        }}
      >
        <div className="picture-preview">
          {url === '' ? (
            <span>{state === 'uploading' ? 'Uploading…' : 'Drop or paste a picture'}</span>
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
            onChange={(event) => onChange(event.target.value === '' ? undefined : event.target.value)}
            {...describedBy(props)}
          />
          <PictureSources
            title={titleOf(schema, name)}
            paintOn={isMask ? pictureUnder(props) : undefined}
            isMask={isMask}
            onBlob={(blob) => void upload(blob)}
            onUrl={onChange}
            onClear={url === '' ? undefined : () => onChange(undefined)}
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
