import { expect, it } from 'vitest'
import { InputMemory } from './input-memory.ts'

const NEVER = new AbortController().signal
/** Of which a hundred bytes are for requests of large pictures. */
const LARGE_ONES = (100 * 8) / 7
const turn = () => new Promise((resolve) => setImmediate(resolve))

it('lets requests hold what there is, in order, and the next ones when that is given back', async () => {
  const memory = new InputMemory(LARGE_ONES)
  const order: string[] = []
  const [a, b, c, d] = [NEVER, NEVER, NEVER, NEVER].map((signal) => memory.share('default', signal))
  const noting = (name: string, reserved?: Promise<void>) => reserved?.then(() => order.push(name))
  noting('a', a?.reserve(60))
  noting('b', b?.reserve(50))
  // There is room for it, but it came later than one that there is no room for.
  noting('c', c?.reserve(30))
  noting('d', d?.reserve(500))
  await turn()
  expect(order).toEqual(['a'])
  a?.release()
  await turn()
  expect(order).toEqual(['a', 'b', 'c'])
  b?.release()
  await turn()
  expect(order).toHaveLength(3)
  c?.release()
  await turn()
  expect(order).toEqual(['a', 'b', 'c', 'd'])
})

it('forgets who leaves the line, and gives back what comes too late for its request', async () => {
  const memory = new InputMemory(LARGE_ONES)
  const controller = new AbortController()
  const first = memory.share('default', NEVER)
  await first.reserve(100)
  const leaving = memory.share('default', controller.signal).reserve(100)
  const answered = memory.share('default', NEVER)
  const late = answered.reserve(100)
  const last = memory.share('default', NEVER).reserve(100)
  controller.abort(new Error('the client left'))
  await expect(leaving).rejects.toThrow('the client left')
  answered.release()
  first.release()
  await Promise.all([late, last])
})

it('has room for small pictures while large ones wait', async () => {
  const memory = new InputMemory(512)
  const order: string[] = []
  for (let i = 0; i < 3; i++) {
    const share = memory.share('greedy', NEVER)
    void share.reserve(200).then(() => order.push('large'))
  }
  for (let i = 0; i < 9; i++) {
    const share = memory.share('honest', NEVER)
    void share.reserve(8).then(() => order.push('small'))
  }
  await turn()
  expect(order.filter((name) => name === 'large')).toHaveLength(2)
  expect(order.filter((name) => name === 'small')).toHaveLength(8)
})
