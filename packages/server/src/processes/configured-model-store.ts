import { readFile } from 'node:fs/promises'
import type { Config } from '../config/config.ts'
import { type OpenedStore, openModelStore } from '../models/open-model-store.ts'
import { bundled } from './installation.ts'

/** The model store of this machine, for whoever finds or fetches weights. */
export function createModelStore({ downloads, ...config }: Config): OpenedStore {
  const { hubToken, hubTokenFile, civitaiToken } = downloads
  return openModelStore({
    dataFolder: config.dataFolder,
    modelFolders: [config.modelsFolder],
    bundledFolder: bundled('models'),
    hubCacheFolder: config.hubCacheFolder,
    downloads: downloads.policy,
    maxDownloadBytes: downloads.maxBytes,
    budgetBytes: downloads.budgetBytes,
    hubEndpoint: downloads.hubEndpoint,
    hubOffline: downloads.hubOffline,
    hubToken: async () => hubToken ?? (await tokenIn(hubTokenFile)),
    allowsAbsolutePaths: config.allowModelPaths,
    allowPrivateTargets: config.allowPrivateTargets,
    ...(civitaiToken !== undefined && { civitaiToken }),
  })
}

async function tokenIn(file: string): Promise<string | undefined> {
  const text = await readFile(file, 'utf8').catch(() => '')
  return text.trim() === '' ? undefined : text.trim()
}
