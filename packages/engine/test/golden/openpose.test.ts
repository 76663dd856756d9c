import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { readSafetensors, readTensor } from '../../src/formats/safetensors.ts'
import { openEngine } from '../../src/pipelines/engine.ts'
import { relativeError } from '../../src/tensor/relative-error.ts'
import { type FloatTensor, float32 } from '../../src/tensor/tensor.ts'
import { networkInput } from '../../src/vision/network-input.ts'
import { loadBodyNetwork, openOpenPose, openPoseInput } from '../../src/vision/openpose.ts'
import { OpenPoseMaps } from '../../src/vision/openpose-maps.ts'
import { openPosePeople } from '../../src/vision/openpose-people.ts'
import { DATA } from './model-case.ts'
import { paint, RandomNumbers } from './vision-drawings.ts'

type Pair = readonly [number, number]

interface PictureCase {
  readonly kind: 'rings' | 'steps'
  readonly width: number
  readonly height: number
  readonly seed: number
  readonly size: Pair
  readonly inner: Pair
  readonly input_size: Pair
  /** R, G, B of every ninth pixel of every ninth row. */
  readonly input: readonly number[]
}

interface PeopleCase {
  readonly seed: number
  readonly inner: Pair
  readonly size: Pair
  readonly poses: readonly (readonly (Pair | null)[])[]
}

/** Written by scripts/golden/openpose.py. */
const golden: { readonly pictures: readonly PictureCase[]; readonly cases: readonly PeopleCase[] } = JSON.parse(
  await readFile(join(DATA, 'vision/openpose.json'), 'utf8'),
)
const FILE = join(DATA, 'vision/openpose.pth')
const STEP = 9

const engine = openEngine({ threads: 1 })
afterAll(() => engine.dispose())

const sizeOf = ([width, height]: Pair) => ({ width, height })

test.each(golden.pictures)('the network is shown of $width×$height pixels what controlnet_aux shows it', (one) => {
  const { size, inner, input } = openPoseInput(paint(one))
  expect([size, inner]).toEqual([sizeOf(one.size), sizeOf(one.inner)])
  const [width, height] = one.input_size
  expect(input.shape).toEqual([1, 3, height, width])
  const differences: number[] = []
  let i = 0
  for (let y = 0; y < height; y += STEP) {
    for (let x = 0; x < width; x += STEP) {
      for (let c = 0; c < 3; c++, i++) {
        const actual = (input.data[((2 - c) * height + y) * width + x] as number) * 256 + 128
        differences.push(Math.abs(actual - (one.input[i] as number)))
      }
    }
  }
  expect(i).toBe(one.input.length)
  // Bytes: OpenCV's weights have 11 bits, and the picture is resampled twice.
  expect(Math.max(...differences)).toBeLessThanOrEqual(2)
  expect(differences.reduce((sum, value) => sum + value, 0) / i).toBeLessThan(0.2)
})

test('the network gives the maps that the torch module gives', async () => {
  const network = await loadBodyNetwork(engine, FILE)
  const picture = paint({ kind: 'rings', width: 72, height: 56, seed: 5 })
  const maps = await network(networkInput(picture, { mean: [128, 128, 128], std: [256, 256, 256], channels: 'bgr' }))
  const expected = await readSafetensors(join(DATA, 'vision/openpose.safetensors'))
  for (const name of ['fields', 'heat'] as const) {
    expect(relativeError(maps[name], await readTensor(expected, name))).toBeLessThan(2e-5)
  }
})

describe('people in maps', () => {
  test.each(golden.cases)(
    'maps $seed are people of parts as controlnet_aux assembles them',
    async ({ seed, inner, size, poses }) => {
      const grid = { width: Math.ceil(inner[0] / 8), height: Math.ceil(inner[1] / 8) }
      const { fields, heat } = paintMaps(seed, grid)
      const found = await openPosePeople(new OpenPoseMaps(grid, sizeOf(inner), sizeOf(size)), fields, heat)
      expect(found.map((joints) => joints.map((joint) => (joint ? [joint.x, joint.y] : null)))).toEqual(poses)
    },
  )
})

test('what is no body network is refused by name', async () => {
  await expect(openOpenPose(engine, join(DATA, 'conditioning/base.safetensors'))).rejects.toThrow(
    /base\.safetensors is not OpenPose's body network/,
  )
})

/** Pairs of joints and the channel of their field, as in the script. */
const LIMBS = [
  [1, 2, 12], [1, 5, 20], [2, 3, 14], [3, 4, 16], [5, 6, 22], [6, 7, 24], [1, 8, 0], [8, 9, 2], [9, 10, 4], [1, 11, 6], [11, 12, 8],
  [12, 13, 10], [1, 0, 28], [0, 14, 30], [14, 16, 34], [0, 15, 32], [15, 17, 36], [2, 16, 18], [5, 17, 26],
] as const // biome-ignore format: a table

/** The script's maps: up to four people beside each other, some parts of whom are missing, in noise. */
function paintMaps(seed: number, { width, height }: { readonly width: number; readonly height: number }) {
  const random = new RandomNumbers(seed * 7919)
  const plane = width * height
  const heat = new Float64Array(19 * plane)
  const fields = new Float64Array(38 * plane)
  const people = 1 + random.below(4)
  for (let person = 0; person < people; person++) {
    const left = (person * width) / people
    const top = random.next() * height * 0.3
    const side = Math.min((0.9 * width) / people, 0.7 * height)
    const joints = Array.from({ length: 18 }, () => {
      const joint = { x: left + random.next() * side, y: top + random.next() * side }
      return random.next() < 0.9 ? joint : undefined
    })
    for (let i = 0; i < plane; i++) {
      const [x, y] = [i % width, Math.floor(i / width)]
      for (const [part, joint] of joints.entries()) {
        if (!joint) continue
        const value = Math.exp(-((x - joint.x) ** 2 + (y - joint.y) ** 2) / 1.3)
        heat[part * plane + i] = Math.max(heat[part * plane + i] as number, value)
      }
      for (const [a, b, field] of LIMBS) {
        const [start, end] = [joints[a], joints[b]]
        if (!start || !end) continue
        const [dx, dy] = [end.x - start.x, end.y - start.y]
        const length = Math.sqrt(dx * dx + dy * dy)
        const along = ((x - start.x) * dx + (y - start.y) * dy) / length
        const across = Math.abs((x - start.x) * dy - (y - start.y) * dx) / length
        if (along < -1 || along > length + 1 || across > 1) continue
        fields[field * plane + i] = dx / length
        fields[(field + 1) * plane + i] = dy / length
      }
    }
  }
  const noisy = (maps: Float64Array): FloatTensor => {
    const data = Float32Array.from(maps, (value) => value + (random.next() - 0.5) * 0.1)
    return float32([1, maps.length / plane, height, width], data)
  }
  return { heat: noisy(heat), fields: noisy(fields) }
}
