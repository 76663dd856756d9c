import { mkdir, mkdtemp, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { writeSafetensors } from '../formats/safetensors.ts'
import { float32ToFloat16 } from '../tensor/float16.ts'
import { float32, tensor } from '../tensor/tensor.ts'
import { CheckpointError } from './checkpoint-error.ts'
import { type ComponentWeights, openWeightFile } from './component-weights.ts'
import { WeightCache, type WeightEdits, type WeightLocation } from './prepared-weights.ts'

let root: string
let folder: string
let source: string
let weights: ComponentWeights

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'prepared-'))
  folder = join(root, 'cache')
  source = join(root, 'model.safetensors')
  await writeSafetensors(source, {
    half: tensor('float16', [3], float32ToFloat16(Float32Array.of(1, -2, 0.5))),
    misaligned: float32([1], Float32Array.of(7)),
    ids: tensor('uint8', [2], Uint8Array.of(1, 2)),
  })
  await writeSafetensors(join(root, 'whole'), { whole: float32([2], Float32Array.of(3, 4)) })
  weights = await openWeightFile('unet', source)
})
afterEach(() => rm(root, { recursive: true, force: true }))

async function floatsAt({ path, offset, length }: WeightLocation): Promise<number[]> {
  const bytes = await readFile(path)
  return [...new Float32Array(new Uint8Array(bytes.subarray(offset, offset + length)).buffer)]
}

function doubled(identity: string): WeightEdits & { calls: number; releases: number } {
  return {
    identity,
    keys: new Set(['half']),
    calls: 0,
    releases: 0,
    apply(_, weight) {
      this.calls++
      return float32(
        weight.shape,
        weight.data.map((value) => 2 * value),
      )
    },
    async release() {
      this.releases++
    },
  }
}

test('float32 stays where it is; half precision and misaligned tensors are converted', async () => {
  const cache = new WeightCache({ folder })
  const prepared = await cache.prepare(weights)
  expect(await floatsAt(prepared.locate('half'))).toEqual([1, -2, 0.5])
  expect(prepared.locate('misaligned').path).toContain(folder)
  expect(await floatsAt(prepared.locate('misaligned'))).toEqual([7])
  expect(() => prepared.locate('ids')).toThrow(/ids is U8/)
  expect(() => prepared.locate('none')).toThrow(/^unet of .*model\.safetensors has no tensor none/)

  const whole = await cache.prepare(await openWeightFile('whole', join(root, 'whole')))
  expect(whole.locate('whole').path).toContain('whole')
  expect(await floatsAt(whole.locate('whole'))).toEqual([3, 4])
  expect(await readdir(folder)).toHaveLength(1)
})

test('all floats are in one file where that is asked for', async () => {
  const cache = new WeightCache({ folder })
  const whole = await openWeightFile('whole', join(root, 'whole'))
  const prepared = await cache.prepare(whole, { isWhole: true })
  expect(prepared.locate('whole').path).toContain(folder)
  expect(await floatsAt(prepared.locate('whole'))).toEqual([3, 4])
  expect(prepared.identity).not.toBe((await cache.prepare(whole)).identity)
})

test('a second preparation, of this process or another, reads what the first wrote', async () => {
  const first = await new WeightCache({ folder }).prepare(weights)
  const { path } = first.locate('half')
  const before = await stat(path)
  const second = await new WeightCache({ folder }).prepare(weights)
  expect(second.locate('half')).toEqual(first.locate('half'))
  expect((await stat(path)).ino).toBe(before.ino)
})

test('foresees what will be read where nothing is prepared yet, without writing, and what was prepared once it is', async () => {
  const cache = new WeightCache({ folder })
  const foreseen = await cache.foresee(weights)
  expect(new Set(foreseen.places().map(({ path }) => basename(path)))).toEqual(new Set(['model.safetensors']))
  expect(await readdir(folder)).toEqual([])
  const prepared = await cache.prepare(weights)
  expect(foreseen.identity).not.toBe(prepared.identity)
  const again = await cache.foresee(weights)
  expect([again.identity, again.places()]).toEqual([prepared.identity, prepared.places()])
})

test('preparations at the same time write once', async () => {
  const cache = new WeightCache({ folder })
  const edits = doubled('x2')
  const [a, b] = await Promise.all([cache.prepare(weights, { edits }), cache.prepare(weights, { edits })])
  expect(a.identity).toBe(b.identity)
  expect({ calls: edits.calls, releases: edits.releases }).toEqual({ calls: 1, releases: 1 })
})

test('edits change the values and the identity', async () => {
  const cache = new WeightCache({ folder })
  const edited = await cache.prepare(weights, { edits: doubled('x2') })
  expect(await floatsAt(edited.locate('half'))).toEqual([2, -4, 1])
  const plain = await cache.prepare(weights)
  expect(await floatsAt(plain.locate('half'))).toEqual([1, -2, 0.5])
  expect(
    new Set([edited.identity, plain.identity, (await cache.prepare(weights, { edits: doubled('y') })).identity]).size,
  ).toBe(3)
  const unknown = { ...doubled('z'), keys: new Set(['nothing']) }
  await expect(cache.prepare(weights, { edits: unknown })).rejects.toThrow('unet has no tensor nothing to edit')
})

