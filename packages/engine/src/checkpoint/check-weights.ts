import type { Shape } from '../tensor/tensor.ts'
import { CheckpointError } from './checkpoint-error.ts'
import type { ComponentWeights } from './component-weights.ts'

/** What a graph says of the weights it needs. */
export interface WeightUser {
  readonly weights: ReadonlyMap<string, { readonly shape: Shape }>
}

export interface CheckOptions {
  /** Keys that belong to the component although none of these graphs uses them (a VAE's encoder beside a decoder's graph). */
  readonly expectedKeys?: Iterable<string>
  /** Keys that may be there and mean nothing, beyond the buffers every library saves. */
  readonly ignoredKeys?: RegExp
  /** Shapes that tensors will have once they are edited (`WeightEdits.shapes`): the graphs expect these. */
  readonly editedShapes?: ReadonlyMap<string, Shape>
}

/** Buffers that old versions of the libraries saved beside the weights. */
const BUFFERS = /(^|\.)(position_ids|num_batches_tracked)$/

const LISTED = 8

/**
 * Holds a component's tensors against all the graphs that are built from it: missing, extra and misshapen ones are one error that
 * names them and the likely cause.
 * @throws CheckpointError
 */
export function checkWeights(
  weights: ComponentWeights,
  graphs: readonly WeightUser[],
  options: CheckOptions = {},
): void {
  const expected = new Map(graphs.flatMap((graph) => [...graph.weights]))
  const known = new Set([...expected.keys(), ...(options.expectedKeys ?? [])])
  const missing = [...expected.keys()].filter((key) => !weights.tensors.has(key))
  const extra = [...weights.tensors.keys()].filter(
    (key) => !known.has(key) && !BUFFERS.test(key) && !options.ignoredKeys?.test(key),
  )
  const misshapen = [...expected].flatMap(([key, { shape }]) => {
    const found = options.editedShapes?.get(key) ?? weights.tensors.get(key)?.shape
    return found && String(shape) !== String(found) ? [{ key, shape, found }] : []
  })
  if (missing.length + extra.length + misshapen.length === 0) return
  const lines = [
    ...misshapen.map(
      ({ key, shape, found }) => `${key}: expected [${list(shape)}] from config.json, found [${list(found)}]`,
    ),
    ...missing.map((key) => `${key}: missing`),
    ...extra.map((key) => `${key}: in the file, but config.json describes no such layer`),
  ]
  const shown = sample(misshapen.length, missing.length, extra.length).flatMap(([start, end]) =>
    lines.slice(start, end),
  )
  const rest = lines.length - shown.length
  const cause = likelyCause({ missing, extra, misshapen, total: expected.size })
  throw new CheckpointError(
    `${weights.name} of ${weights.source} does not fit its config.json: ${shown.join('; ')}${rest > 0 ? `; and ${rest} more` : ''}. ${cause}`,
  )
}

function list(shape: Shape): string {
  return shape.join(', ')
}

/** Index ranges of a bounded list that shows some of each of three consecutive sections. */
function sample(...lengths: readonly number[]): [number, number][] {
  const share = Math.max(2, Math.floor(LISTED / lengths.filter((length) => length > 0).length))
  let start = 0
  return lengths.map((length) => {
    const range: [number, number] = [start, start + Math.min(length, share)]
    start += length
    return range
  })
}

interface Findings {
  readonly missing: readonly string[]
  readonly extra: readonly string[]
  readonly misshapen: readonly { readonly key: string; readonly shape: Shape; readonly found: Shape }[]
  readonly total: number
}

function likelyCause({ missing, extra, misshapen, total }: Findings): string {
  const has = (keys: readonly string[], pattern: RegExp) => keys.some((key) => pattern.test(key))
  const convIn = misshapen.find(({ key }) => key === 'conv_in.weight')
  if (convIn?.found[1] === 9) return 'This looks like an inpainting checkpoint'
  if (convIn?.found[1] === 8)
    return 'This looks like an image-editing (InstructPix2Pix) or image-conditioned checkpoint'
  if (has(extra, /^(model\.diffusion_model|first_stage_model|cond_stage_model|conditioner)\./)) {
    return 'This looks like a single-file checkpoint in the original (LDM) layout'
  }
  if (has(extra, /lora_(down|up|A|B|unet|te)/)) return 'This looks like a LoRA, not a whole model'
  if (has(extra, /^add_embedding\./)) return "This looks like an SDXL checkpoint with another model's config.json"
  if (has(missing, /^add_embedding\./)) return "The config.json is an SDXL model's, the weights are not"
  if (has([...extra, ...missing], /^time_embedding\.cond_proj/)) {
    return "The guidance embedding (time_cond_proj_dim) is in only one of config.json and the weights: one is an LCM's"
  }
  const context = misshapen.find(({ key }) => /attn2\.to_k\.weight$/.test(key))?.found[1]
  const family = { 768: 'SD1.x', 1024: 'SD2.x', 2048: 'SDXL' }[context ?? 0]
  if (family) return `The weights look like an ${family} checkpoint`
  if (extra.length === 0 && misshapen.length === 0) {
    return missing.length > total / 2
      ? 'These look like the weights of another component'
      : 'Some weights are not in the file: an incomplete save or download'
  }
  return 'config.json and the weight file do not belong together'
}
