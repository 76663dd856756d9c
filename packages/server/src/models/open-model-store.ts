import { join } from 'node:path'
import { OutboundHttp } from '../security/outbound-http.ts'
import { CivitaiClient } from './civitai-client.ts'
import { HubCache } from './hub-cache.ts'
import { HubClient } from './hub-client.ts'
import { HubDownloads } from './hub-download.ts'
import { HubModels } from './hub-models.ts'
import { Inventory } from './inventory.ts'
import { ModelPulls } from './model-pull.ts'
import { type DownloadPolicy, ModelStore } from './model-store.ts'
import type { TransferTuning } from './transfer.ts'
import { UrlDownloads } from './url-downloads.ts'
import { UsageLedger } from './usage-ledger.ts'

export type { FindOptions, FoundModel, ModelStore } from './model-store.ts'

export interface ModelStoreSettings {
  /** Files of URLs, and what is known of repositories, are kept below it. */
  readonly dataFolder: string
  readonly modelFolders: readonly string[]
  /** Folder of the demo models that come with the program. */
  readonly bundledFolder?: string
  readonly hubCacheFolder: string
  readonly downloads: DownloadPolicy
  readonly maxDownloadBytes: number
  readonly budgetBytes: number
  readonly hubEndpoint: string
  readonly hubOffline: boolean
  /** Read for each call. */
  readonly hubToken?: () => Promise<string | undefined>
  readonly civitaiToken?: string
  readonly allowsAbsolutePaths: boolean
  /** Whether URLs of users may lead to private addresses. */
  readonly allowPrivateTargets: boolean
  readonly now?: () => Date
}

const PUBLIC_HUB = 'https://huggingface.co'

export interface OpenedStore {
  readonly store: ModelStore
  readonly pulls: ModelPulls
  readonly inventory: Inventory
  readonly cache: HubCache
  readonly usage: UsageLedger
  /** Whether the file of a URL is here, from an earlier request. */
  isKept(url: URL): Promise<boolean>
  close(): Promise<void>
}

/** Puts the model store together. */
export function openModelStore(settings: ModelStoreSettings, tuning: Partial<TransferTuning> = {}): OpenedStore {
  const { hubEndpoint, hubToken = async () => undefined, allowPrivateTargets } = settings
  const http = new OutboundHttp({ allowPrivateTargets })
  // The operator named this hub, which may well stand in the same network; the public one has no business there.
  const hubHttp = new OutboundHttp({ allowPrivateTargets: allowPrivateTargets || hubEndpoint !== PUBLIC_HUB })
  const cache = new HubCache(settings.hubCacheFolder)
  // Questions are asked while somebody waits: where there is no network, the answer is not long in coming.
  const timing = { backoffMs: 500, attempts: 3, ...tuning }
  const client = new HubClient({ http: hubHttp, endpoint: hubEndpoint, token: hubToken, timing })
  const downloads = new HubDownloads({ cache, client, http: hubHttp, tuning })
  const urls = new UrlDownloads({
    folder: join(settings.dataFolder, 'downloads'),
    http,
    tuning,
    ...(settings.now && { now: settings.now }),
  })
  const civitai = new CivitaiClient({ http, token: settings.civitaiToken })
  const usage = new UsageLedger(join(settings.dataFolder, 'model-usage'), settings.now)
  const listingsFolder = join(settings.dataFolder, 'hub-listings')
  const store = new ModelStore({
    cache,
    client,
    downloads,
    urls,
    civitai,
    hubEndpoint,
    isOffline: settings.hubOffline,
    modelFolders: settings.modelFolders,
    ...(settings.bundledFolder !== undefined && { bundledFolder: settings.bundledFolder }),
    allowsAbsolutePaths: settings.allowsAbsolutePaths,
    policy: settings.downloads,
    maxDownloadBytes: settings.maxDownloadBytes,
    budgetBytes: settings.budgetBytes,
    usage,
    listingsFolder,
  })
  const hub = new HubModels({ cache, client, downloads, listingsFolder })
  return {
    store,
    pulls: new ModelPulls({ hub, urls, civitai, usage, hubEndpoint, isOffline: settings.hubOffline }),
    inventory: new Inventory({ modelFolders: settings.modelFolders, cache, hub, urls, usage }),
    cache,
    usage,
    isKept: async (url) => (await urls.find(url)) !== undefined,
    async close() {
      await Promise.all([http.close(), hubHttp.close()])
    },
  }
}
