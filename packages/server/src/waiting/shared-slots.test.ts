import { describe, expect, it } from 'vitest'
import { SharedSlots } from './shared-slots.ts'

const NEVER = new AbortController().signal
const turn = () => new Promise((resolve) => setImmediate(resolve))

interface Underway {
  readonly done: Promise<string>
  readonly end: () => void
}

const slotsOf = (total: number, key: number, host: number) =>
  new SharedSlots({ total, shares: { key, host }, turnsOf: 'key' })

function fetchBy(
  fetches: SharedSlots<'key' | 'host'>,
  begun: string[],
  [key, host]: readonly [string, string],
  signal = NEVER,
): Underway {
  let end = () => {}
  const ended = new Promise<void>((resolve) => {
    end = resolve
  })
  const name = `${key} ${host}`
  const done = fetches.run({ key, host }, signal, async () => {
    begun.push(name)
    await ended
    return name
  })
  return { done, end: () => end() }
}

describe('SharedSlots', () => {
  it('lets one key and one host take their share alone, and others pass them', async () => {
    const begun: string[] = []
    const fetches = slotsOf(4, 2, 2)
    const callers = [
      ['greedy', 'slow'],
      ['greedy', 'slow'],
      ['greedy', 'other'],
      ['honest', 'slow'],
      ['honest', 'quick'],
      ['other', 'quick'],
      ['late', 'third'],
    ] as const
    const underway = callers.map((caller) => fetchBy(fetches, begun, caller))
    await turn()
    expect(begun).toEqual(['greedy slow', 'greedy slow', 'honest quick', 'other quick'])
    underway[0]?.end()
    expect(await underway[0]?.done).toBe('greedy slow')
    await turn()
    expect(begun.slice(4)).toEqual(['greedy other'])
    for (const { end } of underway) end()
    await Promise.all(underway.map(({ done }) => done))
    expect(begun.slice(5).sort()).toEqual(['honest slow', 'late third'])
  })

  it('does not begin what was given up in line, and goes on behind it', async () => {
    const begun: string[] = []
    const fetches = slotsOf(1, 1, 1)
    const controller = new AbortController()
    const first = fetchBy(fetches, begun, ['a', 'x'])
    const left = fetchBy(fetches, begun, ['b', 'y'], controller.signal)
    const last = fetchBy(fetches, begun, ['c', 'z'])
    controller.abort(new Error('the client left'))
    await expect(left.done).rejects.toThrow('the client left')
    first.end()
    last.end()
    await Promise.all([first.done, last.done])
    expect(begun).toEqual(['a x', 'c z'])
  })

  it('gives the place of a fetch that failed to the next one', async () => {
    const fetches = slotsOf(1, 1, 1)
    const failing = fetches.run({ key: 'a', host: 'x' }, NEVER, async () => {
      throw new Error('no such host')
    })
    const next = fetches.run({ key: 'a', host: 'x' }, NEVER, async () => 'fetched')
    await expect(failing).rejects.toThrow('no such host')
    expect(await next).toBe('fetched')
  })
})
