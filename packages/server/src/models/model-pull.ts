import type { CivitaiClient } from './civitai-client.ts'
import type { HubModels, HubPlan } from './hub-models.ts'
import { ModelError } from './model-error.ts'
import { type CivitaiReference, labelOf, parseReference, type UrlReference } from './reference.ts'
import type { UrlDownloads } from './url-downloads.ts'
import { hubKey, type UsageLedger, urlKey } from './usage-ledger.ts'
import type { WeightsKind } from './weights-kind.ts'
import type { ListedFile } from './weights-selection.ts'

export interface ModelPullOptions {
  readonly hub: HubModels
  readonly urls: UrlDownloads
  readonly civitai: CivitaiClient
  readonly usage: UsageLedger
  readonly hubEndpoint: string
  readonly isOffline: boolean
}

export interface PullWish {
  /** Absent: what the repository looks like. */
  readonly kind?: WeightsKind
  readonly variant?: string
  readonly weightName?: string
}

/** What pulling a reference would fetch. */
export interface PullPlan {
  readonly label: string
  readonly license?: string
  /** What is needed, whether or not it is here; empty for a URL, whose size is known when it comes. */
  readonly files: readonly ListedFile[]
  readonly missing: readonly ListedFile[]
  readonly source:
    | { readonly type: 'hub'; readonly plan: HubPlan; readonly revision: string }
    | { readonly type: 'url'; readonly reference: CivitaiReference | UrlReference }
}

export interface PullOptions {
  readonly signal: AbortSignal
  /** @param totalBytes absent while it is not known */
  readonly onProgress?: (file: string, doneBytes: number, totalBytes: number | undefined) => void
}

/** Fetches models because somebody says so, of any size; they stay until somebody removes them. */
export class ModelPulls {
  readonly #options: ModelPullOptions

  constructor(options: ModelPullOptions) {
    this.#options = options
  }

  /** @throws ModelError; the signal's reason */
  async plan(reference: string, wish: PullWish, signal: AbortSignal): Promise<PullPlan> {
    const parsed = parseReference(reference, this.#options.hubEndpoint)
    const label = labelOf(parsed)
    if (parsed.type === 'data' || parsed.type === 'path') {
      throw new ModelError(
        'invalid-reference',
        `${label} is nothing to be fetched: name a hub id, a Civitai page or a URL.`,
      )
    }
    if (parsed.type !== 'hub') return { label, files: [], missing: [], source: { type: 'url', reference: parsed } }
    if (this.#options.isOffline) throw new ModelError('offline', 'HF_HUB_OFFLINE is set: the hub is not asked.')
    const plan = await this.#options.hub.plan(parsed, wish, label, signal)
    const { choice, missing, license } = plan
    const source = { type: 'hub' as const, plan, revision: parsed.revision ?? 'main' }
    return { label, files: choice.files, missing, source, ...(license !== undefined && { license }) }
  }

  /** Fetches what a plan lacks. @throws ModelError; the signal's reason */
  async fetch({ label, source }: PullPlan, { signal, onProgress }: PullOptions): Promise<void> {
    const { hub, urls, civitai, usage } = this.#options
    const maxBytes = Number.MAX_SAFE_INTEGER
    if (source.type === 'hub') {
      const { plan, revision } = source
      const report = (_: number, file: ListedFile, fileBytes: number) => onProgress?.(file.path, fileBytes, file.size)
      await hub.fetchPlan(plan, revision, { maxBytes, signal, onProgress: report })
      await usage.pin(hubKey(plan.repository), plan.repository)
      return
    }
    const { reference } = source
    const address =
      reference.type === 'url' ? { url: reference.url } : await civitai.address(reference, label, signal, true)
    const kept = await urls.fetch({
      ...address,
      label,
      maxBytes,
      signal,
      onProgress: ({ doneBytes, totalBytes }) => onProgress?.(label, doneBytes, totalBytes),
    })
    await usage.pin(urlKey(kept.key), label)
  }
}
