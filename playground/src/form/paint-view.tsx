import { useEffect, useRef, useState } from 'react'
import { paintHandlers } from './paint-handlers.ts'
import { Painter } from './painter.ts'

interface PaintViewProps {
  /** Shown below the strokes of a mask; absent for a free drawing. */
  readonly under: string | undefined
  readonly isMask: boolean
  readonly onPicture: (blob: Blob) => void
}

const COLOURS = ['#1b1b1f', '#ffffff', '#d94f30', '#e8a33d', '#4f9d5d', '#3c78c8', '#7a4fb5', '#8a5a3b']
const DRAWING_SIDE = 512

/** A drawing, or a mask over a picture: white strokes on black, at the picture's own size. */
export function PaintView({ under, isMask, onPicture }: PaintViewProps) {
  const canvas = useRef<HTMLCanvasElement>(null)
  const painter = useRef<Painter>(undefined)
  const [brush, setBrush] = useState(isMask ? 60 : 24)
  const [colour, setColour] = useState(isMask ? '#ffffff' : (COLOURS[0] ?? '#000000'))
  const background = isMask ? '#000000' : '#ffffff'

  useEffect(() => {
    if (canvas.current !== null) painter.current = new Painter(canvas.current, background)
  }, [background])

  // The picture may come when there are strokes already.
  useEffect(() => {
    if (under === undefined) return
    const image = new Image()
    image.onload = () => painter.current?.resize(image.naturalWidth, image.naturalHeight)
    image.src = under
    return () => {
      image.onload = null
    }
  }, [under])

  return (
    <>
      <div className="paint-area">
        {isMask && under !== undefined ? <img src={under} alt="What the mask lies over" /> : null}
        <canvas
          ref={canvas}
          width={DRAWING_SIDE}
          height={DRAWING_SIDE}
          className={isMask ? 'mask-canvas' : ''}
          aria-label={isMask ? 'Mask: white is drawn anew' : 'Drawing'}
          {...paintHandlers(painter, { width: brush, colour })}
        />
      </div>
      <div className="row wrap">
        <label className="inline-label">
          Brush{' '}
          <input
            type="range"
            min={2}
            max={200}
            value={brush}
            onChange={(event) => setBrush(Number(event.target.value))}
          />
        </label>
        {isMask ? (
          <>
            <Swatch colour="#ffffff" name="Paint" current={colour} onChoose={setColour} />
            <Swatch colour="#000000" name="Erase" current={colour} onChoose={setColour} />
          </>
        ) : (
          COLOURS.map((choice) => (
            <Swatch key={choice} colour={choice} name={choice} current={colour} onChoose={setColour} />
          ))
        )}
        {isMask ? (
          <button type="button" className="button small" onClick={() => painter.current?.invert()}>
            Invert
          </button>
        ) : null}
        <button type="button" className="button small" onClick={() => painter.current?.clear()}>
          Clear
        </button>
        <button
          type="button"
          className="button primary"
          onClick={() => canvas.current?.toBlob((blob) => blob !== null && onPicture(blob), 'image/png')}
        >
          Use it
        </button>
      </div>
    </>
  )
}

interface SwatchProps {
  readonly colour: string
  readonly name: string
  readonly current: string
  readonly onChoose: (colour: string) => void
}

export function Swatch({ colour, name, current, onChoose }: SwatchProps) {
  return (
    <button
      type="button"
      className="swatch"
      style={{ background: colour }}
      aria-label={`Colour ${name}`}
      aria-pressed={colour === current}
      title={name}
      onClick={() => onChoose(colour)}
    />
  )
}
