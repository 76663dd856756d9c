import { setTimeout as sleep } from 'node:timers/promises'
import { z } from 'zod'
import type {
  Drawing,
  EndpointHandler,
  EndpointSchema,
  HandlerContext,
  RunnableEndpoint,
} from '../../src/endpoints/endpoint.ts'
import { fieldError, WireError } from '../../src/errors/errors.ts'
import { parseJson, toPlainValue } from '../../src/protocol/json-parse.ts'
import type { InputValidation } from '../../src/runner/attempt.ts'

const field = z.any().optional()

/** Every field that a fake endpoint looks at, of any type: the gateway drops what a schema does not name. */
const input = z.object({
  image_bytes: field,
  image_url: field,
  ms: field,
  prompt: z.string().optional(),
  request_id: field,
  seed: field,
  size: field,
  steps: field,
  tag: field,
})

function endpoint(
  id: string,
  handler: EndpointHandler<Record<string, unknown>, Record<string, unknown>>,
  schema: Partial<EndpointSchema> = {},
): RunnableEndpoint {
  return {
    schema: {
      id,
      aliases: [],
      title: id,
      description: 'Answers tests',
      category: 'test',
      input,
      output: z.looseObject({}),
      realtime: true,
      ...schema,
    },
    handler: handler as EndpointHandler,
  }
}

type Answer = (input: Record<string, unknown>, context: HandlerContext) => Promise<Record<string, unknown>>

/** A handler without intermediate outputs. */
function once(answer: Answer): EndpointHandler<Record<string, unknown>, Record<string, unknown>> {
  return async function* (input, context) {
    yield* []
    return await answer(input, context)
  }
}

/** Answers with its input. */
export const echo = endpoint(
  'fake/echo',
  once(async (input, context) => {
    context.setHeader('X-Darkroom-Model', 'echo')
    return { ...input }
  }),
)

/** `steps` times: logs, yields `{ step }`, waits `ms`. Stops when told to. */
export const steps = endpoint('fake/steps', async function* (input, context) {
  const count = Number(input.steps ?? 3)
  for (let step = 1; step <= count; step++) {
    context.log(`step ${step} of ${count}`)
    yield { step }
    await sleep(Number(input.ms ?? 1), undefined, { signal: context.signal })
  }
  return { done: count, tag: input.tag }
})

/** Does not look at its signal: finishes in its own time. */
export const deaf = endpoint(
  'fake/deaf',
  once(async (input) => {
    await sleep(Number(input.ms ?? 50))
    return { finished: true }
  }),
)

const never = () => new Promise<never>(() => {})

export interface Gate {
  readonly endpoint: RunnableEndpoint
  /** Resolves when the first input has reached the handler. */
  readonly entered: Promise<void>
  /** Lets it, and all after it, be answered. */
  open(): void
}

/** `fake/gate` answers `{ tag }` once it is opened: for tests of what happens while a work is underway. */
export function createGate(): Gate {
  let enter = () => {}
  let open = () => {}
  const entered = new Promise<void>((resolve) => {
    enter = resolve
  })
  const opened = new Promise<void>((resolve) => {
    open = resolve
  })
  const answer = once(async ({ tag }) => {
    enter()
    await opened
    return { tag }
  })
  return { endpoint: endpoint('fake/gate', answer), entered, open: () => open() }
}

export interface Turns {
  readonly endpoint: RunnableEndpoint
  /** Has it go on from the step that it has yielded last. */
  next(): void
}

/** `fake/turns` yields `{ step }` three times, each after the first when it is told to: for tests of what is passed on at once. */
export function createTurns(): Turns {
  let next = () => {}
  const turns = endpoint('fake/turns', async function* () {
    for (let step = 1; step <= 3; step++) {
      const isAsked = new Promise<void>((resolve) => {
        next = resolve
      })
      yield { step }
      await isAsked
    }
    return { done: 3 }
  })
  return { endpoint: turns, next: () => next() }
}

/** Never ends. */
export const hang = endpoint('fake/hang', once(never))

/** A defect. */
export const broken = endpoint(
  'fake/broken',
  once(async () => {
    throw new TypeError('secret internals')
  }),
)

/** Refuses its input, as a model does that cannot load an image. */
export const refuse = endpoint(
  'fake/refuse',
  once(async (input) => {
    throw fieldError('image_url', 'image_load_error', 'The image could not be loaded', { input: input.image_url })
  }),
)

/** Fails after its first intermediate output. */
export const breaksOff = endpoint('fake/breaks-off', async function* () {
  yield { step: 1 }
  throw fieldError('image_url', 'file_download_error', 'gone')
})

/** The device is gone: answers 503. */
export const unavailable = endpoint(
  'fake/unavailable',
  once(async () => {
    throw new WireError(503, 'GPU error')
  }),
)

/** Ends its process, as a native crash does. */
export const crash = endpoint(
  'fake/crash',
  once(async () => {
    process.kill(process.pid, 'SIGKILL')
    return await never()
  }),
)

/** A picture, as bytes or as a URL, the way engine endpoints answer. */
export const picture = endpoint(
  'fake/picture',
  async function* (input, context: HandlerContext) {
    const content = new Uint8Array(Number(input.size ?? 4)).fill(7)
    if (context.streaming) yield { images: [{ url: 'data:image/png;base64,AAEC', content_type: 'image/png' }] }
    const image = context.inlineBytes
      ? { content, content_type: 'image/png' }
      : { url: (await context.saveFile(content, 'image/png', 'png')).url, content_type: 'image/png' }
    return { images: [image], seed: input.seed }
  },
  { aliases: ['fake/legacy-picture'] },
)

/** Tells how many bytes its input file has. */
export const read = endpoint('fake/read', async (input, context) => {
  const { byteLength: size } = await context.readFile(String(input.image_url), ['body', 'image_url'])
  return answering({ size })
})

async function* answering(output: Record<string, unknown>): Drawing<Record<string, unknown>> {
  yield* []
  return output
}

/** Takes any object as it is, so that tests can send what they like; integers beyond 2^53 keep their digits. */
export const anyObject: InputValidation = {
  parseInput: (text) => toPlainValue(parseJson(text)),
  validate: (_schema, input) => requireObject(input),
}

function requireObject(input: unknown): unknown {
  if (typeof input === 'object' && input !== null) return input
  throw fieldError([], 'type_error.dict', 'value is not a valid dict')
}

export const FAKE_ENDPOINTS: readonly RunnableEndpoint[] = [
  echo,
  steps,
  deaf,
  hang,
  broken,
  refuse,
  breaksOff,
  unavailable,
  crash,
  picture,
  read,
]

/** Stands in for the file store: files are named, not kept. */
export function fakeFiles(request: {
  filesUrl: string
}): Pick<HandlerContext, 'saveFile' | 'readFile' | 'openOwnFile'> {
  return {
    saveFile: async (bytes, contentType, extension) => ({
      url: `${request.filesUrl}/files/x.${extension}`,
      contentType,
      fileName: `x.${extension}`,
      fileSize: bytes.byteLength,
    }),
    readFile: async () => new Uint8Array(),
    openOwnFile: async () => undefined,
  }
}
