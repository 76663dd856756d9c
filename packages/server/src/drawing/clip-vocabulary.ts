import { dirname, join } from 'node:path'
import { isFile } from '../models/folder-listing.ts'
import type { ModelRegistry } from '../models/model-registry.ts'

/** Published models whose folders hold the vocabulary that the text encoders of all Stable Diffusion families share. */
const WITH_VOCABULARY = [
  'stable-diffusion-v1-5/stable-diffusion-v1-5',
  'stabilityai/stable-diffusion-xl-base-1.0',
  'SimianLuo/LCM_Dreamshaper_v7',
  'openai/clip-vit-large-patch14',
]

/**
 * Where a single-file checkpoint, which has no vocabulary, finds CLIP's: a folder with vocab.json and merges.txt of another model on
 * this machine. Undefined for a folder, for a file with a folder `tokenizer` beside it, and where there is none.
 */
export async function clipVocabulary(registry: ModelRegistry, checkpoint: string): Promise<string | undefined> {
  if (!(await isFile(checkpoint)) || (await hasVocabulary(join(dirname(checkpoint), 'tokenizer')))) return undefined
  for (const name of WITH_VOCABULARY) {
    const folder = await registry.find(name)
    for (const place of folder === undefined ? [] : [join(folder, 'tokenizer'), folder]) {
      if (await hasVocabulary(place)) return place
    }
  }
  return undefined
}

async function hasVocabulary(folder: string): Promise<boolean> {
  return (await isFile(join(folder, 'vocab.json'))) && (await isFile(join(folder, 'merges.txt')))
}
