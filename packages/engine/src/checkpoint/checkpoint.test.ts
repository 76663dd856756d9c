import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { writeSafetensors } from '../formats/safetensors.ts'
import { WeightFileError } from '../formats/weight-file-error.ts'
import { float32 } from '../tensor/tensor.ts'
import { openCheckpoint, openComponent } from './checkpoint.ts'
import { CheckpointError } from './checkpoint-error.ts'
import { openWeightFile } from './component-weights.ts'

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
    if (typeof content === 'string') await writeFile(path, content, 'latin1')
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
const TORCH_FILES = join(import.meta.dirname, '../../test/golden/data/torch-files')
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
  expect(String(error)).not.toContain(root)
  return String(error)
}

test('a component is of the class that model_index.json names, whatever its config says', async () => {
  const index = JSON.stringify({ _class_name: 'StableDiffusionPipeline', scheduler: ['diffusers', 'DDIMScheduler'] })
  const folder = await folderWith({
    'model_index.json': index,
    'scheduler/scheduler_config.json': '{"_class_name": "PNDMScheduler", "steps_offset": 1}',
  })
  const config = await (await openCheckpoint(folder)).component('scheduler').config()
  expect(config).toEqual({ _class_name: 'DDIMScheduler', steps_offset: 1 })
})

test('messages call a hub snapshot by its repository', async () => {
  const folder = await folderWith({ 'models--owner--some--name/snapshots/abc/model_index.json': '{}' })
  const snapshot = join(folder, 'models--owner--some--name/snapshots/abc')
  expect(await problemOf(openCheckpoint(snapshot))).toContain('owner/some--name/model_index.json: _class_name')
})

test('lists the components that are there', async () => {
  const checkpoint = await openCheckpoint(
    await folderWith({ 'model_index.json': INDEX, 'unet/config.json': '{"a": 1}' }),
  )
  expect(checkpoint.className).toBe('StableDiffusionPipeline')
  expect([...checkpoint.components]).toEqual([['unet', 'UNet2DConditionModel']])
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

  test('of the variant that is there, where there are no others', async () => {
    const variant = (name: string) => ({ [`unet/diffusion_pytorch_model.${name}.safetensors`]: [name] })
    expect(await keysOf(variant('fp16'))).toEqual(['fp16'])
    expect(await keysOf({ ...variant('fp16'), ...variant('bf16'), ...variant('aaa') })).toEqual(['fp16'])
    expect(await keysOf({ ...variant('non_ema'), ...variant('ema') })).toEqual(['ema'])
    expect(await keysOf(variant('non_ema'), 'fp16')).toEqual(['non_ema'])
    const index = { weight_map: { a: 'model.fp16-00001-of-00001.safetensors' } }
    const sharded = {
      'unet/model.safetensors.index.fp16.json': JSON.stringify(index),
      'unet/model.fp16-00001-of-00001.safetensors': ['shard'],
    }
    expect(await keysOf(sharded)).toEqual(['shard'])
  })

  test('in files of torch.save, after safetensors files of any variant', async () => {
    const saved = (await readFile(join(TORCH_FILES, 'adapter.bin'))).toString('latin1')
    const keys = [
      'image_proj.latents',
      'image_proj.proj_in.weight',
      'ip_adapter.1.to_k_ip.weight',
      'ip_adapter.3.to_k_ip.weight',
    ]
    expect(await keysOf({ 'unet/diffusion_pytorch_model.bin': saved })).toEqual(keys)
    expect(await keysOf({ 'unet/pytorch_model.fp16.bin': saved })).toEqual(keys)
    expect(await keysOf({ 'unet/pytorch_model.bin': saved, [HALF]: ['half'] })).toEqual(['half'])
    const shards = { weight_map: { a: 'pytorch_model-00001-of-00002.bin', b: 'pytorch_model-00002-of-00002.bin' } }
    const other = (await readFile(join(TORCH_FILES, 'module.bin'))).toString('latin1')
    const sharded = {
      'unet/pytorch_model.bin.index.json': JSON.stringify(shards),
      'unet/pytorch_model-00001-of-00002.bin': saved,
      'unet/pytorch_model-00002-of-00002.bin': other,
    }
    expect(await keysOf(sharded)).toEqual([
      ...keys,
      '0.weight',
      '0.bias',
      '1.weight',
      '1.bias',
      '1.running_mean',
      '1.running_var',
      '1.num_batches_tracked',
    ])
  })

  test('of files that are not what they are called', async () => {
    const saved = (await readFile(join(TORCH_FILES, 'adapter.bin'))).toString('latin1')
    expect(await keysOf({ [PLAIN]: saved })).toHaveLength(4)
    expect(await keysOf({ 'unet/pytorch_model.bin': ['safe'] })).toEqual(['safe'])
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

  test('with old 1×1 convolutions as the linear layers that they are today', async () => {
    const path = join(await folderWith({}), 'vae.safetensors')
    await mkdir(dirname(path), { recursive: true })
    const shapes = { query: [2, 2, 1, 1], conv: [2, 2, 1, 1], other: [2, 2, 3, 3] }
    await writeSafetensors(
      path,
      Object.fromEntries(Object.entries(shapes).map(([key, shape]) => [key, float32(shape)])),
    )
    const { tensors } = await openWeightFile('vae', path, { query: 'to_q', other: 'wide' })
    expect([...tensors].map(([key, { shape }]) => [key, shape])).toEqual([
      ['to_q', [2, 2]],
      ['conv', [2, 2, 1, 1]],
      ['wide', [2, 2, 3, 3]],
    ])
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
      /dream.safetensors in it looks like a single-file checkpoint; name that file/,
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
    ['none', { 'unet/x': '' }, /\d has no weights for unet \(looked for diffusion_pytorch_model.safetensors/],
    [
      'a missing shard',
      { [`${PLAIN}.index.json`]: JSON.stringify({ weight_map: { a: 'gone-1.safetensors' } }) },
      /gone-1.safetensors is missing or a dangling link/,
    ],
    [
      'a shard elsewhere',
      { [`${PLAIN}.index.json`]: JSON.stringify({ weight_map: { a: '../vae/x.safetensors' } }) },
      /"..\/vae\/x.safetensors" is no weight file of this folder/,
    ],
  ])('weights: %s', async (_, files, message) => {
    expect(await problemOf(keysOf(files))).toMatch(message)
  })

  test('weights: no folder', async () => {
    const checkpoint = await openCheckpoint(await folderWith({ 'model_index.json': INDEX }))
    expect(await problemOf(checkpoint.component('unet').weights())).toMatch(/\d has no folder for unet; the download/)
  })

  test('an empty weight file', async () => {
    await expect(keysOf({ [PLAIN]: '' })).rejects.toThrow(WeightFileError)
  })
})
