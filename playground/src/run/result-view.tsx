import { Copy, Download, ExternalLink, RotateCcw, Shuffle, SplitSquareHorizontal } from 'lucide-react'
import { useState } from 'react'
import { localFileUrl } from '../api/connection.ts'
import { type OutputPicture, safetyFlagsOf, seedOf } from '../api/pictures.ts'
import type { Input } from '../schema/starting-input.ts'
import { Compare } from './compare.tsx'
import { copyPicture, fileNameOf } from './picture-actions.ts'
import { pictureShape } from './picture-shape.ts'
import type { FinishedRun } from './run-state.ts'
import { UseAsInput } from './use-as-input.tsx'

interface ResultViewProps {
  readonly finished: FinishedRun
  readonly onVary: (finished: FinishedRun) => void
  readonly onRestore: (input: Input) => void
}

/** The pictures of an answer, what the answer says of them, and what can be done with them. */
export function ResultView({ finished, onVary, onRestore }: ResultViewProps) {
  const { pictures, output } = finished
  const flags = safetyFlagsOf(output)
  return (
    <>
      <div className={pictures.length > 1 ? 'result-grid' : ''}>
        {pictures.map((picture, index) => (
          <ResultPicture
            key={picture.url}
            picture={picture}
            before={startOf(finished.input)}
            isFlagged={flags[index] === true}
            name={fileNameOf(finished, index)}
          />
        ))}
      </div>
      <div className="row wrap next-steps">
        <button type="button" className="button small" onClick={() => onVary(finished)}>
          <Shuffle aria-hidden size={16} /> Vary
        </button>
        <button type="button" className="button small" onClick={() => onRestore(finished.input)}>
          <RotateCcw aria-hidden size={16} /> Restore its input
        </button>
      </div>
      <Facts finished={finished} />
      <details>
        <summary>Answer as JSON</summary>
        {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls, which a keyboard can do in what it can reach */}
        <pre className="code" tabIndex={0}>
          {JSON.stringify(output, shortened, 2)}
        </pre>
      </details>
    </>
  )
}

interface ResultPictureProps {
  readonly picture: OutputPicture
  readonly before: string | undefined
  readonly isFlagged: boolean
  readonly name: string
}

function ResultPicture({ picture, before, isFlagged, name }: ResultPictureProps) {
  const [isComparing, setComparing] = useState(false)
  const { url, width, height } = picture
  return (
    <figure>
      {isComparing && before !== undefined ? (
        <Compare before={before} after={picture} />
      ) : (
        <img
          className="result-picture"
          src={url}
          width={width}
          height={height}
          alt="What was drawn"
          style={pictureShape(picture)}
        />
      )}
      {isFlagged ? (
        <p className="error">The safety checker flagged this picture and a black one took its place.</p>
      ) : null}
      <div className="row wrap">
        <a className="button small" href={url} target="_blank" rel="noreferrer">
          <ExternalLink aria-hidden size={16} /> Open
        </a>
        <a className="button small" href={url} download={name}>
          <Download aria-hidden size={16} /> Download
        </a>
        <CopyPictureButton url={url} />
        {before === undefined ? null : (
          <button
            type="button"
            className="button small"
            aria-pressed={isComparing}
            onClick={() => setComparing(!isComparing)}
          >
            <SplitSquareHorizontal aria-hidden size={16} /> Before and after
          </button>
        )}
        <UseAsInput url={url} />
      </div>
    </figure>
  )
}

const SHOWN_MS = 1500

function CopyPictureButton({ url }: { readonly url: string }) {
  const [said, setSaid] = useState('Copy')
  const say = (text: string) => {
    setSaid(text)
    setTimeout(() => setSaid('Copy'), SHOWN_MS)
  }
  const copy = () =>
    copyPicture(url).then(
      () => say('Copied'),
      () => say('Not copied'),
    )
  return (
    <button type="button" className="button small" onClick={() => void copy()}>
      <Copy aria-hidden size={16} /> {said}
    </button>
  )
}

function Facts({ finished }: { readonly finished: FinishedRun }) {
  const { output, pictures, seconds, model, requestId } = finished
  const seed = seedOf(output)
  const [first] = pictures
  const facts: readonly (readonly [string, string | undefined])[] = [
    ['Seed', seed === undefined ? undefined : String(seed)],
    ['Model', model],
    ['Size', first?.width === undefined ? undefined : `${first.width} × ${first.height}`],
    ['Time', `${seconds.toFixed(2)} s${inferenceOf(output)}`],
    ['Safety', safetyText(safetyFlagsOf(output))],
    ['Request', requestId === '' ? undefined : requestId],
  ]
  return (
    <dl className="facts">
      {facts.map(([name, value]) =>
        value === undefined ? null : (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ),
      )}
    </dl>
  )
}

function safetyText(flags: readonly boolean[]): string {
  if (flags.length === 0) return 'not checked'
  const flagged = flags.filter(Boolean).length
  return flagged === 0 ? 'nothing flagged' : `${flagged} of ${flags.length} flagged`
}

function inferenceOf(output: unknown): string {
  const timings = typeof output === 'object' && output !== null && 'timings' in output ? output.timings : undefined
  const inference =
    typeof timings === 'object' && timings !== null && 'inference' in timings ? timings.inference : undefined
  return typeof inference === 'number' ? `, of it ${inference.toFixed(2)} s drawing` : ''
}

/** The picture that the request started from. */
function startOf(input: Input): string | undefined {
  const start = input.image_url
  return typeof start === 'string' ? localFileUrl(start) : undefined
}

const LONGEST_TEXT = 300

function shortened(_: string, value: unknown): unknown {
  return typeof value === 'string' && value.length > LONGEST_TEXT ? `${value.slice(0, LONGEST_TEXT)}…` : value
}
