import { join } from 'node:path'
import { type OpenedStore, openModelStore } from '../../src/models/open-model-store.ts'

/** A store of the models in a folder, which asks nobody for more. */
export function localModels(folder: string): OpenedStore {
  return openModelStore({
    dataFolder: join(folder, '.data'),
    modelFolders: [folder],
    hubCacheFolder: join(folder, '.hub'),
    downloads: 'never',
    maxDownloadBytes: 0,
    budgetBytes: 0,
    hubEndpoint: 'https://huggingface.co',
    hubOffline: true,
    allowsAbsolutePaths: false,
    allowPrivateTargets: false,
  })
}
