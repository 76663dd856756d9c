import { join } from 'node:path'
import { type OpenedStore, openModelStore, PUBLIC_HUB } from '../../src/models/open-model-store.ts'

/** A model store that finds what is in a folder and fetches nothing. */
export function openLocalStore(modelsFolder: string, dataFolder = join(modelsFolder, 'data')): OpenedStore {
  return openModelStore({
    dataFolder,
    modelFolders: [modelsFolder],
    hubCacheFolder: join(dataFolder, 'none'),
    downloads: 'never',
    maxDownloadBytes: 0,
    hubEndpoint: PUBLIC_HUB,
    hubOffline: true,
    allowsAbsolutePaths: false,
    allowPrivateTargets: false,
  })
}
