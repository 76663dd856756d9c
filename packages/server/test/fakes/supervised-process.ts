import { once } from 'node:events'
import { superviseSelf } from '../../src/runner/supervised.ts'

let stuck = false

// A parent that dies while the runner comes up.
if (process.env.DARKROOM_TEST_LATE === '1') {
  process.send?.('starting')
  await once(process, 'disconnect')
}

/** A runner process without a runner: does on command what runners do when they go wrong. */
superviseSelf(
  {
    runnerId: `runner-${process.pid}`,
    address: '',
    wake: () => {},
    drain: async () => {
      if (process.connected) await new Promise((resolve) => process.send?.('drained', resolve))
    },
  },
  { reportMs: 50, closeSeconds: 0.2, onDrained: () => (stuck ? new Promise(() => {}) : Promise.resolve()) },
)

process.on('message', (command) => {
  if (command === 'crash') process.kill(process.pid, 'SIGKILL')
  if (command === 'stick') stuck = true
  // A native call that never returns, on the main thread.
  if (command === 'hang') Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)
})

// A real runner listens and has timers: it does not end by itself when its parent is gone.
setInterval(() => {}, 60_000)
