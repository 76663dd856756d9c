import { join } from 'node:path'
import { type ModelStoreSettings, type OpenedStore, openModelStore } from '../../src/models/open-model-store.ts'

/** Settings of a store that keeps all it has below `folder`, reaches every network and never counts its bytes. */
export function storeSettings(folder: string, hubEndpoint: string): ModelStoreSettings {
  return {
    dataFolder: join(folder, 'data'),
    modelFolders: [join(folder, 'models')],
    hubCacheFolder: join(folder, 'hub'),
    downloads: 'all',
    maxDownloadBytes: 1e9,
    budgetBytes: 1e9,
    hubEndpoint,
    hubOffline: false,
    allowsAbsolutePaths: false,
    allowPrivateTargets: true,
  }
}

/** A store of the models in a folder, which asks nobody for more. */
export function localModels(folder: string): OpenedStore {
  return openModelStore({
    ...storeSettings(folder, 'https://huggingface.co'),
    dataFolder: join(folder, '.data'),
    modelFolders: [folder],
    hubCacheFolder: join(folder, '.hub'),
    downloads: 'never',
    hubOffline: true,
  })
}
