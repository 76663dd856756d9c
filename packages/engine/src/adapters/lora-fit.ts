import { defined } from '../tensor/defined.ts'
import { elementCount, type Shape } from '../tensor/tensor.ts'
import { normsByRow } from './lora-delta.ts'
import type { FactorPair, KroneckerFactor, WeightChange } from './lora-weight-change.ts'

/** Nothing that was trained has more; a larger one would only make the products long. */
const MAX_RANK = 4096

/** Beyond this, merging a change into the weight is cheaper than running it beside. */
const MAX_BRANCH_RANK = 128

/**
 * Rank of the factors with which a change can run beside its weight (`lowRankFactors`); undefined where it has to be merged. The product of
 * two matrices of ranks p and q, element by element, is of rank pq: LoHa's usual 4 and 8 are cheap.
 * @param change with the shapes of its tensors, which fit
 */
export function branchRank({ form, magnitude }: WeightChange<Shape>): number | undefined {
  if (magnitude) return undefined
  if (form.kind === 'low-rank') return form.mid ? form.mid[0] : form.down[0]
  if (form.kind !== 'loha' || form.first.core || form.second.core) return undefined
  const rank = defined(form.first.b[0]) * defined(form.second.b[0])
  return rank <= MAX_BRANCH_RANK ? rank : undefined
}

/** Sizes of a matrix; a convolution's kernel counts as columns. */
interface MatrixSize {
  readonly rows: number
  readonly columns: number
}

/**
 * Why a change does not fit a weight; undefined when it does. Linear layers and 1×1 convolutions stand for one another: their elements
 * lie in the same order.
 * @param change with the shapes of its tensors
 */
export function misfit(change: WeightChange<Shape>, weight: Shape): string | undefined {
  const { magnitude } = change
  const problem = formMisfit(change, weight)
  if (problem !== undefined || !magnitude) return problem
  const count = elementCount(magnitude.norms)
  const isByColumn = !magnitude.isByRow && magnitude.norms[0] === 1 && count === weight[1]
  if (count === weight[0] ? magnitude.isByRow || normsByRow(magnitude.norms, weight) || isByColumn : isByColumn) {
    return undefined
  }
  return `norms [${magnitude.norms}] do not fit the weight [${weight}]`
}

function formMisfit({ form }: WeightChange<Shape>, weight: Shape): string | undefined {
  const wanted = { rows: weight[0] ?? 1, columns: elementCount(weight.slice(1)) }
  switch (form.kind) {
    case 'full':
      return String(squeezed(form.difference)) === String(squeezed(weight))
        ? undefined
        : `a difference [${form.difference}] does not fit the weight [${weight}]`
    case 'low-rank': {
      const { down, up, mid } = form
      const shapes = `factors [${up}]${mid ? `, [${mid}]` : ''} and [${down}]`
      if (mid ? !tuckerFits(down, up, mid, weight) : !plainFits(down, up, weight)) {
        return `${shapes} do not fit the weight [${weight}]`
      }
      return rankProblem(defined(down[0]))
    }
    case 'loha': {
      const sizes = [pairSize(form.first), pairSize(form.second)]
      const fits = sizes.every((size) => size?.rows === wanted.rows && size.columns === wanted.columns)
      return fits ? rankProblem(defined(form.first.b[0])) : `LoHa factors do not fit the weight [${weight}]`
    }
    case 'lokr': {
      const [first, second] = [kroneckerSize(form.first), kroneckerSize(form.second)]
      const fits =
        first && second && first.rows * second.rows === wanted.rows && first.columns * second.columns === wanted.columns
      return fits ? undefined : `LoKr factors do not fit the weight [${weight}]`
    }
  }
}

function rankProblem(rank: number): string | undefined {
  return rank >= 1 && rank <= MAX_RANK ? undefined : `a rank of ${rank} is not between 1 and ${MAX_RANK}`
}

function plainFits(down: Shape, up: Shape, weight: Shape): boolean {
  const [rank = 0] = down
  return (
    down.length >= 2 &&
    up.length >= 2 &&
    up[0] === weight[0] &&
    up[1] === rank &&
    elementCount(up) === (weight[0] ?? 1) * rank &&
    elementCount(down) === rank * elementCount(weight.slice(1)) &&
    (down.length === 2 || weight.length === 2 || String(down.slice(1)) === String(weight.slice(1)))
  )
}

function tuckerFits(down: Shape, up: Shape, mid: Shape, weight: Shape): boolean {
  const [outer = 0, inner = 0, ...kernel] = mid
  return (
    mid.length >= 2 &&
    up.length >= 2 &&
    down.length >= 2 &&
    down[0] === inner &&
    up[0] === weight[0] &&
    outer >= 1 &&
    outer <= MAX_RANK &&
    elementCount(up) === (weight[0] ?? 1) * outer &&
    elementCount(down) === inner * (weight[1] ?? 1) &&
    String(squeezed(kernel)) === String(squeezed(weight.slice(2)))
  )
}

/** undefined for factors that do not go together. */
function pairSize({ a, b, core }: FactorPair<Shape>): MatrixSize | undefined {
  if (a.length < 2 || b.length < 2 || elementCount(a) === 0 || elementCount(b) === 0) return undefined
  if (!core) {
    const [rows = 0, inner = 0] = a
    const isPlain = elementCount(a) === rows * inner && b[0] === inner
    return isPlain && inner <= MAX_RANK ? { rows, columns: elementCount(b) / inner } : undefined
  }
  const [outer = 0, inner = 0, ...kernel] = core
  if (core.length < 2 || a[0] !== outer || b[0] !== inner || Math.max(outer, inner) > MAX_RANK) return undefined
  return { rows: elementCount(a) / outer, columns: (elementCount(b) / inner) * elementCount(kernel) }
}

function kroneckerSize(factor: KroneckerFactor<Shape>): MatrixSize | undefined {
  if (!('whole' in factor)) return pairSize(factor)
  const [rows = 0, ...rest] = factor.whole
  return factor.whole.length >= 2 && rows > 0 ? { rows, columns: elementCount(rest) } : undefined
}

function squeezed(shape: Shape): Shape {
  return shape.filter((size) => size !== 1)
}
