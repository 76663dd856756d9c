import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type FormTrial, OPENVINO_ARITHMETIC } from '@darkroom/engine'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { installedFolder } from '../acceleration/installed-libraries.ts'
import { type Config, librariesFolder } from '../config/config.ts'
import { chooseArithmetic, forgetTrial, openVino, type Trials } from './arithmetic.ts'

let dataFolder: string
let notices: string[]
beforeEach(async () => {
  dataFolder = await mkdtemp(join(tmpdir(), 'arithmetic-'))
  notices = []
})
afterEach(() => rm(dataFolder, { recursive: true }))

const choose = (
  precision: 'exact' | 'fast',
  device: Config['device'] = 'cpu',
  tryForms?: () => Promise<FormTrial[]>,
  trials: Partial<Trials> = {},
  number = 0,
) =>
  chooseArithmetic({ precision, device, threads: 1, dataFolder, runners: { number } }, (line) => notices.push(line), {
    ...(tryForms && { tryForms }),
    ...trials,
  })

test('exact is float32 on the CPU, whatever is installed', async () => {
  expect(await choose('exact')).toEqual({
    name: { device: 'cpu', precision: 'exact' },
    engine: { threads: 1, executionProvider: 'cpu' },
  })
  expect(notices).toEqual([])
})

test('a device that is not to be had is a line, and the CPU draws', async () => {
  const foreign = process.platform === 'win32' ? 'coreml' : 'dml'
  const { name } = await choose('exact', foreign)
  expect(name.device).toBe('cpu')
  expect(notices.join()).toMatch(/^the execution provider .* is not available \(.*\): running on the CPU$/)
})

/** What a trial of some forms finds; each runs in so many seconds. */
function trial(seconds: Readonly<Record<'exact' | 'int8', number | string>>) {
  let count = 0
  const forms = [
    ['exact', undefined],
    ['int8', { kind: 'int8' }],
  ] as const
  const run = async (): Promise<FormTrial[]> => {
    count++
    return forms.map(([name, form]) => {
      const found = seconds[name]
      return { form, ...(typeof found === 'number' ? { seconds: found, error: 0.01 } : { problem: found }) }
    })
  }
  return { run, count: () => count }
}

test('fast tries what is here once and remembers it for this machine', async () => {
  const { run, count } = trial({ exact: 1, int8: 0.6 })
  for (let start = 0; start < 2; start++) {
    expect(await choose('fast', 'cpu', run)).toEqual({
      name: { device: 'cpu', precision: 'fast: onnxruntime in float32 (linear layers in 8 bits)' },
      engine: { threads: 1, executionProvider: 'cpu', fast: { kind: 'int8' } },
    })
  }
  expect(count()).toBe(1)
  const kept = await readFile(join(dataFolder, 'fast-trial.json'), 'utf8')
  await writeFile(join(dataFolder, 'fast-trial.json'), kept.replace('1 threads', '9 threads'))
  await choose('fast', 'cpu', run)
  await forgetTrial({ dataFolder })
  await choose('fast', 'cpu', run)
  expect(count()).toBe(3)
  expect(notices).toEqual([])
})

/** A machine whose card computes, and float16 on it rightly or not. */
const cuda = { chooseDevice: async () => 'cuda' as const }
const onCuda = (found: Omit<FormTrial, 'form'>) => async (): Promise<FormTrial[]> => [
  { form: undefined, seconds: 1, error: 0 },
  { form: { kind: 'float16' }, ...found },
]

test('exact on a GPU is float32, and fast is float16', async () => {
  expect((await choose('exact', 'cuda', undefined, cuda)).engine).toEqual({ threads: 1, executionProvider: 'cuda' })
  const { name, engine } = await choose('fast', 'cuda', onCuda({ seconds: 1.1, error: 0.001 }), cuda)
  expect(name).toEqual({ device: 'cuda', precision: 'fast: float16' })
  expect(engine).toEqual({ threads: 1, executionProvider: 'cuda', fast: { kind: 'float16' } })
  expect(notices).toEqual([])
})

