import { expect, test } from 'vitest'
import { chooseExecutionProvider } from './execution-provider.ts'

async function choose(wanted: Parameters<typeof chooseExecutionProvider>[0]) {
  const notices: string[] = []
  return { provider: await chooseExecutionProvider(wanted, (line) => notices.push(line)), notices }
}

test('the CPU is taken as it is', async () => {
  expect(await choose('cpu')).toEqual({ provider: 'cpu', notices: [] })
})

test('a provider of another platform falls back to the CPU with one line', async () => {
  const foreign = process.platform === 'win32' ? 'coreml' : 'dml'
  const { provider, notices } = await choose(foreign)
  expect(provider).toBe('cpu')
  expect(notices).toHaveLength(1)
  expect(notices[0]).toMatch(
    new RegExp(`^the execution provider ${foreign} is not available \\(.+\\): running on the CPU$`),
  )
})

test('the automatic choice says nothing', async () => {
  const { provider, notices } = await choose('auto')
  expect(['cpu', 'cuda', 'dml', 'coreml']).toContain(provider)
  expect(notices).toEqual([])
})
