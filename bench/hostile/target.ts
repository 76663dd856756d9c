/** Where an attack goes, and with which key. */
export interface Target {
  /** `http://127.0.0.1:41234` */
  readonly url: string
  readonly port: number
  /** Authorization header of whoever attacks. */
  readonly authorization: string
}

/** How much of everything, so that a test can run the same on a small scale. */
export interface Scale {
  /** Seconds after which an attack leaves, answered or not. */
  readonly mostSeconds: number
  /** Seconds that an attack lasts which would go on by itself. */
  readonly seconds: number
  /** Connections of the slow ones. */
  readonly slowSockets: number
  readonly idleSockets: number
  readonly uploads: number
  readonly abortedUploads: number
  readonly slowUrls: number
  /** Requests whose stored input the listing answers, and the bytes of each. */
  readonly stored: number
  readonly storedBytes: number
  readonly hugeFields: number
  readonly hugeBytes: number
  /** Sides of a picture that is legal, in pixels. */
  readonly pictureSide: number
}

export const FULL: Scale = {
  mostSeconds: 120,
  seconds: 15,
  slowSockets: 200,
  idleSockets: 2_000,
  uploads: 2_000,
  abortedUploads: 200,
  slowUrls: 64,
  stored: 100,
  storedBytes: 5_000_000,
  hugeFields: 32,
  hugeBytes: 8_000_000,
  pictureSide: 8_000,
}

export const SMALL: Scale = {
  mostSeconds: 120,
  seconds: 2,
  slowSockets: 20,
  idleSockets: 100,
  uploads: 50,
  abortedUploads: 10,
  slowUrls: 16,
  stored: 6,
  storedBytes: 500_000,
  hugeFields: 6,
  hugeBytes: 2_000_000,
  pictureSide: 2_000,
}

/** How often each kind of answer came: a status, or why there was none. */
export type Outcomes = Record<string, number>

export function count(outcomes: Outcomes, what: string): void {
  outcomes[what] = (outcomes[what] ?? 0) + 1
}

/** An attack: plays until it is through or the signal is aborted, and tells what it was answered. */
export type Attack = (target: Target, scale: Scale, signal: AbortSignal) => Promise<Outcomes>

/** Runs the same thing many times, some at once; nothing more begins when the signal is aborted. */
export async function many(
  times: number,
  atOnce: number,
  signal: AbortSignal,
  work: (index: number) => Promise<void>,
): Promise<void> {
  let next = 0
  const worker = async () => {
    while (next < times && !signal.aborted) await work(next++)
  }
  await Promise.all(Array.from({ length: Math.min(times, atOnce) }, worker))
}

/**
 * A signal that is aborted with another, or after so many seconds. Not `AbortSignal.any` of `AbortSignal.timeout`: nobody else holds that one, and Node 20
 * collects it, so that it never comes.
 */
export function endsAfter(seconds: number, signal: AbortSignal): AbortSignal {
  const controller = new AbortController()
  const end = () => controller.abort()
  setTimeout(end, seconds * 1000).unref()
  signal.addEventListener('abort', end, { once: true })
  if (signal.aborted) end()
  return controller.signal
}
