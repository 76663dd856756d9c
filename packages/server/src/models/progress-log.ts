import { sizeText } from './size-text.ts'

const LINE_MILLISECONDS = 5000

/** Says in a request's log how a download is coming on: when it begins, every few seconds, and when it is done. */
export class ProgressLog {
  readonly #label: string
  readonly #log: (message: string) => void
  #started: number | undefined
  #lastLine = 0
  #totalBytes: number | undefined
  #doneBytes = 0
  #firstBytes: number | undefined

  constructor(label: string, log: (message: string) => void) {
    this.#label = label
    this.#log = log
  }

  /** @param totalBytes absent where the server does not say */
  start(totalBytes: number | undefined, files: number): void {
    if (this.#started !== undefined) return
    this.#started = performance.now()
    this.#lastLine = this.#started
    this.#totalBytes = totalBytes
    const what = [files > 1 ? `${files} files` : undefined, totalBytes === undefined ? undefined : sizeText(totalBytes)]
    const known = what.filter((part) => part !== undefined).join(', ')
    this.#log(`Downloading ${this.#label}${known === '' ? '' : ` (${known})`}`)
  }

  update(doneBytes: number): void {
    this.#doneBytes = doneBytes
    this.#firstBytes ??= doneBytes
    const now = performance.now()
    if (this.#started === undefined || now - this.#lastLine < LINE_MILLISECONDS) return
    this.#lastLine = now
    this.#log(`Downloading ${this.#label}: ${progressText(doneBytes, this.#totalBytes, this.#rate(now))}`)
  }

  end(): void {
    if (this.#started === undefined) return
    const seconds = (performance.now() - this.#started) / 1000
    this.#log(`Downloaded ${this.#label}: ${sizeText(this.#doneBytes)} in ${seconds.toFixed(1)} s`)
  }

  /** Bytes a second of this download; what an earlier one left counts for nothing. */
  #rate(now: number): number {
    return (this.#doneBytes - (this.#firstBytes ?? 0)) / ((now - (this.#started ?? now)) / 1000)
  }
}

/** `34 %, 410 MB of 1.20 GB, 45.0 MB/s, 18 s left` */
export function progressText(doneBytes: number, totalBytes: number | undefined, bytesPerSecond: number): string {
  const rate = `${sizeText(bytesPerSecond)}/s`
  if (totalBytes === undefined || totalBytes === 0) return `${sizeText(doneBytes)}, ${rate}`
  const percent = Math.floor((doneBytes / totalBytes) * 100)
  const parts = [`${percent} %`, `${sizeText(doneBytes)} of ${sizeText(totalBytes)}`, rate]
  if (bytesPerSecond > 0) parts.push(`${durationText((totalBytes - doneBytes) / bytesPerSecond)} left`)
  return parts.join(', ')
}

/** `45 s`, `12 min`, `2 h 5 min` */
export function durationText(seconds: number): string {
  if (seconds < 99.5) return `${Math.round(seconds)} s`
  const minutes = Math.round(seconds / 60)
  return minutes < 100 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`
}
