import { type ConfigOverrides, readConfig } from '../config/config.ts'
import { createProcessLog } from '../log/process-log.ts'
import { preparePlayground } from '../processes/playground/playground-files.ts'
import { startGatewayAlone } from '../processes/server-process.ts'
import { storeNames } from '../processes/stores.ts'
import { shownUrl } from './shown-url.ts'
import { stopOnSignal } from './stop-on-signal.ts'

/** `darkroom gateway`: the API without a runner, until Ctrl-C. */
export async function gateway(overrides: ConfigOverrides): Promise<void> {
  const config = readConfig(overrides)
  const log = createProcessLog(config.logLevel)
  preparePlayground(log)
  const running = await startGatewayAlone(config, log)
  const stopped = stopOnSignal(() => running.stop(), 'calls that are under way are answered', log)
  console.log(`Darkroom's gateway answers at ${shownUrl(running.url)}\n${storeNames(config)}`)
  await stopped
}
