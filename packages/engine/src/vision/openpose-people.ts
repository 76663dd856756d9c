import { setImmediate } from 'node:timers/promises'
import { defined } from '../tensor/defined.ts'
import { roundHalfEven } from '../tensor/round-half-even.ts'
import type { FloatTensor } from '../tensor/tensor.ts'
import type { KeyPoint } from './face.ts'
import type { OpenPoseMaps } from './openpose-maps.ts'
import type { BodyPose } from './pose.ts'

const PARTS = 18
const MIN_PEAK = 0.1
/** Places along a limb at which its field is read. */
const SAMPLES = 10
const MIN_ALONG = 0.05
/** More of the samples than this must point along the limb. */
const MIN_AGREEING = 0.8 * SAMPLES
const MIN_PARTS = 4
const MIN_MEAN_SCORE = 0.4

/** Pairs of joints, and the first of the two channels of the field between them. The last two are in no skeleton but join its parts. */
const LIMBS: readonly (readonly [from: number, to: number, field: number])[] = [
  [1, 2, 12],
  [1, 5, 20],
  [2, 3, 14],
  [3, 4, 16],
  [5, 6, 22],
  [6, 7, 24],
  [1, 8, 0],
  [8, 9, 2],
  [9, 10, 4],
  [1, 11, 6],
  [11, 12, 8],
  [12, 13, 10],
  [1, 0, 28],
  [0, 14, 30],
  [14, 16, 34],
  [0, 15, 32],
  [15, 17, 36],
  [2, 16, 18],
  [5, 17, 26],
]
const SKELETON_LIMBS = 17

interface Peak extends KeyPoint {
  readonly score: number
}

interface Connection {
  readonly from: Peak
  readonly to: Peak
  readonly score: number
}

interface Person {
  readonly parts: (Peak | undefined)[]
  count: number
  score: number
}

/**
 * The people in OpenPose's maps, as `open_pose/body.py` of controlnet_aux puts them together: peaks of the smoothed heat maps, limbs between
 * them along which the field points, and people from limbs that share a joint.
 * @param fields [1, 38, h, w]
 * @param heat [1, 19, h, w]
 * @returns joints in whole pixels of the maps' picture
 */
export async function openPosePeople(maps: OpenPoseMaps, fields: FloatTensor, heat: FloatTensor): Promise<BodyPose[]> {
  const peaks: Peak[][] = []
  for (const smooth of maps.smoothed(heat, PARTS)) {
    const part = peaks.length
    peaks.push(peaksOf(smooth, maps.size).map(({ x, y }) => ({ x, y, score: maps.valueAt(heat, part, x, y) })))
    // Each map takes some ten milliseconds, and others want this thread, too.
    await setImmediate()
  }
  const people: Person[] = []
  for (const [k, [from, to, field]] of LIMBS.entries()) {
    const connections = connect(maps, fields, field, peaks[from] ?? [], peaks[to] ?? [])
    for (const connection of connections) join(people, connection, from, to, k < SKELETON_LIMBS)
  }
  return people
    .filter(({ count, score }) => count >= MIN_PARTS && score / count >= MIN_MEAN_SCORE)
    .map(({ parts }) => parts.map((peak) => peak && { x: peak.x, y: peak.y }))
}

/** Pixels that no direct neighbour exceeds, row after row; beyond the picture is 0. */
function peaksOf(
  map: Float64Array,
  { width, height }: { readonly width: number; readonly height: number },
): readonly KeyPoint[] {
  const peaks: KeyPoint[] = []
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++, i++) {
      const value = defined(map[i])
      if (!(value > MIN_PEAK)) continue
      if (x > 0 && defined(map[i - 1]) > value) continue
      if (x < width - 1 && defined(map[i + 1]) > value) continue
      if (y > 0 && defined(map[i - width]) > value) continue
      if (y < height - 1 && defined(map[i + width]) > value) continue
      peaks.push({ x, y })
    }
  }
  return peaks
}

/** The limbs between two parts' peaks, the surest first, each peak in one of them. */
function connect(
  maps: OpenPoseMaps,
  fields: FloatTensor,
  field: number,
  starts: readonly Peak[],
  ends: readonly Peak[],
): Connection[] {
  const candidates = starts.flatMap((from) =>
    ends.flatMap((to): Connection[] => {
      const score = limbScore(maps, fields, field, from, to)
      return score === undefined ? [] : [{ from, to, score }]
    }),
  )
  candidates.sort((a, b) => b.score - a.score)
  const connections: Connection[] = []
  const taken = new Set<Peak>()
  for (const candidate of candidates) {
    if (taken.has(candidate.from) || taken.has(candidate.to)) continue
    connections.push(candidate)
    taken.add(candidate.from).add(candidate.to)
  }
  return connections
}

/** How much the field points along the way from one peak to another; less for what is longer than half of the picture's height. */
function limbScore(
  maps: OpenPoseMaps,
  fields: FloatTensor,
  field: number,
  from: KeyPoint,
  to: KeyPoint,
): number | undefined {
  const [dx, dy] = [to.x - from.x, to.y - from.y]
  const length = Math.max(0.001, Math.sqrt(dx * dx + dy * dy))
  let [sum, agreeing] = [0, 0]
  for (let i = 0; i < SAMPLES; i++) {
    const x = roundHalfEven(from.x + (dx / (SAMPLES - 1)) * i)
    const y = roundHalfEven(from.y + (dy / (SAMPLES - 1)) * i)
    const along =
      (maps.valueAt(fields, field, x, y) * dx) / length + (maps.valueAt(fields, field + 1, x, y) * dy) / length
    sum += along
    if (along > MIN_ALONG) agreeing++
  }
  const score = sum / SAMPLES + Math.min((0.5 * maps.size.height) / length - 1, 0)
  return agreeing > MIN_AGREEING && score > 0 ? score : undefined
}

/** Gives a limb to the person who has one of its joints, makes two who have one each the same person, or begins another. */
function join(people: Person[], { from, to, score }: Connection, a: number, b: number, mayBegin: boolean): void {
  const [one, two] = people.filter(({ parts }) => parts[a] === from || parts[b] === to)
  if (one && two && one.parts.every((part, i) => part === undefined || two.parts[i] === undefined)) {
    for (const [i, part] of two.parts.entries()) one.parts[i] ??= part
    one.count += two.count
    one.score += two.score + score
    people.splice(people.indexOf(two), 1)
  } else if (one && (two || one.parts[b] !== to)) {
    one.parts[b] = to
    one.count++
    one.score += to.score + score
  } else if (!one && mayBegin) {
    const parts = new Array<Peak | undefined>(PARTS).fill(undefined)
    parts[a] = from
    parts[b] = to
    people.push({ parts, count: 2, score: from.score + to.score + score })
  }
}
