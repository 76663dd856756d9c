import { expect, it } from 'vitest'
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
