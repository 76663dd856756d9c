import { useEffect, useRef, useState } from 'react'
import { Swatch } from '../form/paint-view.tsx'
import { Painter } from '../form/painter.ts'

interface LiveCanvasProps {
  /** The canvas as a JPEG, after each change. */
  readonly onPainted: (jpeg: Uint8Array) => void
}

const SIDE = 512
const COLOURS = ['#1b1b1f', '#ffffff', '#d94f30', '#e8a33d', '#4f9d5d', '#3c78c8', '#87b6e8', '#8a5a3b']
const QUALITY = 0.85

/** A canvas that is sent as it is painted. */
export function LiveCanvas({ onPainted }: LiveCanvasProps) {
  const canvas = useRef<HTMLCanvasElement>(null)
  const painter = useRef<Painter>(undefined)
  const isEncoding = useRef(false)
  const [brush, setBrush] = useState(32)
  const [colour, setColour] = useState('#3c78c8')

  useEffect(() => {
    if (canvas.current === null) return
    painter.current = new Painter(canvas.current, '#e9e4da')
  }, [])

  const publish = () => {
    // Strokes come faster than a canvas is encoded; the one that is being encoded is followed by the newest.
    if (isEncoding.current) return
    isEncoding.current = true
    canvas.current?.toBlob(
      (blob) => {
        isEncoding.current = false
        void blob?.arrayBuffer().then((bytes) => onPainted(new Uint8Array(bytes)))
      },
      'image/jpeg',
      QUALITY,
    )
  }
  return (
    <div className="field">
      <span className="label">Paint here</span>
      <canvas
        ref={canvas}
        className="live-canvas"
        width={SIDE}
        height={SIDE}
        aria-label="What the picture is made from: paint with the pointer"
        onPointerDown={(event) => {
          event.currentTarget.setPointerCapture(event.pointerId)
          painter.current?.begin(event.nativeEvent, { width: brush, colour })
          publish()
        }}
        onPointerMove={(event) => {
          if (painter.current?.move(event.nativeEvent)) publish()
        }}
        onPointerUp={() => {
          painter.current?.end()
          publish()
        }}
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
