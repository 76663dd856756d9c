import { expect, it, vi } from 'vitest'
import { EventLoopTurns } from './event-loop-turns.ts'

it('lets one piece of work in a round of the event loop, accounts in turn', async () => {
  const turns = new EventLoopTurns()
  const seen: string[] = []
  const piece = async (account: string, name: string) => {
    await turns.take(account)
    seen.push(name)
  }
  const pieces = [piece('greedy', 'g1'), piece('greedy', 'g2'), piece('greedy', 'g3'), piece('honest', 'h1')]
  const rounds: string[][] = []
  for (let round = 0; round < 4; round++) {
    const before = seen.length
    await new Promise((resolve) => setTimeout(resolve))
    await new Promise((resolve) => setImmediate(resolve))
    rounds.push(seen.slice(before))
  }
  await Promise.all(pieces)
  expect(seen).toEqual(['g1', 'h1', 'g2', 'g3'])
})

it('lets a piece go that nobody waits for any more', async () => {
  const turns = new EventLoopTurns()
  const controller = new AbortController()
  const left = turns.take('a', controller.signal)
  const next = turns.take('a')
  controller.abort(new Error('the client left'))
  await expect(left).rejects.toThrow('the client left')
  await next
})

it('lets several in in a round until its time is over, each of which has done its work before the next', async () => {
  let time = 0
  const clock = vi.spyOn(performance, 'now').mockImplementation(() => time)
  const turns = new EventLoopTurns(4)
  const seen: string[] = []
  const piece = async (name: string, milliseconds = 1) => {
    await turns.take(name)
    await undefined
    time += milliseconds
    seen.push(name)
  }
  const pieces = [piece('a'), piece('b'), piece('c', 50), piece('d'), piece('e')]
  const rounds: number[] = []
  while (seen.length < pieces.length) {
    await new Promise((resolve) => setImmediate(resolve))
    rounds.push(seen.length)
  }
  clock.mockRestore()
  expect(seen).toEqual(['a', 'b', 'c', 'd', 'e'])
  // When the first asks nobody else has asked yet.
  expect(rounds).toEqual([1, 3, 5])
})
