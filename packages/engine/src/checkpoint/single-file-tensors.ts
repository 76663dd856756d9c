/** The tensors of a single file by diffusers' keys, each where it lies: renamed, and cut or turned without being copied. */
import { rowMajorStrides, type TensorEntry, type WeightFile } from '../formats/stored-tensor.ts'
import { CheckpointError } from './checkpoint-error.ts'
import { asLinear, type KeyRenames, renameKey, type StoredTensor } from './component-weights.ts'
import { autoencoderNamesOf, controlNetNames, type LayoutNames, structureOfLdm, unetNames } from './ldm-keys.ts'
import { type OpenClipPart, openClipParts } from './open-clip-keys.ts'
import type { FilePart, PartName } from './single-file-parts.ts'

/** Left over from training and from other uses of the same classes. */
const LEFTOVERS: Readonly<Record<PartName, RegExp>> = {
  unet: /^$/,
  controlnet: /^$/,
  vae: /^(loss|model_ema)\./,
  clip: /^(logit_scale$|text_projection|vision_model\.|visual_projection)/,
  open_clip: /^logit_scale$/,
}

/**
 * The tensors of one model of the file, by today's diffusers key. Keys without a counterpart keep their names, so that a check against
 * the model's graph names them.
 * @param renames today's names of parts of older keys
 * @throws CheckpointError when two tensors get one key
 */
export function partTensors(
  file: WeightFile,
  name: PartName,
  part: FilePart,
  renames: KeyRenames = {},
): ReadonlyMap<string, StoredTensor> {
  const tensors = new Map<string, StoredTensor>()
  const translate = translation(name, part)
  for (const [inner, storedKey] of part.storedKeys) {
    const entry = file.tensors.get(storedKey)
    if (!entry || LEFTOVERS[name].test(inner)) continue
    for (const place of translate(inner)) {
      const key = renameKey(place.key, renames)
      const other = tensors.get(key)
      if (other) throw new CheckpointError(`${other.storedKey} and ${storedKey} are both ${key}; keep one of them`)
      const seen = cut(entry, place)
      const isLinear = key !== place.key || /\.mid_block\.attentions\.0\.to_/.test(key)
      tensors.set(key, { ...(isLinear ? asLinear(seen) : seen), file, storedKey })
    }
  }
  return tensors
}

type Translate = (inner: string) => readonly OpenClipPart[]

function translation(name: PartName, { layout, storedKeys }: FilePart): Translate {
  // Older files lack the outer name of a text encoder's keys.
  if (name === 'clip')
    return (inner) => [{ key: inner.replace(/^(embeddings|encoder|final_layer_norm)\./, 'text_model.$&') }]
  if (layout === 'diffusers') return (inner) => [{ key: inner }]
  if (name === 'open_clip') return openClipParts
  const names = ldmNames(name, [...storedKeys.keys()])
  return (inner) => [{ key: names.toDiffusers(inner) ?? inner }]
}

function ldmNames(name: PartName, keys: readonly string[]): LayoutNames {
  if (name === 'unet') return unetNames(structureOfLdm(keys))
  if (name === 'controlnet') return controlNetNames(structureOfLdm(keys))
  return autoencoderNamesOf(keys)
}

/** A range of a tensor's rows, or its transpose, in the same bytes. */
function cut(entry: TensorEntry, { rows, isTransposed }: OpenClipPart): TensorEntry {
  if (isTransposed) {
    const strides = entry.strides ?? rowMajorStrides(entry.shape)
    return { ...entry, shape: entry.shape.toReversed(), strides: strides.toReversed() }
  }
  if (!rows) return entry
  const [count = 0, ...rest] = entry.shape
  // A tensor whose rows lie apart, or do not divide, is no packed projection; the check against the graph names it.
  if (entry.strides !== undefined || count % rows.of !== 0) return entry
  const length = entry.length / rows.of
  return { ...entry, shape: [count / rows.of, ...rest], offset: entry.offset + rows.index * length, length }
}
