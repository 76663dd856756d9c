import { describe, expect, it } from 'vitest'
import { Dispatcher, type DispatcherOptions, type Job } from './dispatcher.ts'

interface Gate {
  readonly job: Job
  readonly open: () => void
}

const NEVER = new AbortController().signal
/** Some rounds of the event loop: direct works begin one a round. */
const tick = async () => {
  for (let round = 0; round < 8; round++) await new Promise((resolve) => setImmediate(resolve))
}

/** A request that takes its turn at once, notes that it draws, and draws until its gate is opened. */
function gate(name: string, order: string[], signal = NEVER): Gate {
  let open = () => {}
  const opened = new Promise<void>((resolve) => {
    open = resolve
  })
  const job: Job = async (turn) => {
    await turn.take(signal)
    order.push(name)
    await opened
  }
  return { job, open: () => open() }
}

/** A request that prepares until it is told to go on, and then draws. */
function slow(name: string, order: string[]): { readonly job: Job; readonly prepared: () => void } {
  let prepared = () => {}
  const ready = new Promise<void>((resolve) => {
    prepared = resolve
  })
  const job: Job = async (turn) => {
    await ready
    await turn.take(NEVER)
    order.push(name)
  }
  return { job, prepared: () => prepared() }
}

const ofDefault = (job: Job) => ({ account: 'default', job })

function dispatcherOver(waiting: Job[], options: Partial<DispatcherOptions> = {}): Dispatcher {
  return new Dispatcher({
    capacity: 1,
    claim: async () => {
      const job = waiting.shift()
      return job && { account: 'default', job }
    },
    claimRetryMs: 1,
    onClaimError: () => {},
    patienceMs: 10_000,
    claimsAhead: 64,
    ...options,
  })
}

