import type { ApiError } from '@fal-ai/client'
import { useCallback, useEffect, useRef, useState } from 'react'
import { fal } from '../api/connection.ts'
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
  readonly send: (input: Input) => void
}

interface LiveResult {
  readonly images?: readonly {
    readonly content?: Uint8Array
    readonly url?: string
    readonly content_type?: string
  }[]
}

/** A socket draws again after this long without an answer: it was lost, or the server is starting a model. */
const LOST_MILLISECONDS = 20_000

/**
 * A realtime connection with one input on its way at a time. Of what changes meanwhile only the newest is sent, as soon as the
 * picture before has come, so the pictures never lag behind the hand.
 */
export function useLive(endpointId: string): Live {
  const [picture, setPicture] = useState<LivePicture>()
  const [frames, setFrames] = useState(0)
  const [rate, setRate] = useState<LiveRate>({ perSecond: 0, latencyMs: undefined })
  const [failure, setFailure] = useState<Live['failure']>()
  const state = useRef<LiveConnection>(undefined)

  useEffect(() => {
    const connection = new LiveConnection(endpointId, {
      onPicture(blob, measured) {
        setPicture({ blob })
        setFrames((count) => count + 1)
        setRate(measured)
        setFailure(undefined)
      },
      onFailure: setFailure,
    })
    state.current = connection
    return () => connection.close()
  }, [endpointId])

  const send = useCallback((input: Input) => state.current?.send(input), [])
  return { picture, frames, rate, failure, send }
}

interface LiveEvents {
  onPicture(blob: Blob, rate: LiveRate): void
  onFailure(failure: { readonly message: string; readonly body: unknown }): void
}

class LiveConnection {
  readonly #socket: { send(input: Input): void; close(): void }
  readonly #clock = new FrameClock()
  #waiting: Input | undefined
  #sentAt: number | undefined

  constructor(endpointId: string, events: LiveEvents) {
    const connection = fal.realtime.connect<Input & Record<string, unknown>, LiveResult>(endpointId, {
      connectionKey: crypto.randomUUID(),
      throttleInterval: 0,
      onResult: (result) => this.#receive(result, events),
      onError: (error: ApiError<unknown>) => {
        this.#sentAt = undefined
        events.onFailure({ message: error.message, body: error.body })
        this.#sendWaiting()
      },
    })
    this.#socket = { send: (input) => connection.send({ ...input }), close: () => connection.close() }
  }

  send(input: Input): void {
    this.#waiting = input
    const isBusy = this.#sentAt !== undefined && performance.now() - this.#sentAt < LOST_MILLISECONDS
    if (!isBusy) this.#sendWaiting()
  }

  close(): void {
    this.#waiting = undefined
    this.#socket.close()
  }

  #sendWaiting(): void {
    const input = this.#waiting
    if (input === undefined) return
    this.#waiting = undefined
    this.#sentAt = performance.now()
    this.#socket.send(input)
  }

  #receive({ images = [] }: LiveResult, events: LiveEvents): void {
    const sentAt = this.#sentAt
    this.#sentAt = undefined
    const [image] = images
    if (image?.content !== undefined && sentAt !== undefined) {
      const type = image.content_type ?? 'image/jpeg'
      const rate = this.#clock.tick(performance.now(), sentAt)
      events.onPicture(new Blob([new Uint8Array(image.content)], { type }), rate)
    }
    this.#sendWaiting()
  }
}
