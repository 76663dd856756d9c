import { useState } from 'react'
import type { OutputPicture } from '../api/pictures.ts'
import { pictureShape } from './picture-shape.ts'

interface CompareProps {
  readonly before: string
  readonly after: OutputPicture
}

/** Two pictures, one over the other, parted by a slider. */
export function Compare({ before, after }: CompareProps) {
  const [percent, setPercent] = useState(50)
  return (
    <div className="compare">
      <div className="compare-pictures" style={pictureShape(after)}>
        <img src={after.url} width={after.width} height={after.height} alt="After" />
        <img src={before} alt="Before" style={{ clipPath: `inset(0 ${100 - percent}% 0 0)` }} />
      </div>
      <input
        type="range"
        min={0}
        max={100}
        value={percent}
        aria-label="How much of the picture before is shown"
        onChange={(event) => setPercent(Number(event.target.value))}
      />
    </div>
  )
}
