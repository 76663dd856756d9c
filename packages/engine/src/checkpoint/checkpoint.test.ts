import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { SafetensorsError, writeSafetensors } from '../formats/safetensors.ts'
import { float32 } from '../tensor/tensor.ts'
import { openCheckpoint, openComponent } from './checkpoint.ts'
import { CheckpointError } from './checkpoint-error.ts'

let root: string
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'checkpoint-'))
})
afterAll(() => rm(root, { recursive: true }))

let count = 0
/** A folder with these files: text, or the keys of a safetensors file. */
async function folderWith(files: Record<string, string | string[]>): Promise<string> {
  const folder = join(root, String(++count))
  for (const [name, content] of Object.entries(files)) {
    const path = join(folder, name)
    await mkdir(dirname(path), { recursive: true })
    if (typeof content === 'string') await writeFile(path, content)
    else await writeSafetensors(path, Object.fromEntries(content.map((key) => [key, float32([1])])))
  }
  return folder
}

const INDEX = JSON.stringify({
  _class_name: 'StableDiffusionPipeline',
  unet: ['diffusers', 'UNet2DConditionModel'],
  safety_checker: [null, null],
  requires_safety_checker: false,
})
const PLAIN = 'unet/diffusion_pytorch_model.safetensors'
const HALF = 'unet/diffusion_pytorch_model.fp16.safetensors'

async function keysOf(files: Record<string, string | string[]>, variant?: string): Promise<string[]> {
  const folder = await folderWith({ 'model_index.json': INDEX, 'unet/config.json': '{}', ...files })
  const checkpoint = await openCheckpoint(folder, variant === undefined ? {} : { variant })
  return [...(await checkpoint.component('unet').weights()).tensors.keys()]
}

async function problemOf(opening: Promise<unknown>): Promise<string> {
  const error = await opening.catch((e: unknown) => e)
  expect(error).toBeInstanceOf(CheckpointError)
  return String(error)
}

test('lists the components that are there', async () => {
  const checkpoint = await openCheckpoint(
    await folderWith({ 'model_index.json': INDEX, 'unet/config.json': '{"a": 1}' }),
  )
  expect(checkpoint.className).toBe('StableDiffusionPipeline')
  expect([...checkpoint.components]).toEqual([['unet', 'UNet2DConditionModel']])
  expect(await checkpoint.component('unet').config()).toEqual({ a: 1 })
  expect(() => checkpoint.component('safety_checker')).toThrow(/no component safety_checker; .* lists unet/)
})

