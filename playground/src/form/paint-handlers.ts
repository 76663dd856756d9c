import type { PointerEvent, RefObject } from 'react'
import type { Painter, StrokeStyle } from './painter.ts'

/**
 * What a canvas does with the pointer: strokes while it is down, wherever it goes.
 * @param onPainted called after each change
 */
export function paintHandlers(
  painter: RefObject<Painter | undefined>,
  stroke: StrokeStyle,
  onPainted: () => void = () => {},
) {
  const end = () => {
    painter.current?.end()
    onPainted()
  }
  return {
    onPointerDown(event: PointerEvent) {
      event.currentTarget.setPointerCapture(event.pointerId)
      painter.current?.begin(event.nativeEvent, stroke)
      onPainted()
    },
    onPointerMove(event: PointerEvent) {
      if (painter.current?.move(event.nativeEvent)) onPainted()
    },
    onPointerUp: end,
    // A second finger, or the system, took the pointer: a stroke that goes on would follow it without a touch.
    onPointerCancel: end,
  }
}
