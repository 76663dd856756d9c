import { describe, expect, it } from 'vitest'
import { ParallelTurns } from './parallel-turns.ts'

/** Stores that end when told, as commits do, in any order. */
function stores(turns: ParallelTurns) {
  const given: (number | undefined)[] = []
  const begun: { resolve: (placed: { turn: number }) => void; reject: (error: Error) => void }[] = []
  const store = (line: string) =>
    turns.place(line, (next) => {
      given.push(next)
      return new Promise<{ turn: number }>((resolve, reject) => begun.push({ resolve, reject }))
    })
  return { given, begun, store }
}

const settle = () => new Promise((resolve) => setImmediate(resolve))

describe('ParallelTurns', () => {
  it('gives what is stored at the same time turns of its own, behind the first, whose turn the database says', async () => {
    const { given, begun, store } = stores(new ParallelTurns())
    const all = [store('a'), store('a'), store('a'), store('b')]
    await settle()
    expect(given).toEqual([undefined, undefined])
    begun[0]?.resolve({ turn: 7 })
    await settle()
    expect(given.slice(2)).toEqual([8, 9])
    // The queue has moved on.
    begun[3]?.resolve({ turn: 20 })
    await settle()
    const next = store('a')
    await settle()
    expect(given.at(-1)).toBe(21)
    begun[1]?.resolve({ turn: 3 })
    begun[2]?.resolve({ turn: 8 })
    begun[4]?.resolve({ turn: 21 })
    expect(await Promise.all([...all, next])).toEqual([7, 8, 20, 3, 21].map((turn) => ({ turn })))
    void store('a')
    await settle()
    expect(given.at(-1)).toBeUndefined()
  })

  it('asks the database again where the first was not stored', async () => {
    const { given, begun, store } = stores(new ParallelTurns())
    const failing = store('a')
    const behind = store('a')
    await settle()
    begun[0]?.reject(new Error('the disk is full'))
    await expect(failing).rejects.toThrow('the disk is full')
    await settle()
    expect(given).toEqual([undefined, undefined])
    begun[1]?.resolve({ turn: 0 })
    expect(await behind).toEqual({ turn: 0 })
  })
})
