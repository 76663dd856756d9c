import { expect, it } from 'vitest'
import { endsWithin } from './deadline.ts'

it('tells work that ends in time from work that does not, and passes its error on', async () => {
  expect(await endsWithin(Promise.resolve('x'), 60)).toBe(true)
  expect(await endsWithin(new Promise(() => {}), 0.001)).toBe(false)
  await expect(endsWithin(Promise.reject(new Error('broken')), 60)).rejects.toThrow('broken')
})
