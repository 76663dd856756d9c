import { describe, expect, it } from 'vitest'
import { Dispatcher } from './dispatcher.ts'

interface Gate {
  readonly job: () => Promise<void>
  readonly open: () => void
}

function gate(name: string, order: string[]): Gate {
  let open = () => {}
  const opened = new Promise<void>((resolve) => {
    open = resolve
  })
  const job = () => {
    order.push(name)
    return opened
  }
  return { job, open }
}

const NEVER = new AbortController().signal
const turn = () => new Promise((resolve) => setImmediate(resolve))

function dispatcherOver(waiting: (() => Promise<void>)[], capacity = 1): Dispatcher {
  return new Dispatcher({
    capacity,
    claim: async () => waiting.shift(),
    claimRetryMs: 1,
    onClaimError: () => {},
  })
}

describe('Dispatcher', () => {
  it('lets direct work and the queue take turns while both wait', async () => {
    const order: string[] = []
    const gates = ['q1', 'q2', 'd1', 'd2', 'd3'].map((name) => gate(name, order))
    const jobs = gates.map(({ job }) => job)
    const dispatcher = dispatcherOver(jobs.slice(0, 2))
    for (const job of jobs.slice(2)) dispatcher.submit(job, NEVER)
    dispatcher.wake()
    for (const { open } of gates) open()
    await dispatcher.idle()
    expect(order).toEqual(['q1', 'd1', 'q2', 'd2', 'd3'])
  })

  it('never runs more than its capacity', async () => {
    const order: string[] = []
    const gates = ['a', 'b', 'c'].map((name) => gate(name, order))
    const dispatcher = dispatcherOver([], 2)
    dispatcher.wake()
    await turn()
    for (const { job } of gates) dispatcher.submit(job, NEVER)
    await turn()
    expect(order).toEqual(['a', 'b'])
    gates[0]?.open()
    await turn()
    expect(order).toEqual(['a', 'b', 'c'])
    for (const { open } of gates) open()
    await dispatcher.idle()
    expect(dispatcher.busy).toBe(0)
  })

  it('takes aborted work out of the line unrun', async () => {
    const order: string[] = []
    const first = gate('first', order)
    const dispatcher = dispatcherOver([])
    const controller = new AbortController()
    const ran = dispatcher.submit(first.job, NEVER)
    const left = dispatcher.submit(gate('second', order).job, controller.signal)
    await turn()
    controller.abort()
    expect(await left).toBe(false)
    first.open()
    expect(await ran).toBe(true)
    expect(order).toEqual(['first'])
  })

  it('asks the queue again after a failed claim, and never while it is known to be empty', async () => {
    let calls = 0
    const order: string[] = []
    const dispatcher = new Dispatcher({
      capacity: 1,
      claimRetryMs: 1,
      onClaimError: () => order.push('error'),
      claim: async () => {
        calls += 1
        if (calls === 1) throw new Error('the database is away')
        if (calls === 2) return async () => void order.push('ran')
        return undefined
      },
    })
    dispatcher.wake()
    while (calls < 3) await turn()
    for (let i = 0; i < 20; i++) await dispatcher.submit(async () => {}, NEVER)
    expect(order).toEqual(['error', 'ran'])
    expect(calls).toBe(3)
  })

  it('claims nothing any more once told so', async () => {
    const order: string[] = []
    const queued = gate('queued', order)
    const dispatcher = dispatcherOver([queued.job])
    dispatcher.stopClaiming()
    dispatcher.wake()
    await turn()
    expect(order).toEqual([])
  })
})
