import { expect, test } from 'vitest'
import { float32 } from '../tensor/tensor.ts'
import { EmbeddingMemory } from './embedding-memory.ts'

test('what came last is kept, up to a number, and failures are not', async () => {
  const memory = new EmbeddingMemory()
  let calls = 0
  const get = (key: string) =>
    memory.get(key, async () => {
      calls++
      if (key === 'bad') throw new Error('no memory')
      return [float32([1], Float32Array.of(calls))]
    })
  const [first] = await get('a')
  expect((await get('a'))[0]).toBe(first)
  await expect(get('bad')).rejects.toThrow('no memory')
  await expect(get('bad')).rejects.toThrow('no memory')
  expect(calls).toBe(3)
  for (let i = 0; i < 31; i++) await get(`other ${i}`)
  expect((await get('a'))[0]).toBe(first)
  await get('one more')
  await get('other 0')
  expect(calls).toBe(36)
})
