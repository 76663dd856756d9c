import { type Config, type ConfigOverrides, readConfig } from '../config/config.ts'
import { ownCommand } from '../config/started-by-npm.ts'
import { FAL_HOSTS } from '../gateway/surface.ts'
import { createProcessLog } from '../log/process-log.ts'
import { createModelStore } from '../processes/configured-model-store.ts'
import { ENDPOINT_SCHEMAS } from '../processes/endpoints.ts'
import { IS_CLONE } from '../processes/installation.ts'
import { preparePlayground } from '../processes/playground/playground-files.ts'
import { engineMemory, keptMemory } from '../processes/runners/runner-memory.ts'
import { type RunningServer, startServer } from '../processes/server-process.ts'
import { clientSettings } from '../tls/client-settings.ts'
import { reportModels } from './report-models.ts'
import { shownUrl } from './shown-url.ts'
import { stopOnSignal } from './stop-on-signal.ts'

/** `darkroom serve`: gateway and runners on this machine, until Ctrl-C. */
export async function serve(overrides: ConfigOverrides): Promise<void> {
  const config = readConfig(overrides)
  const log = createProcessLog(config.logLevel)
  preparePlayground(log)
  const server = await startServer(config, log)
  const stopped = stopOnSignal(() => server.stop(), 'the runners finish what they hold', log)
  await printBanner(server, config)
  void printArithmetic(server, config)
  await stopped
}

/** What draws is known once the runners have tried it. */
async function printArithmetic({ runners, arithmetics }: RunningServer, config: Config): Promise<void> {
  await runners.ready.catch(() => {})
  for (const { device, precision } of (await arithmetics().catch(() => [])).slice(0, 1)) {
    const hint = device === 'cpu' && config.precision === 'exact' ? '; --precision fast draws faster' : ''
    console.log(`  draws  on ${device}, ${precision}${hint}`)
  }
}

function memoryLine({ runners }: Config): string {
  const gigabytes = (bytes: number) => `${(bytes / 1e9).toFixed(1)} GB`
  const each = runners.count > 1 ? ' for each runner' : ''
  return (
    `models keep ${gigabytes(keptMemory(runners))} at most${each}, and give it back after ${Math.round(runners.idleSeconds / 60)} minutes ` +
    `without use; a picture may take ${gigabytes(engineMemory(runners))}`
  )
}

async function printBanner({ url: listeningAt, authorityFile }: RunningServer, config: Config): Promise<void> {
  const url = shownUrl(listeningAt)
  const lines = [
    `Darkroom serves ${ENDPOINT_SCHEMAS.length} endpoints at ${url}${url === listeningAt ? '' : ' and every other address of this machine'}`,
    `  open   ${url} in a browser to draw`,
    `  run    ${url}/run/{endpoint id}`,
    `  queue  ${url}/queue/{endpoint id}`,
    `  keys   ${config.auth === 'none' ? 'none needed: this server listens on loopback only' : `needed: ${ownCommand(IS_CLONE)} keys create`}`,
    `  data   ${config.dataFolder}`,
    `  memory ${memoryLine(config)}`,
  ]
  if (authorityFile !== undefined) {
    lines.push('  trust  Clients take this certificate authority with:')
    const settings = clientSettings({ url, authorityFile, falHosts: FAL_HOSTS })
    lines.push(...settings.map(([client, line]) => `           ${client}: ${line}`))
  }
  const store = createModelStore(config)
  const models = await reportModels(store, config.modelsFolder).finally(() => store.close())
  lines.push(...models.map((line, i) => `  ${i === 0 ? 'models' : '      '} ${line}`))
  console.log(lines.join('\n'))
}
