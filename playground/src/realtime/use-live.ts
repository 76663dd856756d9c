import type { ApiError } from '@fal-ai/client'
import { useCallback, useEffect, useRef, useState } from 'react'
import { fal, useKey } from '../api/connection.ts'
import type { Input } from '../schema/starting-input.ts'
import { FrameClock, type LiveRate } from './frame-clock.ts'

/** A picture as a realtime frame carries it. */
export interface LivePicture {
  readonly blob: Blob
}

export interface Live {
  readonly picture: LivePicture | undefined
  /** Pictures that have come. */
  readonly frames: number
  readonly rate: LiveRate
  readonly failure: { readonly message: string; readonly body: unknown } | undefined
  /** Grows whenever another input could go on its way at once. */
  readonly room: number
  readonly send: (input: Input) => void
}

interface LiveResult {
  readonly request_id?: unknown
  readonly images?: readonly {
    readonly content?: Uint8Array
    readonly url?: string
    readonly content_type?: string
  }[]
}

/** A socket draws again after this long without an answer: it was lost, or the server is starting a model. */
const LOST_MILLISECONDS = 20_000
/** Pictures that come within this time of their input follow the hand also when there is one more before them. */
const QUICK_MILLISECONDS = 250

/**
 * A realtime connection with one input on its way at a time, or with two where pictures come quickly: the server draws from one while it finishes
 * the other. Of what changes meanwhile only the newest is sent, as soon as a picture has come, so the pictures never lag behind the hand.
 */
export function useLive(endpointId: string): Live {
  const [picture, setPicture] = useState<LivePicture>()
  const [frames, setFrames] = useState(0)
  const [rate, setRate] = useState<LiveRate>({ perSecond: 0, latencyMs: undefined })
  const [failure, setFailure] = useState<Live['failure']>()
  const [room, setRoom] = useState(0)
  const state = useRef<LiveConnection>(undefined)
  const key = useKey()

  // biome-ignore lint/correctness/useExhaustiveDependencies: a connection that was refused is not made again by itself
  useEffect(() => {
    const connection = new LiveConnection(endpointId, {
      onPicture(blob, measured) {
        setPicture({ blob })
        setFrames((count) => count + 1)
        if (measured !== undefined) setRate(measured)
        setFailure(undefined)
      },
      onFailure: setFailure,
      onRoom: () => setRoom((count) => count + 1),
    })
    state.current = connection
    return () => connection.close()
  }, [endpointId, key])

  // biome-ignore lint/correctness/useExhaustiveDependencies: another connection has not been sent anything
  const send = useCallback((input: Input) => state.current?.send(input), [endpointId, key])
  return { picture, frames, rate, failure, room, send }
}

interface LiveEvents {
  /** @param rate undefined for a picture that nobody waited for any more */
  onPicture(blob: Blob, rate: LiveRate | undefined): void
  onFailure(failure: { readonly message: string; readonly body: unknown }): void
  onRoom(): void
}

class LiveConnection {
  readonly #socket: { send(input: Input): void; close(): void }
  readonly #events: LiveEvents
  readonly #clock = new FrameClock()
  #waiting: Input | undefined
  /** When the inputs went out that are not answered yet, by their request id, oldest first. */
  readonly #onTheirWay = new Map<string, number>()
  #count = 0
  #mostOnTheirWay = 1

  constructor(endpointId: string, events: LiveEvents) {
    this.#events = events
    const connection = fal.realtime.connect<Input & Record<string, unknown>, LiveResult>(endpointId, {
      connectionKey: crypto.randomUUID(),
      throttleInterval: 0,
      onResult: (result) => this.#receive(result),
      onError: ({ message, body }: ApiError<unknown>) => {
        this.#forgetUpTo((body as { readonly request_id?: unknown } | undefined)?.request_id)
        events.onFailure({ message, body })
        // No room is offered: what fails once would be drawn again and again.
        this.#sendWaiting()
      },
    })
    this.#socket = { send: (input) => connection.send({ ...input }), close: () => connection.close() }
  }

  send(input: Input): void {
    this.#waiting = input
    const [oldest = Number.POSITIVE_INFINITY] = this.#onTheirWay.values()
    if (performance.now() - oldest > LOST_MILLISECONDS) this.#onTheirWay.clear()
    this.#sendWaiting()
    this.#offerRoom()
  }

  close(): void {
    this.#waiting = undefined
    this.#socket.close()
  }

  #sendWaiting(): void {
    const input = this.#waiting
    if (input === undefined || !this.#hasRoom()) return
    this.#waiting = undefined
    const id = String(++this.#count)
    this.#onTheirWay.set(id, performance.now())
    this.#socket.send({ ...input, request_id: id })
  }

  #hasRoom(): boolean {
    return this.#onTheirWay.size < this.#mostOnTheirWay
  }

  #offerRoom(): void {
    if (this.#hasRoom()) this.#events.onRoom()
  }

  #receive({ images = [], request_id: id }: LiveResult): void {
    const sentAt = this.#onTheirWay.get(String(id))
    this.#forgetUpTo(id)
    const [image] = images
    if (image?.content !== undefined) {
      const rate = sentAt === undefined ? undefined : this.#clock.tick(performance.now(), sentAt)
      if (rate?.latencyMs !== undefined) this.#mostOnTheirWay = rate.latencyMs < QUICK_MILLISECONDS ? 2 : 1
      const type = image.content_type ?? 'image/jpeg'
      this.#events.onPicture(new Blob([new Uint8Array(image.content)], { type }), rate)
    }
    this.#sendWaiting()
    this.#offerRoom()
  }

  /** Answers come in order: what went out before the answered input was dropped. An answer to no input means that all are lost. */
  #forgetUpTo(id: unknown): void {
    if (typeof id === 'string' && !this.#onTheirWay.has(id)) return
    for (const earlier of [...this.#onTheirWay.keys()]) {
      this.#onTheirWay.delete(earlier)
      if (earlier === id) return
    }
  }
}
