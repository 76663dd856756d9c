import { type ConfigOverrides, isLoopback, readConfig } from '../config/config.ts'
import { createProcessLog } from '../log/process-log.ts'
import { startRunnersAlone } from '../processes/runners/local-runners.ts'
import { advertisedHost } from '../processes/runners/runner-address.ts'
import { storeNames } from '../processes/stores.ts'
import { stopOnSignal } from './stop-on-signal.ts'

/** `darkroom runner`: runners without a gateway, until Ctrl-C. */
export async function runner(overrides: ConfigOverrides): Promise<void> {
  const config = readConfig(overrides)
  const log = createProcessLog(config.logLevel)
  const running = await startRunnersAlone(config, log)
  const stopped = stopOnSignal(() => running.stop(), 'the runners finish what they hold or hand it back', log)
  const host = advertisedHost(config.runners)
  const { count } = config.runners
  const lines = [
    `${count} ${count === 1 ? 'runner works' : 'runners work'} here; gateways reach ${count === 1 ? 'it' : 'them'} at ${host}`,
    storeNames(config),
  ]
  if (isLoopback(host) && config.databaseUrl !== undefined) {
    lines.push(
      '  Gateways on other machines cannot: sync runs, streams and realtime sockets need --runner-host 0.0.0.0.',
    )
  }
  console.log(lines.join('\n'))
  await stopped
}