test('a second runner draws on the second GPU, and says so', async () => {
  const { name, engine } = await choose(
    'exact',
    'cuda',
    undefined,
    { ...cuda, chooseNumber: async (_, runner) => runner },
    1,
  )
  expect(name).toEqual({ device: 'cuda:1', precision: 'exact' })
  expect(engine).toEqual({ threads: 1, executionProvider: 'cuda', deviceNumber: 1 })
})

test('a GPU without float16 is two lines, and it draws in float32', async () => {
  const lacking = onCuda({ problem: 'it needs the extension shader-f16' })
  expect((await choose('fast', 'cuda', lacking, cuda)).name).toEqual({ device: 'cuda', precision: 'exact' })
  expect(notices).toEqual([
    'fast: float16 is not available (it needs the extension shader-f16)',
    'nothing draws faster than exact here',
  ])
})

test('what was found on one device says nothing of another', async () => {
  await choose('fast', 'cuda', onCuda({ seconds: 1, error: 0.001 }), cuda)
  const { name } = await choose('fast', 'cpu', trial({ exact: 1, int8: 0.5 }).run)
  expect(name).toEqual({ device: 'cpu', precision: 'fast: onnxruntime in float32 (linear layers in 8 bits)' })
})

test('where nothing gains, or a form fails, that is a line, and failures are tried again', async () => {
  expect((await choose('fast', 'cpu', trial({ exact: 1, int8: 1 }).run)).name.precision).toBe('exact')
  expect(notices).toEqual(['nothing draws faster than exact here'])
  await forgetTrial({ dataFolder })
  const failing = trial({ exact: 1, int8: 'no such kernel' })
  for (let start = 0; start < 2; start++) await choose('fast', 'cpu', failing.run)
  expect(failing.count()).toBe(2)
  expect(notices[1]).toBe('fast: onnxruntime in float32 (linear layers in 8 bits) is not available (no such kernel)')
})

test('libraries that this processor cannot run are one line, and the CPU goes on', async () => {
  const folders = { libraries: dataFolder, work: dataFolder }
  const crash = async (): Promise<FormTrial[]> => [
    ...(await trial({ exact: 1, int8: 0.5 }).run()),
    ...OPENVINO_ARITHMETIC.map((each) => ({
      form: { kind: 'openvino' as const, ...each, folders },
      problem: 'its libraries ended the process that tried them (SIGILL)',
    })),
  ]
  expect((await choose('fast', 'cpu', crash)).engine.fast).toEqual({ kind: 'int8' })
  expect(notices).toEqual([
    'fast: OpenVINO is not available (its libraries ended the process that tried them (SIGILL))',
  ])
})

test('how OpenVINO computes is in the name, and is what is kept of the trial', async () => {
  const form = { kind: 'openvino', precision: 'bf16', convolutions: 'winograd', linears: 'int8' } as const
  const folders = { libraries: dataFolder, work: dataFolder }
  const tryForms = async (): Promise<FormTrial[]> => [
    ...(await trial({ exact: 1, int8: 0.5 }).run()),
    { form: { ...form, linears: 'plain', folders }, seconds: 0.4, error: 0.004 },
    { form: { ...form, folders }, seconds: 0.3, error: 0.006 },
  ]
  const { name, engine } = await choose('fast', 'cpu', tryForms)
  expect(name.precision).toBe('fast: OpenVINO in bfloat16 (Winograd, linear layers in 8 bits)')
  expect(engine.fast).toEqual({ ...form, folders })
  expect(JSON.parse(await readFile(join(dataFolder, 'fast-trial.json'), 'utf8')).form).toBe('bf16-winograd-int8')
})

test('libraries that are damaged are a line, and the CPU draws without them', async (context) => {
  const library = openVino()
  if (library === undefined) return context.skip('there is no OpenVINO for this platform')
  await mkdir(installedFolder(librariesFolder({ dataFolder }), library), { recursive: true })
  const { engine } = await choose('fast', 'cpu', trial({ exact: 1, int8: 0.5 }).run)
  expect(engine.fast).toEqual({ kind: 'int8' })
  expect(notices[0]).toMatch(/is damaged: run `darkroom accelerate` again; the CPU draws without it$/)
})
