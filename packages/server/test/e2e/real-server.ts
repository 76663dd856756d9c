import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createFalClient, type FalClient } from '@fal-ai/client'
import { readConfig } from '../../src/config/config.ts'
import { startServer } from '../../src/processes/server-process.ts'
import { SILENT_LOG } from '../fakes/silent-log.ts'

/** The server as people run it, gateway and runner process, asked as an app asks. */
export interface RealServer {
  readonly url: string
  readonly fal: FalClient
  /** What a test makes lies here, and the server's data in `data/`. */
  readonly folder: string
  /** Stops it and starts it anew with the same data, at another URL. */
  restart(): Promise<void>
  /** Stops it and removes the folder. */
  stop(): Promise<void>
}

/**
 * Nothing is pulled, unless the environment says otherwise: what a newcomer has.
 * @param environment settings, from the folder, where files that they name may be written first
 */
export async function startRealServer(
  environment: (folder: string) => Promise<Readonly<Record<string, string>>> = async () => ({}),
): Promise<RealServer> {
  const folder = await mkdtemp(join(tmpdir(), 'darkroom-e2e-'))
  const nothing = join(folder, 'none')
  const settings = { DARKROOM_MODELS: nothing, HF_HUB_CACHE: nothing }
  const config = readConfig(
    { port: 0, dataFolder: join(folder, 'data'), logLevel: 'silent' },
    { ...settings, ...(await environment(folder)) },
  )
  let server = await startServer(config, SILENT_LOG)
  return {
    get url() {
      return server.url
    },
    get fal() {
      return createFalClient({ proxyUrl: { url: `${server.url}/api/fal/proxy`, when: 'always' } })
    },
    folder,
    async restart() {
      await server.stop()
      server = await startServer(config, SILENT_LOG)
    },
    async stop() {
      await server.stop()
      await rm(folder, { recursive: true, force: true })
    },
  }
}
