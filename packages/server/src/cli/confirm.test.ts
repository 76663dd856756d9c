import { PassThrough } from 'node:stream'
import { expect, it } from 'vitest'
import { confirm } from './confirm.ts'

const answered = (text: string) => {
  const input = new PassThrough()
  const answer = confirm('Fetch it? ', input, new PassThrough())
  input.end(text)
  return answer
}

it.each([
  ['y\n', true],
  [' YES \n', true],
  ['n\n', false],
  ['\n', false],
  ['yess\n', false],
])('takes %j for %s', async (text, agrees) => {
  expect(await answered(text)).toBe(agrees)
})

it('takes the end of the input for no, and waits no longer', async () => {
  expect(await answered('')).toBe(false)
})