describe('Dispatcher', () => {
  it('lets direct work and the queue take turns while both wait', async () => {
    const order: string[] = []
    const gates = ['q1', 'q2', 'd1', 'd2', 'd3'].map((name) => gate(name, order))
    const jobs = gates.map(({ job }) => job)
    const dispatcher = dispatcherOver(jobs.slice(0, 2))
    dispatcher.wake()
    for (const job of jobs.slice(2)) dispatcher.submit(ofDefault(job))
    await tick()
    for (const { open } of gates) open()
    await dispatcher.idle()
    expect(order).toEqual(['q1', 'd1', 'q2', 'd2', 'd3'])
  })

  it('lets accounts take turns, however much one of them has in line', async () => {
    const order: string[] = []
    const dispatcher = dispatcherOver([])
    const gates = ['g1', 'g2', 'g3'].map((name) => gate(name, order))
    for (const { job } of gates) dispatcher.submit({ account: 'greedy', job })
    const late = gate('late', order)
    dispatcher.submit({ account: 'honest', job: late.job })
    for (const { open } of [...gates, late]) open()
    await dispatcher.idle()
    expect(order).toEqual(['g1', 'late', 'g2', 'g3'])
  })

  it('has an account begin when others had their turn, and no more than stand ready to draw', async () => {
    const begun: string[] = []
    const dispatcher = dispatcherOver([])
    let draw = () => {}
    const drawn = new Promise<void>((resolve) => {
      draw = resolve
    })
    const submit = (account: string) =>
      dispatcher.submit({
        account,
        job: async (turn) => {
          begun.push(account)
          await turn.take(NEVER)
          await drawn
        },
      })
    for (let i = 0; i < 500; i++) submit('greedy')
    submit('honest')
    await expect.poll(() => begun.length).toBeGreaterThan(2)
    expect(begun.slice(0, 2)).toContain('honest')
    // One that draws, and those that are ready; the others have not begun.
    await expect.poll(() => begun.length).toBe(1 + 16 + 1)
    for (let i = 0; i < 10; i++) await tick()
    expect(begun).toHaveLength(18)
    draw()
    await dispatcher.idle()
    expect(begun).toHaveLength(501)
  })

  it('never lets more draw than its capacity', async () => {
    const order: string[] = []
    const gates = ['a', 'b', 'c'].map((name) => gate(name, order))
    const dispatcher = dispatcherOver([], { capacity: 2 })
    dispatcher.wake()
    await tick()
    for (const { job } of gates) dispatcher.submit(ofDefault(job))
    await tick()
    expect(order).toEqual(['a', 'b'])
    gates[0]?.open()
    await tick()
    expect(order).toEqual(['a', 'b', 'c'])
    for (const { open } of gates) open()
    await dispatcher.idle()
    expect(dispatcher.busy).toBe(0)
  })

  it('lets the next one draw while one finishes, and no more finish than may draw', async () => {
    const order: string[] = []
    const ends = new Map<string, () => void>()
    const handingOn = (name: string, signal = NEVER) =>
      ofDefault(async (turn) => {
        await turn.take(signal)
        order.push(`${name} draws`)
        await turn.handOn(signal)
        order.push(`${name} finishes`)
        await new Promise<void>((resolve) => ends.set(name, resolve))
      })
    const dispatcher = dispatcherOver([])
    const first = dispatcher.submit(handingOn('first'))
    const leaving = new AbortController()
    const second = dispatcher.submit(handingOn('second', leaving.signal))
    const third = dispatcher.submit(handingOn('third'))
    await tick()
    expect(order).toEqual(['first draws', 'first finishes', 'second draws'])
    expect(dispatcher.busy).toBe(1)
    // One that leaves while it waits to hand on gives its slot back.
    leaving.abort(new Error('the client left'))
    await expect(second).rejects.toThrow('the client left')
    await tick()
    expect(order.slice(3)).toEqual(['third draws'])
    ends.get('first')?.()
    await first
    await tick()
    expect(order.slice(4)).toEqual(['third finishes'])
    expect(dispatcher.busy).toBe(0)
    ends.get('third')?.()
    await third
    await dispatcher.idle()
  })

  it('takes aborted work out of the line', async () => {
    const order: string[] = []
    const first = gate('first', order)
    const dispatcher = dispatcherOver([])
    const controller = new AbortController()
    const done = dispatcher.submit(ofDefault(first.job))
    const left = dispatcher.submit(ofDefault(gate('second', order, controller.signal).job))
    await tick()
    controller.abort(new Error('the client left'))
    await expect(left).rejects.toThrow('the client left')
    first.open()
    await done
    await dispatcher.idle()
    expect(order).toEqual(['first'])
  })

  it('lets others draw while direct work prepares', async () => {
    const order: string[] = []
    const dripping = slow('dripping', order)
    const dispatcher = dispatcherOver([])
    const late = dispatcher.submit(ofDefault(dripping.job))
    const quick = gate('quick', order)
    quick.open()
    await dispatcher.submit(ofDefault(quick.job))
    dripping.prepared()
    await late
    expect(order).toEqual(['quick', 'dripping'])
  })

  it('keeps the slot for a claimed request that prepares quickly', async () => {
    const order: string[] = []
    const quick = slow('quick', order)
    const waiting = [quick.job, gate('next', order).job]
    const dispatcher = dispatcherOver(waiting)
    dispatcher.wake()
    await tick()
    expect([dispatcher.busy, waiting.length]).toEqual([1, 1])
    quick.prepared()
    await tick()
    expect(order).toEqual(['quick', 'next'])
  })

  it('claims the next request when one prepares for long, up to a number of them', async () => {
    const order: string[] = []
    const [first, second] = [slow('first', order), slow('second', order)]
    const third = gate('third', order)
    const dispatcher = dispatcherOver([first.job, second.job, third.job], { patienceMs: 1, claimsAhead: 2 })
    dispatcher.wake()
    await expect.poll(() => dispatcher.busy).toBe(0)
    expect(order).toEqual([])
    second.prepared()
    await tick()
    expect(order).toEqual(['second', 'third'])
    third.open()
    first.prepared()
    await dispatcher.idle()
    expect(order).toEqual(['second', 'third', 'first'])
  })

  it('asks the queue again after a failed claim, and never while it is known to be empty', async () => {
    let calls = 0
    const order: string[] = []
    const dispatcher = dispatcherOver([], {
      onClaimError: () => order.push('error'),
      claim: async () => {
        calls += 1
        if (calls === 1) throw new Error('the database is away')
        if (calls === 2) return ofDefault(async () => void order.push('ran'))
        return undefined
      },
    })
    dispatcher.wake()
    while (calls < 3) await tick()
    for (let i = 0; i < 20; i++) await dispatcher.submit(ofDefault((turn) => turn.take(NEVER)))
    expect(order).toEqual(['error', 'ran'])
    expect(calls).toBe(3)
  })

  it('claims nothing any more once told so', async () => {
    const order: string[] = []
    const queued = gate('queued', order)
    const dispatcher = dispatcherOver([queued.job])
    dispatcher.stopClaiming()
    dispatcher.wake()
    await tick()
    expect(order).toEqual([])
  })
})
