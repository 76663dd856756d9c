import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { DYNAMIC } from '../tensor/tensor.ts'
import { encodeModel, type OnnxModel } from './onnx.ts'
import { OnnxFileError, readOnnxFile } from './onnx-file.ts'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'onnx-file-'))
})
afterAll(() => rm(folder, { recursive: true }))

/** y = x + w with a weight larger than a read, listed as an input too, as old exporters do. */
const MODEL: OnnxModel = {
  graphName: 'sum',
  opsets: { '': 20 },
  nodes: [{ name: 'n', opType: 'Add', domain: '', inputs: ['x', 'w'], outputs: ['y'], attributes: {} }],
  initializers: [{ name: 'w', dtype: 'float32', shape: [50_000], data: new Uint8Array(200_000) }],
  inputs: [
    { name: 'w', dtype: 'float32', shape: [50_000] },
    { name: 'x', dtype: 'float32', shape: [DYNAMIC, 50_000] },
    { name: 'ids', dtype: 'int64', shape: [] },
    // As exporters write a size that they leave open.
    { name: 'zero', dtype: 'float32', shape: [0, 3] },
  ],
  outputs: [{ name: 'y', dtype: 'float32', shape: [DYNAMIC, 50_000] }],
}

async function fileOf(bytes: Uint8Array, name = 'sum.onnx'): Promise<string> {
  const path = join(folder, name)
  await writeFile(path, bytes)
  return path
}

test('inputs and outputs come from the file, weights that are listed as inputs do not', async () => {
  const bytes = encodeModel(MODEL)
  const path = await fileOf(bytes)
  const file = await readOnnxFile(path)
  expect(file).toMatchObject({ path, name: 'sum', size: bytes.length })
  expect(file.inputs).toEqual([...MODEL.inputs.slice(1, 3), { name: 'zero', dtype: 'float32', shape: [DYNAMIC, 3] }])
  expect(file.outputs).toEqual(MODEL.outputs)
})

test('a changed file has another identity', async () => {
  const first = await readOnnxFile(await fileOf(encodeModel(MODEL)))
  const second = await readOnnxFile(await fileOf(encodeModel({ ...MODEL, graphName: 'another sum' })))
  expect(second.identity).not.toBe(first.identity)
})

test.each([
  ['empty', () => new Uint8Array(0), /it has no outputs/],
  [
    'text',
    () => new TextEncoder().encode('version https://git-lfs.github.com/spec/v1\noid sha256:0'),
    /is no ONNX model/,
  ],
  ['cut off', (whole: Uint8Array) => whole.subarray(0, 150_000), /or its end is missing/],
  ['zeros', () => new Uint8Array(1000), /is no ONNX model/],
  ['endless number', () => new Uint8Array(100).fill(0xff), /is no ONNX model/],
])('a file that is %s is refused by name', async (_, damage, message) => {
  const error = await readOnnxFile(await fileOf(damage(encodeModel(MODEL)), 'bad.onnx')).catch((e: unknown) => e)
  expect(error).toBeInstanceOf(OnnxFileError)
  expect(String(error)).toMatch(message)
  expect(String(error)).toContain('bad.onnx')
})
