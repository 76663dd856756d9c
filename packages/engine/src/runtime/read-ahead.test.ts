import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { NO_WEIGHTS, type WeightLocation, type Weights } from '../checkpoint/prepared-weights.ts'
import { mergePlaces, ReadAhead } from './read-ahead.ts'

const MEGABYTE = 2 ** 20
let folder: string

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'read-ahead-'))
  await writeFile(join(folder, 'weights'), 'the system reads this, not the test')
})
afterAll(() => rm(folder, { recursive: true }))

function weightsAt(identity: string, ...places: readonly (readonly [offset: number, length: number])[]): Weights {
  const path = join(folder, 'weights')
  return {
    ...NO_WEIGHTS,
    identity,
    places: () => places.map(([offset, length]): WeightLocation => ({ path, offset, length })),
  }
}

/** What would be read, and the reader; `held` are the identities that sessions hold. */
function reader({ budget = 10 * MEGABYTE, used = 0, held = [] as string[] } = {}) {
  const advised: (readonly [offset: number, length: number])[] = []
  const ahead = new ReadAhead(
    { budgetBytes: budget, freeBytes: budget - used, holds: ({ identity }) => held.includes(identity) },
    async (_descriptor, offset, length) => advised.push([offset, length]),
  )
  return { advised, ahead, held }
}

test('places are joined across small gaps, file by file', () => {
  const place = (path: string, offset: number, length: number) => ({ path, offset, length })
  const places = [
    place('b', 0, 10),
    place('a', 900, 100),
    place('a', 0, 500),
    place('a', 100, 50),
    place('a', 1_000 + 2 * MEGABYTE, 7),
  ]
  expect(mergePlaces(places)).toEqual([place('a', 0, 1000), place('a', 1_000 + 2 * MEGABYTE, 7), place('b', 0, 10)])
})

test('reads in pieces that a system takes whole, what was asked first at first', async () => {
  const { ahead, advised } = reader()
  void ahead.read([weightsAt('first', [100, 2.5 * MEGABYTE])])
  await ahead.read([weightsAt('second', [0, 5]), weightsAt('third', [7, 5])])
  expect(advised).toEqual([
    [100, MEGABYTE],
    [100 + MEGABYTE, MEGABYTE],
    [100 + 2 * MEGABYTE, MEGABYTE / 2],
    [0, 5],
    [7, 5],
  ])
})

test('does not read what a session holds, nor what the budget has no room for beside the sessions', async () => {
  const { ahead, advised } = reader({ budget: 4 * MEGABYTE, used: 2 * MEGABYTE, held: ['held'] })
  await ahead.read([weightsAt('held', [0, 1]), weightsAt('large', [0, 3 * MEGABYTE]), weightsAt('small', [5, 6])])
  expect(advised).toEqual([[5, 6]])
})

test('reads once, and again when a session held it meanwhile or more was read than the budget holds', async () => {
  const { ahead, advised, held } = reader({ budget: 2 * MEGABYTE })
  const [one, other] = [weightsAt('one', [1, MEGABYTE]), weightsAt('other', [2, 1.5 * MEGABYTE])]
  const readOne = () => advised.filter(([offset]) => offset === 1).length
  await Promise.all([ahead.read([one]), ahead.read([one])])
  await ahead.read([one])
  expect(readOne()).toBe(1)
  held.push('one')
  await ahead.read([one])
  held.pop()
  await ahead.read([one])
  expect(readOne()).toBe(2)
  await ahead.read([other])
  await ahead.read([one])
  expect(readOne()).toBe(3)
})

test('foresees only what there is room for beside what was read and waits for its session', async () => {
  const { ahead, advised, held } = reader({ budget: 4 * MEGABYTE })
  const { signal } = new AbortController()
  await ahead.read([weightsAt('drawn', [0, 2.5 * MEGABYTE])])
  await ahead.foresee([weightsAt('large', [1, 2 * MEGABYTE]), weightsAt('small', [2, 1])], signal)
  expect(advised.map(([offset]) => offset)).toEqual([0, MEGABYTE, 2 * MEGABYTE, 2])
  held.push('drawn')
  await ahead.foresee([weightsAt('large', [1, 2 * MEGABYTE])], signal)
  expect(advised.slice(4)).toEqual([
    [1, MEGABYTE],
    [1 + MEGABYTE, MEGABYTE],
  ])
})

test('what was foreseen and is not wanted any more ends, and leaves its room to others', async () => {
  const advised: number[] = []
  const controller = new AbortController()
  const ahead = new ReadAhead(
    { budgetBytes: 4 * MEGABYTE, freeBytes: 4 * MEGABYTE, holds: () => false },
    async (_descriptor, offset) => {
      advised.push(offset)
      if (offset === MEGABYTE) controller.abort()
    },
  )
  await ahead.foresee([weightsAt('cancelled', [0, 3 * MEGABYTE]), weightsAt('too', [5, 1])], controller.signal)
  expect(advised).toEqual([0, MEGABYTE])
  await ahead.foresee([weightsAt('wanted', [7, 3 * MEGABYTE])], new AbortController().signal)
  expect(advised.slice(2)).toEqual([7, 7 + MEGABYTE, 7 + 2 * MEGABYTE])
})

test('a file that is gone is no error, and what comes after it is read', async () => {
  const { ahead, advised } = reader()
  const gone = { ...NO_WEIGHTS, identity: 'gone', places: () => [{ path: join(folder, 'gone'), offset: 0, length: 1 }] }
  await ahead.read([gone, weightsAt('there', [3, 4])])
  expect(advised).toEqual([[3, 4]])
})

test('ends within a piece', async () => {
  let advised = 0
  const sessions = { budgetBytes: 1e12, freeBytes: 1e12, holds: () => false }
  const ahead: ReadAhead = new ReadAhead(sessions, async () => {
    advised += 1
    void ahead.end()
  })
  await ahead.read([weightsAt('long', [0, 1_000 * MEGABYTE]), weightsAt('next', [0, 1])])
  await ahead.end()
  expect(advised).toBe(1)
})

test('the system takes the hint where it knows such', async () => {
  const ahead = new ReadAhead({ budgetBytes: 1e12, freeBytes: 1e12, holds: () => false })
  await expect(ahead.read([weightsAt('real', [0, 20])])).resolves.toBeUndefined()
})
