import type { OutboundHttp } from '../security/outbound-http.ts'
import { sendFollowing } from './following-request.ts'
import { ModelError } from './model-error.ts'
import type { CivitaiReference } from './reference.ts'
import { retryAfterSeconds, StatusError, toModelError } from './transfer-error.ts'

export interface CivitaiClientOptions {
  readonly http: OutboundHttp
  /** An API token of an account there; some files are for signed-in users only. */
  readonly token: string | undefined
}

const MAX_ANSWER_BYTES = 8 * 1024 * 1024
const ANSWER_SECONDS = 20

/** Where files of Civitai's models are to be had. */
export class CivitaiClient {
  readonly #options: CivitaiClientOptions

  constructor(options: CivitaiClientOptions) {
    this.#options = options
  }

  /**
   * The download address of a model version, or of a model's newest.
   * @param mayAsk whether Civitai may be asked which version is the newest
   * @throws ModelError; the signal's reason
   */
  async address(
    { origin, modelId, versionId, query }: CivitaiReference,
    label: string,
    signal: AbortSignal,
    mayAsk: boolean,
  ): Promise<{ url: URL; authorization?: string }> {
    const { token } = this.#options
    const authorization = token === undefined ? {} : { authorization: `Bearer ${token}` }
    if (versionId === undefined && !mayAsk) {
      throw new ModelError(
        'downloads-off',
        `${label} names no version, and nothing is asked of Civitai for this request; name a version.`,
      )
    }
    const version = versionId ?? (await this.#newestVersion(origin, modelId ?? '', label, signal))
    const url = new URL(`${origin}/api/download/models/${version}`)
    if (query !== undefined) url.search = query
    return { url, ...authorization }
  }

  async #newestVersion(origin: string, modelId: string, label: string, signal: AbortSignal): Promise<string> {
    const request = {
      url: new URL(`${origin}/api/v1/models/${modelId}`),
      method: 'GET' as const,
      timeoutSeconds: ANSWER_SECONDS,
      signal,
    }
    try {
      return await sendFollowing(this.#options.http, request, async ({ status, headers, body }) => {
        if (status !== 200) throw new StatusError(status, retryAfterSeconds(headers['retry-after'], new Date()))
        const chunks: Uint8Array[] = []
        let length = 0
        for await (const chunk of body as AsyncIterable<Uint8Array>) {
          chunks.push(chunk)
          length += chunk.byteLength
          if (length > MAX_ANSWER_BYTES)
            throw new ModelError('unreachable', `Civitai's answer about ${label} is too long.`)
        }
        const version = /^\d+$/.exec(String(newestOf(JSON.parse(Buffer.concat(chunks).toString('utf8')))))?.[0]
        if (version === undefined) throw new ModelError('not-found', `${label} has no version that can be fetched.`)
        return version
      })
    } catch (error) {
      signal.throwIfAborted()
      throw error instanceof SyntaxError
        ? new ModelError('unreachable', `Civitai's answer about ${label} is no JSON; try again later.`, error)
        : toModelError(error, label)
    }
  }
}

/** Versions come newest first. */
function newestOf(answer: unknown): unknown {
  const versions =
    typeof answer === 'object' && answer !== null && 'modelVersions' in answer ? answer.modelVersions : undefined
  const first: unknown = Array.isArray(versions) ? versions[0] : undefined
  return typeof first === 'object' && first !== null && 'id' in first ? first.id : undefined
}
