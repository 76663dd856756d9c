import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { FormTrial } from '@darkroom/engine'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { installedFolder } from '../acceleration/installed-libraries.ts'
import { librariesFolder } from '../config/config.ts'
import { chooseArithmetic, forgetTrial, openVino } from './arithmetic.ts'

let dataFolder: string
let notices: string[]
beforeEach(async () => {
  dataFolder = await mkdtemp(join(tmpdir(), 'arithmetic-'))
  notices = []
})
afterEach(() => rm(dataFolder, { recursive: true }))

const choose = (
  precision: 'exact' | 'fast',
  device: 'cpu' | 'dml' | 'coreml' = 'cpu',
  tryForms?: () => Promise<FormTrial[]>,
) => chooseArithmetic({ precision, device, threads: 1, dataFolder }, (line) => notices.push(line), tryForms)

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
      name: { device: 'cpu', precision: 'fast: linear layers in 8 bits' },
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

test('where nothing gains, or a form fails, that is a line, and failures are tried again', async () => {
  expect((await choose('fast', 'cpu', trial({ exact: 1, int8: 1 }).run)).name.precision).toBe('exact')
  expect(notices).toEqual(['nothing draws faster than exact on this processor'])
  await forgetTrial({ dataFolder })
  const failing = trial({ exact: 1, int8: 'no such kernel' })
  for (let start = 0; start < 2; start++) await choose('fast', 'cpu', failing.run)
  expect(failing.count()).toBe(2)
  expect(notices[1]).toBe('fast: linear layers in 8 bits is not available (no such kernel)')
})

test('libraries that are damaged are a line, and the CPU draws without them', async (context) => {
  const library = openVino()
  if (library === undefined) return context.skip('there is no OpenVINO for this platform')
  await mkdir(installedFolder(librariesFolder({ dataFolder }), library), { recursive: true })
  const { engine } = await choose('fast', 'cpu', trial({ exact: 1, int8: 0.5 }).run)
  expect(engine.fast).toEqual({ kind: 'int8' })
  expect(notices[0]).toMatch(/is damaged: run `darkroom accelerate` again; the CPU draws without it$/)
})
