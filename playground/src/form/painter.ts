export interface StrokeStyle {
  /** Diameter of the brush in pixels of the canvas. */
  readonly width: number
  readonly colour: string
}

/** Strokes on a canvas, in the canvas's own pixels however large it is shown. */
export class Painter {
  readonly #canvas: HTMLCanvasElement
  readonly #context: CanvasRenderingContext2D
  readonly #background: string
  #stroke: StrokeStyle = { width: 1, colour: '#000000' }
  #last: { readonly x: number; readonly y: number } | undefined

  /** Fills the canvas with the background. */
  constructor(canvas: HTMLCanvasElement, background: string) {
    const context = canvas.getContext('2d', { willReadFrequently: true })
    if (context === null) throw new Error('This browser gives no 2D canvas')
    this.#canvas = canvas
    this.#context = context
    this.#background = background
    this.clear()
  }

  begin(event: PointerEvent, stroke: StrokeStyle): void {
    this.#stroke = stroke
    this.#last = this.#at(event)
    this.#draw(this.#last, this.#last)
  }

  /** @returns whether anything was painted */
  move(event: PointerEvent): boolean {
    if (this.#last === undefined) return false
    // The browser gives fewer events than the pen made, and the others with them.
    const events = event.getCoalescedEvents?.() ?? []
    for (const point of events.length > 0 ? events : [event]) {
      const at = this.#at(point)
      this.#draw(this.#last, at)
      this.#last = at
    }
    return true
  }

  end(): void {
    this.#last = undefined
  }

  /** A canvas of another size loses what was painted on it: it is painted anew, stretched, and a stroke goes on. */
  resize(width: number, height: number): void {
    const painted = document.createElement('canvas')
    painted.width = this.#canvas.width
    painted.height = this.#canvas.height
    painted.getContext('2d')?.drawImage(this.#canvas, 0, 0)
    this.#canvas.width = width
    this.#canvas.height = height
    this.#context.drawImage(painted, 0, 0, width, height)
    if (this.#last === undefined) return
    this.#last = { x: (this.#last.x * width) / painted.width, y: (this.#last.y * height) / painted.height }
  }

  clear(): void {
    this.#context.fillStyle = this.#background
    this.#context.fillRect(0, 0, this.#canvas.width, this.#canvas.height)
  }

  /** Black becomes white and white black. */
  invert(): void {
    const { width, height } = this.#canvas
    const pixels = this.#context.getImageData(0, 0, width, height)
    for (let i = 0; i < pixels.data.length; i += 1) {
      if (i % 4 !== 3) pixels.data[i] = 255 - (pixels.data[i] ?? 0)
    }
    this.#context.putImageData(pixels, 0, 0)
  }

  #at(event: PointerEvent): { readonly x: number; readonly y: number } {
    const box = this.#canvas.getBoundingClientRect()
    return {
      x: ((event.clientX - box.left) / box.width) * this.#canvas.width,
      y: ((event.clientY - box.top) / box.height) * this.#canvas.height,
    }
  }

  #draw(from: { readonly x: number; readonly y: number }, to: { readonly x: number; readonly y: number }): void {
    const context = this.#context
    context.strokeStyle = this.#stroke.colour
    context.lineWidth = this.#stroke.width
    context.lineCap = 'round'
    context.lineJoin = 'round'
    context.beginPath()
    context.moveTo(from.x, from.y)
    context.lineTo(to.x, to.y + 0.01)
    context.stroke()
  }
}
