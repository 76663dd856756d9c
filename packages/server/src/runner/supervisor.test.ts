import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { afterEach, describe, expect, it } from 'vitest'
import { SILENT_LOG } from '../../test/fakes/silent-log.ts'
import { type RunnerExit, type Supervisor, type SupervisorOptions, superviseRunner } from './supervisor.ts'

const supervisors: Supervisor[] = []

afterEach(async () => {
  await Promise.all(supervisors.splice(0).map((supervisor) => supervisor.stop()))
})

interface Watched {
  readonly supervisor: Supervisor
  readonly children: ChildProcess[]
  /** Messages of the fake runner, in order. */
  readonly messages: unknown[]
  nextExit(): Promise<RunnerExit>
  nextStart(): Promise<ChildProcess>
}

function supervise(options: Partial<SupervisorOptions> = {}): Watched {
  const exits = new Mailbox<RunnerExit>()
  const starts = new Mailbox<ChildProcess>()
  const children: ChildProcess[] = []
  const messages: unknown[] = []
  const supervisor = superviseRunner({
    entry: new URL('../../test/fakes/supervised-process.ts', import.meta.url),
    execArgv: ['--import', 'tsx'],
    log: SILENT_LOG,
    backOffMs: { first: 1, longest: 10 },
    onStart: (child) => {
      children.push(child)
      child.on('message', (message) => {
        if (typeof message === 'string') messages.push(message)
      })
      starts.post(child)
    },
    onExit: (exit) => exits.post(exit),
    ...options,
  })
  supervisors.push(supervisor)
  return { supervisor, children, messages, nextExit: () => exits.next(), nextStart: () => starts.next() }
}

it('ends a runner whose parent was gone before it was up', async () => {
  const child = fork(new URL('../../test/fakes/supervised-process.ts', import.meta.url), [], {
    execArgv: ['--import', 'tsx'],
    env: { ...process.env, DARKROOM_TEST_LATE: '1' },
  })
  await once(child, 'message')
  child.disconnect()
  expect(await once(child, 'exit')).toEqual([0, null])
})

class Mailbox<T> {
  readonly #letters: T[] = []
  readonly #readers: ((letter: T) => void)[] = []

  post(letter: T): void {
    const reader = this.#readers.shift()
    if (reader === undefined) this.#letters.push(letter)
    else reader(letter)
  }

  async next(): Promise<T> {
    const letter = this.#letters.shift()
    return letter ?? (await new Promise((resolve) => this.#readers.push(resolve)))
  }
}

describe('superviseRunner', () => {
  it('lets a runner live when this process stood still for longer than a hang', async () => {
    const { supervisor, nextStart, messages } = supervise({ hangSeconds: 1 })
    const child = await nextStart()
    await supervisor.ready
    // As SIGSTOP and SIGCONT would: nothing runs here meanwhile, and the runner's reports lie unread.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2_500)
    await supervisor.stop()
    expect(messages).toEqual(['drained'])
    expect(child.signalCode).toBeNull()
  })

  it('starts another process when one dies, and says which runner it was', async () => {
    const { supervisor, nextExit, nextStart } = supervise()
    const first = await nextStart()
    await supervisor.ready
    first.send('crash')
    expect(await nextExit()).toEqual({
      runnerId: `runner-${first.pid}`,
      code: null,
      signal: 'SIGKILL',
      expected: false,
    })
    const second = await nextStart()
    expect(second.pid).not.toBe(first.pid)
    expect(supervisor.child).toBe(second)
  })

  it('kills a process whose event loop stands still', async () => {
    const { supervisor, nextExit, nextStart } = supervise({ hangSeconds: 1 })
    const first = await nextStart()
    await supervisor.ready
    first.send('hang')
    expect(await nextExit()).toMatchObject({ runnerId: `runner-${first.pid}`, signal: 'SIGKILL' })
    await nextStart()
  })

  it('drains and replaces a process that outgrew its memory', async () => {
    const { nextExit, nextStart, messages } = supervise({ memoryLimitBytes: 1 })
    await nextStart()
    expect(await nextExit()).toMatchObject({ code: 0, expected: false })
    expect(messages[0]).toBe('drained')
    await nextStart()
  })

  it('drains the process when it is stopped, and starts no other', async () => {
    const { supervisor, children, nextExit, messages } = supervise()
    await supervisor.ready
    await supervisor.stop()
    expect(await nextExit()).toMatchObject({ code: 0, expected: true })
    expect(messages).toEqual(['drained'])
    // Many times the back-off of a restart.
    await new Promise((resolve) => setTimeout(resolve, 50))
    expect(children).toHaveLength(1)
    expect(supervisor.child).toBeUndefined()
  })

  it('waits ever longer for one that does not come up, and not as long for one that dies of its work', async () => {
    const delays: unknown[] = []
    const log = { ...SILENT_LOG, error: (fields: object) => delays.push(fields) }
    const backOffMs = { first: 4, longest: 10, longestOnceUp: 5 }
    const broken = supervise({ log, backOffMs, execArgv: ['--eval', 'process.exit(1)'] })
    for (let i = 0; i < 4; i++) await broken.nextExit()
    await broken.supervisor.stop()
    expect(delays).toMatchObject([{ delayMs: 4 }, { delayMs: 8 }, { delayMs: 10 }, { delayMs: 10 }])
    delays.length = 0
    const working = supervise({ log, backOffMs })
    for (let i = 0; i < 2; i++) {
      const child = await working.nextStart()
      await new Promise((up) => child.once('message', up))
      child.send('crash')
      await working.nextExit()
    }
    expect(delays).toMatchObject([{ delayMs: 4 }, { delayMs: 5 }])
  })

  it('leaves no process behind when the parent is gone', async () => {
    const { supervisor, nextExit, nextStart } = supervise({ backOffMs: { first: 60_000, longest: 60_000 } })
    const child = await nextStart()
    await supervisor.ready
    // What a dying parent does to the channel.
    child.disconnect()
    expect(await nextExit()).toMatchObject({ code: 0 })
  })

  it('ends itself when what it holds cannot be closed, parent or not', async () => {
    const { supervisor, nextExit, nextStart } = supervise({ backOffMs: { first: 60_000, longest: 60_000 } })
    const child = await nextStart()
    await supervisor.ready
    child.send('stick', () => child.disconnect())
    expect(await nextExit()).toMatchObject({ signal: 'SIGKILL' })
  })
})
