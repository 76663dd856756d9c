import { type Config, type ConfigOverrides, readConfig } from '../config/config.ts'
import { LCM_BASE_MODELS } from '../endpoints/shared/latent-consistency.ts'
import { FAL_HOSTS } from '../gateway/surface.ts'
import { ENDPOINT_SCHEMAS } from '../processes/endpoints.ts'
import { createModelRegistry } from '../processes/image-endpoints.ts'
import { createLogger } from '../processes/logger.ts'
import { preparePlayground } from '../processes/playground.ts'
import { type RunningServer, startServer } from '../processes/server-process.ts'
import { clientSettings } from '../tls/client-settings.ts'
import { stopOnSignal } from './stop-on-signal.ts'

/** `darkroom serve`: gateway and runners on this machine, until Ctrl-C. */
export async function serve(overrides: ConfigOverrides): Promise<void> {
  const config = readConfig(overrides)
  const log = createLogger(config)
  preparePlayground(log)
  const server = await startServer(config, log)
  await printBanner(server, config)
  await stopOnSignal(() => server.stop(), 'the runners finish what they hold', log)
}

async function printBanner({ url, authorityFile }: RunningServer, config: Config): Promise<void> {
  const registry = createModelRegistry(config)
  const missing: string[] = []
  for (const name of LCM_BASE_MODELS) if ((await registry.find(name)) === undefined) missing.push(name)
  const lines = [
    `Darkroom serves ${ENDPOINT_SCHEMAS.length} endpoints at ${url}`,
    `  open   ${url} in a browser to draw`,
    `  run    ${url}/run/{endpoint id}`,
    `  queue  ${url}/queue/{endpoint id}`,
    `  keys   ${config.auth === 'none' ? 'none needed: this server listens on loopback only' : 'needed: darkroom keys create'}`,
    `  data   ${config.dataFolder}`,
  ]
  if (authorityFile !== undefined) {
    lines.push('  trust  Clients take this certificate authority with:')
    const settings = clientSettings({ url, authorityFile, falHosts: FAL_HOSTS })
    lines.push(...settings.map(([client, line]) => `           ${client}: ${line}`))
  }
  if (missing.length > 0) {
    lines.push(
      '  models The demo checkpoints Pinhole (512 and 1024) draw in place of:',
      ...missing.map((name) => `           ${name}`),
      `         Fetch what an endpoint draws with: darkroom pull fal-ai/fast-lcm-diffusion`,
      `         Or put a model into ${config.modelsFolder}/owner/name.`,
    )
  }
  console.log(lines.join('\n'))
}