test('an edit may give a tensor another shape', async () => {
  const path = join(root, 'convolution.safetensors')
  await writeSafetensors(path, { w: float32([2, 1, 1, 1], Float32Array.of(1, 2)), other: float32([1]) })
  const convolution = await openWeightFile('unet', path)
  const widened: WeightEdits = {
    identity: 'widened',
    keys: new Set(['w']),
    shapes: new Map([['w', [2, 3, 1, 1]]]),
    apply: (_, { data }) => float32([2, 3, 1, 1], Float32Array.of(data[0] ?? 0, 0, 0, data[1] ?? 0, 0, 0)),
  }
  const prepared = await new WeightCache({ folder }).prepare(convolution, { edits: widened })
  expect(await floatsAt(prepared.locate('w'))).toEqual([1, 0, 0, 2, 0, 0])
  const blocked = await new WeightCache({ folder }).prepare(convolution, { edits: widened, convolutionBlock: 2 })
  const place = blocked.locateBlocked('w')
  expect(place && (await floatsAt(place))).toBeUndefined()
  const wide = new WeightCache({ folder }).prepare(convolution, {
    edits: { ...widened, shapes: new Map([['w', [2, 2, 1, 1]]]) },
  })
  await expect(wide).rejects.toThrow('the edit of w made [2,3,1,1] of [2,1,1,1], instead of [2,2,1,1]')
  const undeclared = new WeightCache({ folder }).prepare(convolution, {
    edits: { ...widened, shapes: new Map([['other', [2]]]) },
  })
  await expect(undeclared).rejects.toThrow('the new shape of other is of no edit')
})

test('the blocked form is that of the edited shape', async () => {
  const path = join(root, 'narrow.safetensors')
  await writeSafetensors(path, { w: float32([2, 3, 1, 1], Float32Array.of(1, 2, 3, 4, 5, 6)) })
  const edits: WeightEdits = {
    identity: 'narrowed',
    keys: new Set(['w']),
    shapes: new Map([['w', [2, 2, 1, 1]]]),
    apply: () => float32([2, 2, 1, 1], Float32Array.of(1, 2, 3, 4)),
  }
  const stored = await openWeightFile('unet', path)
  const plain = await new WeightCache({ folder }).prepare(stored, { convolutionBlock: 2 })
  expect(plain.locateBlocked('w')).toBeUndefined()
  const prepared = await new WeightCache({ folder }).prepare(stored, { edits, convolutionBlock: 2 })
  const place = prepared.locateBlocked('w')
  expect(place && (await floatsAt(place))).toEqual([1, 3, 2, 4])
  expect(() => prepared.locate('w')).toThrow('stored for convolutions only')
})

test('a damaged prepared file is made again', async () => {
  const first = await new WeightCache({ folder }).prepare(weights)
  await writeFile(first.locate('half').path, 'cut off')
  const second = await new WeightCache({ folder }).prepare(weights)
  expect(await floatsAt(second.locate('half'))).toEqual([1, -2, 0.5])
})

test('the least recently used files go when there are too many bytes, except those in use', async () => {
  const cache = new WeightCache({ folder, maxBytes: 1 })
  const held = await cache.prepare(weights)
  const unused = await new WeightCache({ folder }).prepare(weights, { edits: doubled('another process') })
  const recent = await new WeightCache({ folder }).prepare(weights, { edits: doubled('recent') })
  const longAgo = new Date(Date.now() - 3600_000)
  for (const { locate } of [held, unused]) await utimes(locate('half').path, longAgo, longAgo)
  const newest = await cache.prepare(weights, { edits: doubled('newest') })
  const kept = [held, recent, newest].map(({ locate }) => basename(locate('half').path))
  expect((await readdir(folder)).toSorted()).toEqual(kept.toSorted())
})

test('nothing is left behind when preparing fails or is aborted', async () => {
  const cache = new WeightCache({ folder })
  const failing: WeightEdits = {
    identity: 'f',
    keys: new Set(['half']),
    apply: () => Promise.reject(new Error('no such file')),
  }
  await expect(cache.prepare(weights, { edits: failing })).rejects.toThrow('no such file')
  const aborted = AbortSignal.abort(new Error('cancelled'))
  await expect(cache.prepare(weights, { signal: aborted })).rejects.toThrow('cancelled')
  expect(await readdir(folder)).toEqual([])
})

test('a cache folder that cannot be made is a clear error', async () => {
  await writeFile(join(root, 'file'), '')
  const cache = new WeightCache({ folder: join(root, 'file', 'below') })
  const error: unknown = await cache.prepare(weights).catch((reason: unknown) => reason)
  expect(error).toBeInstanceOf(CheckpointError)
  expect(error).toMatchObject({
    message: 'the folder for prepared weights cannot be made',
    path: join(root, 'file', 'below'),
  })
})

test('the private folder goes with the cache', async () => {
  const cache = new WeightCache()
  const { path } = (await cache.prepare(weights)).locate('half')
  await stat(path)
  await cache.dispose()
  await expect(stat(path)).rejects.toThrow('ENOENT')
})

test('a folder that could not be made is tried again', async () => {
  await mkdir(folder, { recursive: true })
  const blocker = join(folder, 'blocker')
  await writeFile(blocker, 'a file where a folder should be')
  const cache = new WeightCache({ folder: join(blocker, 'prepared') })
  await expect(cache.prepare(weights)).rejects.toThrow('the folder for prepared weights cannot be made')
  await rm(blocker)
  expect(await floatsAt((await cache.prepare(weights)).locate('half'))).toEqual([1, -2, 0.5])
})
