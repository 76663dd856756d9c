import { randomBytes } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Config } from '../config/config.ts'
import { createCatalogue } from '../endpoints/catalogue.ts'
import type { EndpointSchema, HandlerContext, StoredFile } from '../endpoints/endpoint.ts'
import { nearEndpoints } from '../endpoints/near-endpoints.ts'
import { fieldError } from '../errors/errors.ts'
import { createImageEndpoints } from '../processes/image-endpoints.ts'
import { dumpsJson } from '../protocol/json-text.ts'
import { createRequestId } from '../protocol/request-id.ts'
import { fetchBytes } from '../security/fetch-bytes.ts'
import { MAX_IMAGE_BYTES } from '../security/input-file.ts'
import { OutboundHttp } from '../security/outbound-http.ts'
import { validateInput } from '../validation/validate-input.ts'
import { stepBar } from './progress.ts'
import { UserError } from './user-error.ts'

export interface RunOptions {
  readonly endpointId: string
  /** `key=value`; the value is JSON where it reads as JSON, else text. */
  readonly fields: readonly string[]
  /** Folder for the pictures and the output. */
  readonly output: string
}

/** `darkroom run`: one call of an endpoint in this process, its files written to a folder, its output printed. */
export async function runEndpoint(options: RunOptions, config: Config, signal: AbortSignal): Promise<void> {
  const images = await createImageEndpoints(config, (line) => console.error(line))
  const outbound = new OutboundHttp({ allowPrivateTargets: config.allowPrivateTargets })
  try {
    const found = createCatalogue(images.endpoints.map(({ schema }) => schema)).find(options.endpointId)
    const endpoint = images.endpoints.find(({ schema }) => found.kind === 'found' && schema.id === found.endpoint.id)
    if (endpoint === undefined) {
      const ids = images.endpoints.map(({ schema }) => schema.id)
      const near = nearEndpoints(options.endpointId, ids)
      const advice = near.length > 0 ? `near it: ${near.join(', ')}` : `expected one of ${ids.join(', ')}`
      throw new UserError(`there is no endpoint ${options.endpointId}; ${advice}`)
    }
    const input = validateInput(endpoint.schema.input, inputFromFields(options.fields, endpoint.schema))
    await mkdir(options.output, { recursive: true })
    const bar = stepBar()
    const context = handlerContext(options.output, outbound, signal, (message, _level, progress) => {
      if (progress) bar.update(progress.done, progress.total)
      else console.error(message)
    })
    const output = await drive(await endpoint.handler(input, context)).finally(() => bar.stop())
    const path = join(options.output, 'output.json')
    await writeFile(path, `${dumpsJson(output)}\n`)
    console.log(dumpsJson(output))
  } finally {
    await outbound.close()
    await images.dispose()
  }
}

async function drive(steps: AsyncGenerator<unknown, unknown>): Promise<unknown> {
  for (;;) {
    const step = await steps.next()
    if (step.done) return step.value
  }
}

/**
 * `prompt=a cat` and `num_images=2` as an input object; of a repeated key the last counts.
 * @throws UserError for a field that the endpoint does not have: over HTTP it is ignored, as on fal, here it is a slip of the hand
 */
export function inputFromFields(
  fields: readonly string[],
  { id, input: schema }: Pick<EndpointSchema, 'id' | 'input'>,
): Record<string, unknown> {
  // Pictures go to files here, unless asked otherwise.
  const input: Record<string, unknown> = { sync_mode: false }
  for (const field of fields) {
    const separator = field.indexOf('=')
    if (separator < 1) throw new UserError(`expected key=value, got ${field}`)
    const name = field.slice(0, separator)
    if (!(name in schema.shape)) {
      throw new UserError(`${id} has no field ${name}; expected one of ${Object.keys(schema.shape).join(', ')}`)
    }
    input[name] = readValue(field.slice(separator + 1))
  }
  return input
}

function readValue(text: string): unknown {
  // A seed of up to 20 digits would lose some as a JSON number.
  if (/^-?\d{16,}$/.test(text)) return BigInt(text)
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

function handlerContext(
  folder: string,
  outbound: OutboundHttp,
  signal: AbortSignal,
  log: HandlerContext['log'],
): HandlerContext {
  return {
    requestId: createRequestId(),
    signal,
    streaming: false,
    inlineBytes: false,
    log,
    setHeader() {},
    reserveMemory: async () => {},
    handOnDevice: async () => {},
    openOwnFile: async () => undefined,
    async saveFile(bytes, contentType, extension): Promise<StoredFile> {
      const fileName = `${randomBytes(8).toString('hex')}.${extension}`
      const path = resolve(folder, fileName)
      await writeFile(path, bytes)
      return { url: pathToFileURL(path).href, contentType, fileName, fileSize: bytes.byteLength }
    },
    async readFile(url, field) {
      try {
        if (/^(https?|data):/i.test(url)) {
          return (await fetchBytes(outbound, url, { maxBytes: MAX_IMAGE_BYTES, timeoutSeconds: 30, signal })).bytes
        }
        return await readFile(url)
      } catch (error) {
        throw fieldError(field, 'file_download_error', error instanceof Error ? error.message : String(error))
      }
    },
  }
}
