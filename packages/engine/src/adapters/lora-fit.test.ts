import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { float32, type Shape } from '../tensor/tensor.ts'
import { lowRankFactors, weightDelta } from './lora-delta.ts'
import { branchRank, misfit } from './lora-fit.ts'
import { type ChangeForm, mapTensors, type WeightChange } from './lora-weight-change.ts'

const change = (form: ChangeForm<Shape>, norms?: Shape): WeightChange<Shape> => ({
  form,
  scale: 1,
  ...(norms && { magnitude: { norms, isByRow: false } }),
})

const lowRank = (down: Shape, up: Shape, mid?: Shape) =>
  change({ kind: 'low-rank', down, up, ...(mid !== undefined && { mid }) })

describe('what fits a weight', () => {
  test.each([
    [lowRank([2, 3], [4, 2]), [4, 3]],
    [lowRank([2, 3, 1, 1], [4, 2, 1, 1]), [4, 3]],
    [lowRank([2, 3], [4, 2]), [4, 3, 1, 1]],
    [lowRank([2, 3, 3, 3], [4, 2, 1, 1]), [4, 3, 3, 3]],
    [lowRank([2, 3, 1, 1], [4, 2, 1, 1], [2, 2, 3, 3]), [4, 3, 3, 3]],
    [change({ kind: 'full', difference: [4, 3] }), [4, 3, 1, 1]],
    [change({ kind: 'full', difference: [4, 3] }, [4, 1]), [4, 3]],
    [change({ kind: 'full', difference: [4, 3] }, [1, 3]), [4, 3]],
  ])('%j fits [%s]', (fitting, weight) => {
    expect(misfit(fitting, weight)).toBeUndefined()
  })

  test.each([
    [lowRank([2, 4], [4, 2]), [4, 3], 'factors [4,2] and [2,4] do not fit the weight [4,3]'],
    [lowRank([2, 3], [4, 3]), [4, 3], 'factors [4,3] and [2,3] do not fit the weight [4,3]'],
    [lowRank([2, 9, 1, 1], [4, 2]), [4, 1, 3, 3], 'factors [4,2] and [2,9,1,1] do not fit the weight [4,1,3,3]'],
    [lowRank([0, 3], [4, 0]), [4, 3], 'a rank of 0 is not between 1 and 4096'],
    [lowRank([9000, 3], [4, 9000]), [4, 3], 'a rank of 9000 is not between 1 and 4096'],
    [lowRank([3], [4]), [4, 3], 'factors [4] and [3] do not fit the weight [4,3]'],
    [lowRank([], [4, 2]), [4, 3], 'factors [4,2] and [] do not fit the weight [4,3]'],
    [lowRank([2, 3], [4, 2], [2, 2]), [4], 'factors [4,2], [2,2] and [2,3] do not fit the weight [4]'],
    [lowRank([2, 3], [4, 2]), [4], 'factors [4,2] and [2,3] do not fit the weight [4]'],
    [lowRank([2, 3], [4, 2], [2, 2, 3, 3]), [4, 3], 'factors [4,2], [2,2,3,3] and [2,3] do not fit the weight [4,3]'],
    [change({ kind: 'full', difference: [3, 4] }), [4, 3], 'a difference [3,4] does not fit the weight [4,3]'],
    [change({ kind: 'full', difference: [4, 3] }, [3, 1]), [4, 3], 'norms [3,1] do not fit the weight [4,3]'],
  ])('%j does not fit [%s]', (misfitting, weight, reason) => {
    expect(misfit(misfitting, weight)).toBe(reason)
  })
})

test('small LoHa runs beside a weight; large ones, cores and norms are merged', () => {
  const loha = (rank: number, core?: Shape) => {
    const pair = { a: [4, rank], b: [rank, 3], ...(core && { core }) }
    return change({ kind: 'loha', first: pair, second: pair })
  }
  expect([loha(8), loha(11), loha(12), loha(2, [2, 2, 3, 3])].map(branchRank)).toEqual([64, 121, undefined, undefined])
  expect(branchRank({ ...loha(2), magnitude: { norms: [4, 1], isByRow: true } })).toBeUndefined()
})

/** Few sizes, so that shapes often go together. */
const size = fc.constantFrom(1, 1, 1, 2, 2, 0)
const shape = fc.oneof(
  { weight: 8, arbitrary: fc.array(size, { minLength: 2, maxLength: 2 }) },
  fc.array(size, { maxLength: 4 }),
)
const weightShape = fc.array(fc.constantFrom(1, 2), { minLength: 2, maxLength: 4 })
const pair = fc.record({ a: shape, b: shape, core: shape }, { requiredKeys: ['a', 'b'] })
const factor = fc.oneof(pair, fc.record({ whole: shape }))
const form: fc.Arbitrary<ChangeForm<Shape>> = fc.oneof(
  fc.record(
    { kind: fc.constant('low-rank' as const), down: shape, up: shape, mid: shape },
    { requiredKeys: ['kind', 'down', 'up'] },
  ),
  fc.record({ kind: fc.constant('loha' as const), first: pair, second: pair }),
  pair.map((both) => ({ kind: 'loha' as const, first: both, second: both })),
  fc.record({ kind: fc.constant('lokr' as const), first: factor, second: factor }),
  fc.record({ kind: fc.constant('full' as const), difference: shape }),
)
const magnitude = fc.record({ norms: shape, isByRow: fc.boolean() })

test('whatever fits gives a change of the weight’s shape', async () => {
  const fitting = { 'low-rank': 0, loha: 0, lokr: 0, full: 0 }
  await fc.assert(
    fc.asyncProperty(form, fc.option(magnitude, { nil: undefined }), weightShape, async (shapes, norms, weight) => {
      const given: WeightChange<Shape> = { form: shapes, scale: 1, ...(norms && { magnitude: norms }) }
      if (misfit(given, weight) !== undefined) return
      fitting[shapes.kind]++
      const tensors = mapTensors(given, (own) => float32(own))
      const delta = await weightDelta(tensors, float32(weight))
      expect(delta.shape).toEqual(weight)
      const rank = branchRank(given)
      if (rank === undefined) return
      const { up, down } = lowRankFactors(tensors, weight)
      expect([up.shape.slice(0, 2), down.shape]).toEqual([
        [weight[0], rank],
        [rank, ...weight.slice(1)],
      ])
    }),
    { seed: 1, numRuns: 20_000 },
  )
  // Each kind is tried at all.
  expect(Math.min(...Object.values(fitting))).toBeGreaterThan(10)
})
