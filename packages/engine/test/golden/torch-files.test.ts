/** Files of torch.save against the tensors that torch reads from them, bit for bit. */
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { PickledObject, type PickleValue } from '../../src/formats/pickle-values.ts'
import { readSafetensors } from '../../src/formats/safetensors.ts'
import { isPlain, readEntry, readEntryBytes } from '../../src/formats/stored-tensor.ts'
import { namedTensors, readTorchFile } from '../../src/formats/torch-file.ts'

const DATA = join(import.meta.dirname, 'data', 'torch-files')
const KINDS = (await readdir(DATA)).filter((name) => name.endsWith('.bin')).map((name) => name.slice(0, -'.bin'.length))

test('there are more than ten kinds', () => {
  expect(KINDS.length).toBeGreaterThan(10)
})

test.each(KINDS)('%s', async (kind) => {
  const file = namedTensors(await readTorchFile(join(DATA, `${kind}.bin`)))
  const expected = await readSafetensors(join(DATA, `${kind}.safetensors`))
  expect([...file.tensors.keys()].toSorted()).toEqual([...expected.tensors.keys()].toSorted())
  for (const [key, entry] of file.tensors) {
    const wanted = expected.tensors.get(key)
    if (!wanted) throw new Error(key)
    expect([key, entry.dtype, entry.shape]).toEqual([key, wanted.dtype, wanted.shape])
    const [bytes, wantedBytes] = await Promise.all([
      readEntryBytes(file.path, entry),
      readEntryBytes(expected.path, wanted),
    ])
    expect([key, Buffer.from(bytes).toString('hex')]).toEqual([key, Buffer.from(wantedBytes).toString('hex')])
  }
})

async function saved(kind: string): Promise<Map<PickleValue, PickleValue>> {
  const { value } = await readTorchFile(join(DATA, `${kind}.bin`))
  if (!(value instanceof Map)) throw new Error('no dict')
  return value
}

test.each(['lightning', 'lightning-legacy'])('%s: what is beside the tensors', async (kind) => {
  const values = await saved(kind)
  expect(values.get('epoch')).toBe(3)
  expect(values.get('global_step')).toBe(2 ** 40)
  expect(values.get('huge')).toBe(2n ** 70n)
  expect(values.get('negative')).toBe(-129)
  const callbacks = values.get('callbacks') as Map<PickleValue, PickleValue>
  expect(Object.fromEntries(callbacks)).toEqual({
    best: null,
    rates: [1e-4, 2.5],
    seen: new Set([1, 2]),
    done: true,
    raw: Uint8Array.of(0, 255),
  })
  expect(values.get('hyper')).toEqual(new Map([['a', [1, 2, 3, 4]]]))
})

test('objects of known classes are kept as data', async () => {
  const parameters = (await saved('embedding')).get('string_to_param')
  expect(parameters).toBeInstanceOf(PickledObject)
})

test('tensors that lie row-major are plain bytes of the file; views are not', async () => {
  const { tensors } = namedTensors(await readTorchFile(join(DATA, 'views.bin')))
  const plain = [...tensors].filter(([, entry]) => isPlain(entry)).map(([key]) => key)
  expect(plain).toEqual(['whole', 'rows', 'scalar'])
  const whole = tensors.get('whole')
  expect(tensors.get('rows')?.offset).toBe((whole?.offset ?? 0) + 2 * 8 * 4)
})

test('8-bit floats as torch widens them', async () => {
  const { path, tensors } = namedTensors(await readTorchFile(join(DATA, 'eight-bit.bin')))
  const read = async (key: string) => {
    const entry = tensors.get(key)
    if (!entry) throw new Error(key)
    return (await readEntry(path, entry)).data
  }
  for (const key of ['e4m3', 'e5m2']) {
    const [values, wanted] = [await read(key), await read(`${key}_values`)]
    // A signed NaN may lose its sign.
    expect([...values]).toEqual([...wanted])
  }
})
