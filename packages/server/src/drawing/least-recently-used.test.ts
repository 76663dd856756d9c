import { expect, test } from 'vitest'
import { LeastRecentlyUsed } from './least-recently-used.ts'

test('makes a value once, and forgets the one that was not asked for longest', async () => {
  const made: string[] = []
  const values = new LeastRecentlyUsed<string>(2)
  const get = (key: string) =>
    values.get(key, async () => {
      made.push(key)
      return key.toUpperCase()
    })
  expect([await get('a'), await get('b'), await get('a'), await get('c')]).toEqual(['A', 'B', 'A', 'C'])
  expect(values.keys).toEqual(['a', 'c'])
  await get('b')
  expect(made).toEqual(['a', 'b', 'c', 'b'])
  expect(values.keys).toEqual(['c', 'b'])
})

test('two that ask at once share one, and a failure is not kept', async () => {
  let tries = 0
  const values = new LeastRecentlyUsed<number>(1)
  const get = () =>
    values.get('a', async () => {
      if (++tries === 1) throw new Error('not yet')
      return tries
    })
  await expect(Promise.all([get(), get()])).rejects.toThrow('not yet')
  expect(values.keys).toEqual([])
  expect(await Promise.all([get(), get()])).toEqual([2, 2])
})
