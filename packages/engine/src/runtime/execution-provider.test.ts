import { expect, test } from 'vitest'
import { chooseDeviceNumber, chooseExecutionProvider } from './execution-provider.ts'

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

test('a missing driver is one line, and the CPU goes on', async () => {
  const notices: string[] = []
  const lacking = async () => 'Failed to get a WebGPU adapter: No supported adapters'
  expect(await chooseExecutionProvider('webgpu', (line) => notices.push(line), lacking)).toBe('cpu')
  expect(await chooseExecutionProvider('auto', (line) => notices.push(line), lacking)).toBe('cpu')
  expect(notices).toEqual([
    'the execution provider webgpu is not available (Failed to get a WebGPU adapter: No supported adapters): running on the CPU',
  ])
})

test('what onnxruntime says of this machine’s providers is one line each', async () => {
  for (const wanted of ['cuda', 'tensorrt', 'dml', 'coreml'] as const) {
    const { provider, notices } = await choose(wanted)
    if (provider === wanted) expect(notices).toEqual([])
    else
      expect(notices.join('|')).toMatch(
        new RegExp(`^the execution provider ${wanted} is not available \\([^|\\n]+\\): running on the CPU$`),
      )
  }
})

test('runners are dealt the GPUs that are there, in turn', async () => {
  const gpus =
    (count: number) =>
    async (_: unknown, number = 0) =>
      number < count ? undefined : 'invalid device ordinal'
  const dealt = (count: number) =>
    Promise.all([0, 1, 2, 3, 4].map((runner) => chooseDeviceNumber('cuda', runner, gpus(count))))
  expect(await dealt(1)).toEqual([0, 0, 0, 0, 0])
  expect(await dealt(3)).toEqual([0, 1, 2, 0, 1])
  expect(await chooseDeviceNumber('webgpu', 1, gpus(3))).toBe(0)
})

test('the automatic choice says nothing', async () => {
  const { provider, notices } = await choose('auto')
  expect(['cpu', 'cuda', 'dml', 'coreml']).toContain(provider)
  expect(notices).toEqual([])
})
