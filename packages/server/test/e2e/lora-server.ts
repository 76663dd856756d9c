import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createFalClient, type FalClient } from '@fal-ai/client'
import pino from 'pino'
import { readSafetensors, readTensor } from '../../../engine/src/formats/safetensors.ts'
import type { FloatTensor } from '../../../engine/src/tensor/tensor.ts'
import { readConfig } from '../../src/config/config.ts'
import { startServer } from '../../src/processes/server-process.ts'

/** The folder of golden values, whose tiny checkpoints and adapters are models as any. */
export const GOLDEN = new URL('../../../engine/test/golden/data/', import.meta.url).pathname

/** The whole server, gateway and runner process, asked as an app asks. */
export interface LoraServer {
  readonly url: string
  readonly fal: FalClient
  /** A folder for what a test makes. */
  readonly folder: string
  /** Reads a file of latents that an answer leads to. */
  latentsOf(file: { readonly url: string } | undefined): Promise<FloatTensor>
  stop(): Promise<void>
}

/** @param models the models folder */
export async function startLoraServer(models: string = GOLDEN): Promise<LoraServer> {
  const folder = await mkdtemp(join(tmpdir(), 'darkroom-lora-'))
  const environment = { DARKROOM_MODELS: models, HF_HUB_CACHE: join(folder, 'none') }
  const config = readConfig({ port: 0, dataFolder: join(folder, 'data'), logLevel: 'silent' }, environment)
  const server = await startServer(config, pino({ level: 'silent' }))
  return {
    url: server.url,
    fal: createFalClient({ proxyUrl: { url: `${server.url}/api/fal/proxy`, when: 'always' } }),
    folder,
    async latentsOf(file) {
      const response = await fetch(file?.url ?? '')
      const path = join(folder, 'latents.safetensors')
      await writeFile(path, new Uint8Array(await response.arrayBuffer()))
      return readTensor(await readSafetensors(path), 'latents')
    },
    async stop() {
      await server.stop()
      await rm(folder, { recursive: true, force: true })
    },
  }
}
