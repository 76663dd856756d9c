import { mkdtemp, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { float32, int64, tensor } from '../tensor/tensor.ts'
import { readSafetensors, readTensor, writeSafetensors } from './safetensors.ts'
import { WeightFileError } from './weight-file-error.ts'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'safetensors-'))
})
afterAll(() => rm(folder, { recursive: true }))

function bytes(header: unknown, dataLength: number): Buffer {
  const json = Buffer.from(typeof header === 'string' ? header : JSON.stringify(header))
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(json.length))
  return Buffer.concat([length, json, Buffer.alloc(dataLength)])
}

async function problemOf(name: string, content: Uint8Array | string): Promise<string> {
  const path = join(folder, name)
  await writeFile(path, content)
  const error = await readSafetensors(path).then(
    () => undefined,
    (e: unknown) => e,
  )
  expect(error).toBeInstanceOf(WeightFileError)
  expect((error as WeightFileError).path).toBe(path)
  expect(String(error)).toContain(name)
  expect(String(error)).not.toContain(folder)
  return String(error)
}

test('what is written is read back', async () => {
  const path = join(folder, 'round-trip.safetensors')
  await writeSafetensors(
    path,
    {
      latents: float32([1, 2], Float32Array.of(1.5, -2)),
      ids: int64([2], [7, 8]),
      flag: tensor('uint8', [], Uint8Array.of(3)),
    },
    { made: 'here' },
  )
  const file = await readSafetensors(path)
  expect([...file.tensors.keys()]).toEqual(['latents', 'ids', 'flag'])
  expect(file.metadata).toEqual({ made: 'here' })
  expect((file.tensors.get('latents')?.offset ?? 1) % 8).toBe(0)
  expect(await readTensor(file, 'latents')).toEqual(float32([1, 2], Float32Array.of(1.5, -2)))
  expect([...(await readTensor(file, 'ids')).data]).toEqual([7, 8])
  expect([...(await readTensor(file, 'flag')).data]).toEqual([3])
})

test('half and bfloat16 tensors become float32', async () => {
  const path = join(folder, 'half.safetensors')
  const content = bytes(
    { h: { dtype: 'F16', shape: [2], data_offsets: [0, 4] }, b: { dtype: 'BF16', shape: [2], data_offsets: [4, 8] } },
    8,
  )
  content.set([0x00, 0x3c, 0x00, 0xc0, 0x80, 0x3f, 0x20, 0xc1], content.length - 8)
  await writeFile(path, content)
  const file = await readSafetensors(path)
  expect([...(await readTensor(file, 'h')).data]).toEqual([1, -2])
  expect([...(await readTensor(file, 'b')).data]).toEqual([1, -10])
})

test('8-bit floats become float32', async () => {
  const path = join(folder, 'f8.safetensors')
  const content = bytes(
    {
      a: { dtype: 'F8_E4M3', shape: [2], data_offsets: [0, 2] },
      b: { dtype: 'F8_E5M2', shape: [1], data_offsets: [2, 3] },
    },
    3,
  )
  content.set([0x38, 0xfe, 0x3c], content.length - 3)
  await writeFile(path, content)
  const file = await readSafetensors(path)
  expect([...(await readTensor(file, 'a')).data]).toEqual([1, -448])
  expect([...(await readTensor(file, 'b')).data]).toEqual([1])
})

describe('refuses', () => {
  const f32 = (shape: number[], data_offsets: number[]) => ({ dtype: 'F32', shape, data_offsets })

  test.each<[string, Uint8Array | string, RegExp]>([
    ['an empty file', '', /empty \(0 bytes\)/],
    ['a file of three bytes', 'abc', /3 bytes, too few/],
    ['a Git LFS pointer', 'version https://git-lfs.github.com/spec/v1\noid sha256:0', /Git LFS pointer/],
    ['a web page', '<!DOCTYPE html><html></html>', /web page/],
    ['other bytes', 'not a model at all, just text', /no safetensors file/],
    ['a header that ends early', bytes({ a: f32([1], [0, 4]) }, 0).subarray(0, 20), /truncated download/],
    ['a header that is not JSON', bytes('{"a": ', 0), /not JSON/],
    ['a tensor beyond the end', bytes({ a: f32([2], [0, 8]) }, 7), /a should end at byte \d+ .*truncated download/],
    ['overlapping tensors', bytes({ a: f32([2], [0, 8]), b: f32([2], [4, 12]) }, 12), /b overlaps a/],
    ['a hole', bytes({ a: f32([1], [0, 4]), b: f32([1], [8, 12]) }, 12), /4 stray bytes before b/],
    ['bytes left over', bytes({ a: f32([1], [0, 4]) }, 6), /2 stray bytes after a/],
    ['a shape that disagrees', bytes({ a: f32([3], [0, 8]) }, 8), /F32 \[3\] takes 12 bytes/],
    ['a negative offset', bytes({ a: f32([1], [-4, 0]) }, 4), /no pair of numbers/],
    [
      'an unknown type',
      bytes({ a: { dtype: 'F12', shape: [], data_offsets: [0, 4] } }, 4),
      /unknown element type "F12"/,
    ],
    ['metadata of numbers', bytes({ __metadata__: { a: 1 } }, 0), /strings to strings/],
  ])('%s', async (name, content, message) => {
    expect(await problemOf(`${name}.safetensors`, content)).toMatch(message)
  })

  test('a key that is not there, and a file that shrank', async () => {
    const path = join(folder, 'shrunk.safetensors')
    await writeFile(path, bytes({ a: f32([1], [0, 4]) }, 4))
    const file = await readSafetensors(path)
    await expect(readTensor(file, 'b')).rejects.toThrow(/there is no tensor b/)
    await truncate(path, file.size - 1)
    await expect(readTensor(file, 'a')).rejects.toThrow(/shrunk.safetensors: a: expected 4 bytes/)
  })
})
