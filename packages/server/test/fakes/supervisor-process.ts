import { superviseRunner } from '../../src/runner/supervisor.ts'
import { SILENT_LOG } from './silent-log.ts'

/** A supervisor in a process of its own: tells its parent which runner came up and which ended. */
const supervisor = superviseRunner({
  entry: new URL('./supervised-process.ts', import.meta.url),
  execArgv: ['--import', 'tsx'],
  log: SILENT_LOG,
  hangSeconds: 1,
  onExit: ({ runnerId, expected }) => process.send?.({ ended: runnerId, expected }),
})
await supervisor.ready
process.send?.({ runner: supervisor.child?.pid })
process.once('message', async () => {
  await supervisor.stop()
  process.disconnect()
})
