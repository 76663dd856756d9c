import { expect, it } from 'vitest'
import { WriteLock, writeLockOf } from './write-lock.ts'

it('lets one in at a time, in order, whatever became of the one before', async () => {
  const lock = new WriteLock()
  const seen: string[] = []
  const work = (name: string) => async () => {
    seen.push(`${name} in`)
    await Promise.resolve()
    seen.push(`${name} out`)
    if (name === 'a') throw new Error('a failed')
    return name
  }
  const results = await Promise.allSettled([lock.run(work('a')), lock.run(work('b'))])
  expect(results.map((result) => result.status)).toEqual(['rejected', 'fulfilled'])
  expect(seen).toEqual(['a in', 'a out', 'b in', 'b out'])
})

it('is the same for everyone who opens a file', () => {
  expect(writeLockOf('/a/darkroom.db')).toBe(writeLockOf('/a/darkroom.db'))
  expect(writeLockOf('/a/darkroom.db')).not.toBe(writeLockOf('/b/darkroom.db'))
})
