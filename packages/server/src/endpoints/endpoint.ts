import type { z } from 'zod'
import type { LogLevel, Progress } from '../queue/request-queue.ts'

/** What the gateway needs to know of an endpoint. Its OpenAPI document, validation and 422 bodies come from the schemas. */
export interface EndpointSchema<I extends z.ZodObject = z.ZodObject, O extends z.ZodObject = z.ZodObject> {
  /** Full endpoint id: `fal-ai/fast-lcm-diffusion`. */
  readonly id: string
  /** Further ids it answers to, legacy ones included. */
  readonly aliases: readonly string[]
  readonly title: string
  readonly description: string
  readonly category: string
  readonly input: I
  readonly output: O
  /** Whether `/realtime` sockets are answered. */
  readonly realtime: boolean
  /** Words to find it by, besides those that follow from the rest. */
  readonly tags?: readonly string[]
  /** Endpoints of one model family share a group. */
  readonly group?: { readonly key: string; readonly label: string }
  /** Day on which this server began to answer it: `2026-11-21`. */
  readonly addedOn?: string
}

/** A generated file as an output field carries it. */
export interface StoredFile {
  readonly url: string
  readonly contentType: string
  readonly fileName: string
  readonly fileSize: number
}

/** The bytes under one key are the same for ever. */
export type OwnFile =
  | { readonly refusal: 'missing' | 'forbidden' | 'too_large' }
  | { readonly key: string; readonly body: ReadableStream<Uint8Array> }

/** What draws, in the words of headers and logs. */
export interface ArithmeticName {
  /** `cpu`, `cuda` … */
  readonly device: string
  /** `exact`, or the arithmetic that draws nearly the same faster. */
  readonly precision: string
}

/** A request as a picture carries it. */
export interface RequestRecord {
  readonly endpointId: string
  /** Absent: `exact`. */
  readonly precision?: string
  /** The validated input. */
  readonly input: unknown
}

/** What a handler may do besides computing. */
export interface HandlerContext {
  readonly requestId: string
  /** Aborts on cancel, on a lost claim and on shutdown. */
  readonly signal: AbortSignal
  /** What the pictures are to say of the request that they come from; absent where they are to say nothing. */
  readonly record?: RequestRecord
  /** True for `/stream`, where intermediate outputs are wanted; false for realtime, where each input has one result. */
  readonly streaming: boolean
  /** Realtime: pictures go into the frame as bytes instead of a URL. */
  readonly inlineBytes: boolean
  /** @param progress how far the request is, for those who show it */
  log(message: string, level?: LogLevel, progress?: Progress): void
  /** Stores a generated file and returns the URL by which this client reaches it. */
  saveFile(bytes: Uint8Array, contentType: string, extension: string): Promise<StoredFile>
  /**
   * Waits until so many bytes of pictures may be held beside those of other requests; they count until the request is over. Asked for
   * once by a request, before it decodes.
   */
  reserveMemory(bytes: number): Promise<void>
  /**
   * Says that the next request may draw: what is left of this one is done beside it. Waits while another's is, so that no more than one
   * lies behind.
   */
  handOnDevice(): Promise<void>
  /**
   * Bytes of an input file: http(s) URL, `data:` URI, or a URL of this server (read locally).
   * @param expected `picture` (the default) refuses what its declared type says is none
   * @throws WireError 422 `file_download_error`, `file_too_large` … naming `field`
   */
  readFile(url: string, field: readonly (string | number)[], expected?: 'picture' | 'any'): Promise<Uint8Array>
  /**
   * Opens a file that was uploaded to this server, of any kind and size: why it is not given, or its bytes, to be read or cancelled.
   * @returns undefined for URLs that are not of this server
   */
  openOwnFile(url: string, maxBytes: number): Promise<OwnFile | undefined>
  /** Sets a response header of the result, e.g. `x-darkroom-model`. */
  setHeader(name: string, value: string): void
}

/** Yields intermediate outputs of the final output's shape; returns the final one. */
export type Drawing<Output = unknown> = AsyncGenerator<Partial<Output>, Output>

/**
 * Prepares — refuses what can be refused, reads and decodes what the input names, finds the weights — and returns the drawing. Any number
 * of requests prepare at once; the drawing is run when the device is the request's. A generator function has nothing to prepare.
 */
export type EndpointHandler<Input = unknown, Output = unknown> = (
  input: Input,
  context: HandlerContext,
) => Drawing<Output> | Promise<Drawing<Output>>

/**
 * Has the weights that an input names read from the disk, for a request that may be drawn next while another is drawn: what is not on this
 * machine is left alone. May throw; resolves when all is read, and nobody needs to wait.
 * @param signal ends it
 */
export type ReadWeightsAhead<Input = unknown> = (input: Input, signal: AbortSignal) => Promise<void>

/** An endpoint that this runner can answer. */
export interface RunnableEndpoint {
  readonly schema: EndpointSchema
  readonly handler: EndpointHandler
  /** Absent where an endpoint has no weights to speak of. */
  readonly readWeightsAhead?: ReadWeightsAhead
}

/** An endpoint whose handler is given what its schema makes of an input. */
export function runnable<I extends z.ZodObject>(
  schema: EndpointSchema<I>,
  handler: EndpointHandler<z.output<I>>,
  readWeightsAhead?: ReadWeightsAhead<z.output<I>>,
): RunnableEndpoint {
  // Inputs are validated against the schema before either is called.
  return {
    schema,
    handler: handler as EndpointHandler,
    ...(readWeightsAhead && { readWeightsAhead: readWeightsAhead as ReadWeightsAhead }),
  }
}
