/** Entry of the runner process that a server forks; its argument is the server's configuration. */
import type { Config } from './config/config.ts'
import { createLogger } from './processes/logger.ts'
import { runRunner } from './processes/runner-process.ts'

const [, , argument] = process.argv
if (argument === undefined) throw new Error('runner-main.ts is started by a server; use `darkroom runner` instead')
const config = JSON.parse(argument) as Config
await runRunner(config, createLogger(config).child({ process: 'runner' }))
