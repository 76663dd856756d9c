/**
 * What a LoRA file says about one weight, with `T` for its tensors: keys of the file, or what was read of them.
 *
 * LoRA: Hu et al. 2021. LoHa, LoKr, full and norm changes, Tucker cores: LyCORIS (Yeh et al. 2023) and its code. DoRA: Liu et al. 2024,
 * as peft computes it.
 */
export interface WeightChange<T> {
  readonly form: ChangeForm<T>
  /** Factor on the form's product that the file demands: alpha/rank of this module. */
  readonly scale: number
  /** DoRA: the norms that the changed weight is brought to. */
  readonly magnitude?: Magnitude<T>
}

export type ChangeForm<T> =
  /** up · down, with a Tucker core up · mid · down. `down` is [rank, in], [rank, in, k, k]; with a core [rank, in(, 1, 1)]. */
  | { readonly kind: 'low-rank'; readonly down: T; readonly up: T; readonly mid?: T }
  /** The element-wise product of two low-rank matrices. */
  | { readonly kind: 'loha'; readonly first: FactorPair<T>; readonly second: FactorPair<T> }
  /** The Kronecker product of two matrices, each whole or of low rank. */
  | { readonly kind: 'lokr'; readonly first: KroneckerFactor<T>; readonly second: KroneckerFactor<T> }
  /** The change itself. */
  | { readonly kind: 'full'; readonly difference: T }

/** a · b, a [out, rank] and b [rank, in…]; with a core [rank, rank, k, k] a is [rank, out] and b [rank, in]. */
export interface FactorPair<T> {
  readonly a: T
  readonly b: T
  readonly core?: T
}

export type KroneckerFactor<T> = FactorPair<T> | { readonly whole: T }

export interface Magnitude<T> {
  readonly norms: T
  /** Whether the norms are of the output rows whatever the tensor's shape is; LyCORIS has norms of input columns too. */
  readonly isByRow: boolean
}

/** The same change with something else in each tensor's place: its shape, its values. */
export function mapTensors<T, U>(change: WeightChange<T>, map: (tensor: T) => U): WeightChange<U> {
  const { form, scale, magnitude } = change
  return {
    form: mapForm(form, map),
    scale,
    ...(magnitude && { magnitude: { ...magnitude, norms: map(magnitude.norms) } }),
  }
}

function mapForm<T, U>(form: ChangeForm<T>, map: (tensor: T) => U): ChangeForm<U> {
  const pair = ({ a, b, core }: FactorPair<T>): FactorPair<U> => ({
    a: map(a),
    b: map(b),
    ...(core !== undefined && { core: map(core) }),
  })
  const factor = (f: KroneckerFactor<T>): KroneckerFactor<U> => ('whole' in f ? { whole: map(f.whole) } : pair(f))
  switch (form.kind) {
    case 'low-rank': {
      const { kind, down, up, mid } = form
      return { kind, down: map(down), up: map(up), ...(mid !== undefined && { mid: map(mid) }) }
    }
    case 'loha':
      return { kind: form.kind, first: pair(form.first), second: pair(form.second) }
    case 'lokr':
      return { kind: form.kind, first: factor(form.first), second: factor(form.second) }
    case 'full':
      return { kind: form.kind, difference: map(form.difference) }
  }
}
