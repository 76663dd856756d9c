import { useEffect, useRef } from 'react'
import type { Live } from './use-live.ts'

const FIRST_SIDE = 512

/** The newest picture, and how fast they come. */
export function LiveOutput({ live: { picture, frames, rate, failure } }: { readonly live: Live }) {
  const canvas = useRef<HTMLCanvasElement>(null)
  useEffect(() => {
    if (picture === undefined) return
    let isStale = false
    createImageBitmap(picture.blob).then(
      (bitmap) => {
        if (!isStale && canvas.current !== null) draw(canvas.current, bitmap)
        bitmap.close()
      },
      // A picture that cannot be decoded leaves the one before.
      () => {},
    )
    return () => {
      isStale = true
    }
  }, [picture])
  return (
    <section className="panel result-panel" aria-label="Result">
      <div className="live-picture">
        <canvas ref={canvas} width={FIRST_SIDE} height={FIRST_SIDE} role="img" aria-label="The newest picture" />
        {frames === 0 && failure === undefined ? (
          <p className="live-wait" role="status">
            Waiting for the first picture: the model may be loading
          </p>
        ) : null}
      </div>
      <dl className="facts" data-testid="live-rate">
        <div>
          <dt>Pictures per second</dt>
          <dd>{frames < 2 ? '–' : rate.perSecond.toFixed(1)}</dd>
        </div>
        <div>
          <dt>Latency (median)</dt>
          <dd>{rate.latencyMs === undefined ? '–' : `${Math.round(rate.latencyMs)} ms`}</dd>
        </div>
        <div>
          <dt>Pictures</dt>
          <dd>{frames}</dd>
        </div>
      </dl>
      {failure === undefined ? null : (
        <p className="notice-box bad" role="alert">
          {failure.message}
        </p>
      )}
    </section>
  )
}

function draw(canvas: HTMLCanvasElement, bitmap: ImageBitmap): void {
  if (canvas.width !== bitmap.width || canvas.height !== bitmap.height) {
    canvas.width = bitmap.width
    canvas.height = bitmap.height
  }
  canvas.getContext('2d')?.drawImage(bitmap, 0, 0)
}
