import { useCallback, useEffect, useRef, useState } from 'react'
import { paintHandlers } from '../form/paint-handlers.ts'
import { Swatch } from '../form/paint-view.tsx'
import { Painter } from '../form/painter.ts'

interface LiveCanvasProps {
  /** The canvas as a JPEG, after each change. */
  readonly onPainted: (jpeg: Uint8Array) => void
}

const SIDE = 512
const COLOURS = ['#1b1b1f', '#ffffff', '#d94f30', '#e8a33d', '#4f9d5d', '#3c78c8', '#87b6e8', '#8a5a3b']
const QUALITY = 0.85
const SKY = '#87b6e8'

/** A canvas that is sent as it is painted. */
export function LiveCanvas({ onPainted }: LiveCanvasProps) {
  const canvas = useRef<HTMLCanvasElement>(null)
  const painter = useRef<Painter>(undefined)
  const isEncoding = useRef(false)
  const isBehind = useRef(false)
  const [brush, setBrush] = useState(32)
  const [colour, setColour] = useState('#3c78c8')

  const publish = useCallback(() => {
    // Strokes come faster than a canvas is encoded; the one that is being encoded is followed by the newest.
    isBehind.current = isEncoding.current
    if (isEncoding.current) return
    isEncoding.current = true
    canvas.current?.toBlob(
      (blob) => {
        isEncoding.current = false
        void blob?.arrayBuffer().then((bytes) => onPainted(new Uint8Array(bytes)))
        if (isBehind.current) publish()
      },
      'image/jpeg',
      QUALITY,
    )
  }, [onPainted])

  useEffect(() => {
    if (canvas.current === null) return
    painter.current = new Painter(canvas.current, SKY)
    paintScene(canvas.current)
    // So that there is a picture before the first stroke.
    publish()
  }, [publish])

  return (
    <div className="field">
      <span className="label">Paint here, and it is redrawn with every stroke</span>
      <canvas
        ref={canvas}
        className="live-canvas"
        width={SIDE}
        height={SIDE}
        aria-label="What the picture is made from: paint with the pointer"
        {...paintHandlers(painter, { width: brush, colour }, publish)}
      />
      <div className="row wrap">
        {COLOURS.map((choice) => (
          <Swatch key={choice} colour={choice} name={choice} current={colour} onChoose={setColour} />
        ))}
        <label className="inline-label">
          Brush{' '}
          <input
            type="range"
            min={4}
            max={120}
            value={brush}
            onChange={(event) => setBrush(Number(event.target.value))}
          />
        </label>
        <button
          type="button"
          className="button small"
          onClick={() => {
            painter.current?.clear()
            publish()
          }}
        >
          Clear
        </button>
      </div>
    </div>
  )
}

/** Something to begin with: a sun over hills and water. */
function paintScene(canvas: HTMLCanvasElement): void {
  const context = canvas.getContext('2d')
  if (context === null) return
  const disc = (x: number, y: number, radius: number, colour: string) => {
    context.fillStyle = colour
    context.beginPath()
    context.arc(x, y, radius, 0, 2 * Math.PI)
    context.fill()
  }
  disc(SIDE * 0.72, SIDE * 0.26, SIDE * 0.1, '#e8a33d')
  disc(SIDE * 0.2, SIDE * 0.95, SIDE * 0.42, '#4f9d5d')
  disc(SIDE * 0.75, SIDE * 1.08, SIDE * 0.5, '#4f9d5d')
  context.fillStyle = '#3c78c8'
  context.fillRect(0, SIDE * 0.82, SIDE, SIDE * 0.18)
}
