import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { OPENVINO_ARITHMETIC } from '@darkroom/engine'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { tryFormsApart } from './trial-process.ts'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'trial-'))
})
afterAll(() => rm(folder, { recursive: true }))

const options = () => ({ threads: 1, openVino: { libraries: join(folder, 'nowhere'), work: join(folder, 'work') } })

/** A process that ends as one does whose library meets an instruction that the processor lacks. */
async function entry(ending: string): Promise<URL> {
  const path = join(folder, 'trial.mjs')
  await writeFile(path, `process.once('message', () => ${ending})`)
  return pathToFileURL(path)
}

/** Of the forms that are tried, in their order. */
const FORMS = [undefined, 'int8', ...OPENVINO_ARITHMETIC.map(() => 'openvino')]

test('what the process finds comes back', async () => {
  const trials = await tryFormsApart(options())
  expect(trials.map(({ form }) => form?.kind)).toEqual(FORMS)
  expect(trials[0]?.seconds).toBeGreaterThan(0)
  expect(trials[2]?.problem).toMatch(/lacks lib|there is no OpenVINO/)
})

test.each([
  ["process.kill(process.pid, 'SIGILL')", 'SIGILL'],
  ['process.exit(3)', 'code 3'],
])('libraries that end the process are one problem, and the others are tried: %s', async (ending, end) => {
  const trials = await tryFormsApart(options(), await entry(ending))
  expect(trials.map(({ form }) => form?.kind)).toEqual(FORMS)
  expect(trials[1]?.seconds).toBeGreaterThan(0)
  const problem = `its libraries ended the process that tried them (${end}), as they do where a processor lacks an instruction`
  expect(trials.slice(2).map((trial) => trial.problem)).toEqual(OPENVINO_ARITHMETIC.map(() => problem))
})
