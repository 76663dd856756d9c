import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { readSafetensors, readTensor } from '../../../engine/src/formats/safetensors.ts'
import type { FloatTensor } from '../../../engine/src/tensor/tensor.ts'
import { type RealServer, startRealServer } from './real-server.ts'

/** The folder of golden values, whose tiny checkpoints and adapters are models as any. */
export const GOLDEN = new URL('../../../engine/test/golden/data/', import.meta.url).pathname

export interface LoraServer extends RealServer {
  /** Reads a file of latents that an answer leads to. */
  latentsOf(file: { readonly url: string } | undefined): Promise<FloatTensor>
}

/** @param models the models folder */
export async function startLoraServer(models: string = GOLDEN): Promise<LoraServer> {
  const server = await startRealServer(async () => ({ DARKROOM_MODELS: models }))
  return {
    ...server,
    async latentsOf(file) {
      const response = await fetch(file?.url ?? '')
      const path = join(server.folder, 'latents.safetensors')
      await writeFile(path, new Uint8Array(await response.arrayBuffer()))
      return readTensor(await readSafetensors(path), 'latents')
    },
  }
}