describe('finds weights', () => {
  test('whole, of either name', async () => {
    expect(await keysOf({ [PLAIN]: ['plain'] })).toEqual(['plain'])
    expect(await keysOf({ 'unet/model.safetensors': ['m'] })).toEqual(['m'])
  })

  test('of the variant, and the plain ones where there is no variant', async () => {
    expect(await keysOf({ [PLAIN]: ['plain'], [HALF]: ['half'] }, 'fp16')).toEqual(['half'])
    expect(await keysOf({ [PLAIN]: ['plain'], [HALF]: ['half'] })).toEqual(['plain'])
    expect(await keysOf({ [PLAIN]: ['plain'] }, 'fp16')).toEqual(['plain'])
  })

  test.each([
    [undefined, ''],
    ['fp16', '.fp16'],
  ])('in shards (variant %s)', async (variant, suffix) => {
    const shard = (n: number) => `diffusion_pytorch_model${suffix}-0000${n}-of-00002.safetensors`
    const files = {
      [`unet/diffusion_pytorch_model.safetensors.index${suffix}.json`]: JSON.stringify({
        weight_map: { a: shard(1), b: shard(2), c: shard(1) },
      }),
      [`unet/${shard(1)}`]: ['a', 'c'],
      [`unet/${shard(2)}`]: ['b'],
    }
    expect(await keysOf(files, variant)).toEqual(['a', 'c', 'b'])
  })

  test('behind a hub snapshot’s links', async () => {
    const folder = await folderWith({
      'blobs/123': ['linked'],
      'snapshots/1/model_index.json': INDEX,
      'snapshots/1/unet/x': '',
    })
    const snapshot = join(folder, 'snapshots/1')
    await symlink('../../../blobs/123', join(snapshot, PLAIN))
    const weights = await (await openCheckpoint(snapshot)).component('unet').weights()
    expect([...weights.tensors.keys()]).toEqual(['linked'])
    expect(weights.files[0]?.path).toMatch(/blobs.123$/)
  })

  test('of a component that stands alone', async () => {
    const here = await folderWith({ 'config.json': '{"here": 1}' })
    const below = await folderWith({ 'unet/config.json': '{"below": 1}' })
    expect(await (await openComponent(here, 'unet')).config()).toEqual({ here: 1 })
    expect(await (await openComponent(below, 'unet')).config()).toEqual({ below: 1 })
    expect(await problemOf(openComponent(here, 'vae').then((c) => c.weights()))).toMatch(/no weights for vae/)
    expect(await problemOf(openComponent(below, 'vae'))).toMatch(/neither config.json nor vae\/config.json/)
  })

  test('under today’s names', async () => {
    const folder = await folderWith({
      'model_index.json': INDEX,
      [PLAIN]: ['mid.attentions.0.query.bias', 'queryless.query'],
    })
    const unet = (await openCheckpoint(folder)).component('unet')
    const { tensors } = await unet.weights({ renames: { 'attentions.0.query': 'attentions.0.to_q' } })
    expect([...tensors.keys()]).toEqual(['mid.attentions.0.to_q.bias', 'queryless.query'])
    expect(tensors.get('mid.attentions.0.to_q.bias')?.storedKey).toBe('mid.attentions.0.query.bias')
    const clash = unet.weights({ renames: { 'attentions.0.query.bias': 'x', 'mid.x': 'queryless.query' } })
    expect(await problemOf(clash)).toMatch(/queryless.query is both in/)
  })

  test('with another identity once a file changes', async () => {
    const folder = await folderWith({ 'model_index.json': INDEX, [PLAIN]: ['a'] })
    const identity = async () => (await (await openCheckpoint(folder)).component('unet').weights()).identity
    const before = await identity()
    expect(await identity()).toBe(before)
    await writeSafetensors(join(folder, PLAIN), { other: float32([2]) })
    expect(await identity()).not.toBe(before)
  })
})

describe('says what is wrong with a folder', () => {
  test.each<[string, Record<string, string | string[]>, RegExp]>([
    ['a single component', { 'config.json': '{}' }, /no model_index.json. It holds a single component/],
    ['a hub cache entry', { 'snapshots/1/x': '' }, /hub cache entry; name the folder under snapshots/],
    [
      'a single-file checkpoint',
      { 'dream.safetensors': ['a'] },
      /dream.safetensors looks like a single-file checkpoint/,
    ],
    ['an empty model_index', { 'model_index.json': ' ' }, /model_index.json is empty/],
    ['a damaged model_index', { 'model_index.json': '{"a": ' }, /model_index.json is not JSON/],
    ['no object', { 'model_index.json': '[]' }, /must hold a JSON object/],
    ['no class', { 'model_index.json': '{}' }, /_class_name must name/],
  ])('%s', async (_, files, message) => {
    expect(await problemOf(openCheckpoint(await folderWith(files)))).toMatch(message)
  })

  test('that is not there', async () => {
    expect(await problemOf(openCheckpoint(join(root, 'nowhere')))).toMatch(/there is no folder .*nowhere/)
  })

  test.each<[string, Record<string, string | string[]>, RegExp]>([
    ['pickles only', { 'unet/diffusion_pytorch_model.bin': '' }, /\.bin is a PyTorch pickle, which is not read/],
    ['another variant only', { [HALF]: ['a'] }, /only the variant fp16 is there; ask for it by name/],
    ['none', {}, /no weights for unet .*looked for diffusion_pytorch_model.safetensors/],
    [
      'a missing shard',
      { [`${PLAIN}.index.json`]: JSON.stringify({ weight_map: { a: 'gone-1.safetensors' } }) },
      /gone-1.safetensors is missing or a dangling link/,
    ],
    [
      'a shard elsewhere',
      { [`${PLAIN}.index.json`]: JSON.stringify({ weight_map: { a: '../vae/x.safetensors' } }) },
      /"..\/vae\/x.safetensors" is no safetensors file of this folder/,
    ],
  ])('weights: %s', async (_, files, message) => {
    expect(await problemOf(keysOf(files))).toMatch(message)
  })

  test('an empty weight file', async () => {
    await expect(keysOf({ [PLAIN]: '' })).rejects.toThrow(SafetensorsError)
  })
})
