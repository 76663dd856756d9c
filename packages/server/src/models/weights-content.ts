import { open, stat } from 'node:fs/promises'
import { basename } from 'node:path'
import { readWeightFile } from '@darkroom/engine/weight-file'
import type { WeightsKind } from './weights-kind.ts'

export type WeightsFormat = 'safetensors' | 'pytorch' | 'onnx' | 'zip'
export type ModelFamily = 'sd15' | 'sd2' | 'sdxl'

/** What a file of weights is, by what is in it. */
export interface WeightsContent {
  readonly format: WeightsFormat
  /** Absent where nothing tells. */
  readonly kind?: WeightsKind
  readonly family?: ModelFamily
}

/** What is in a file that holds no weights, as a phrase: `a web page`. */
export interface ForeignContent {
  readonly foreign: string
}

interface Remembered {
  readonly size: number
  readonly changed: number
  readonly content: Promise<WeightsContent | ForeignContent>
}

const REMEMBERED = 1000

/** Tells what files are by their contents, whatever they are called. Remembers what it has read until the file changes. */
export class WeightsInspector {
  readonly #known = new Map<string, Remembered>()

  /** @throws the system's error when there is no such file */
  async inspect(path: string): Promise<WeightsContent | ForeignContent> {
    const { size, mtimeMs: changed } = await stat(path)
    const known = this.#known.get(path)
    if (known !== undefined && known.size === size && known.changed === changed) return known.content
    const content = inspectWeights(path)
    content.catch(() => this.#known.delete(path))
    const oldest = this.#known.keys().next()
    if (this.#known.size >= REMEMBERED && !oldest.done) this.#known.delete(oldest.value)
    this.#known.set(path, { size, changed, content })
    return content
  }
}

/** Reads a file's start, and the names and shapes of tensors where it has any; never the data, and nothing is executed. */
export async function inspectWeights(path: string): Promise<WeightsContent | ForeignContent> {
  const start = await firstBytes(path, 64)
  const text = start.toString('latin1')
  if (start.length === 0) return { foreign: 'an empty file' }
  if (text.startsWith('version https://git-lfs')) return { foreign: 'a Git LFS pointer' }
  if (/^\s*<(!doctype|html|\?xml|head)/i.test(text)) return { foreign: 'a web page' }
  const isSafetensors = start.length > 8 && text[8] === '{'
  const isPickle = start[0] === 0x80 && (start[1] ?? 0) >= 2 && (start[1] ?? 0) <= 5
  const isZip = text.startsWith('PK\x03\x04')
  // ONNX: field 1 (ir_version) is a small number, and field 2 or 7 follows.
  const isOnnx = start[0] === 0x08 && (start[1] ?? 0) < 32 && [0x12, 0x3a].includes(start[2] ?? 0)
  if (isOnnx && !isSafetensors) return { format: 'onnx' }
  if (!isSafetensors && isZip && !isTorchArchive(await firstBytes(path, 512))) return { format: 'zip' }
  if (!isSafetensors && !isZip && !isPickle) {
    return { foreign: /^\s*[{[]/.test(text) ? 'a JSON text' : 'a file of another kind' }
  }
  try {
    const { tensors } = await readWeightFile(path)
    const shapes = new Map([...tensors].map(([key, { shape }]) => [key, shape]))
    return { format: isSafetensors ? 'safetensors' : 'pytorch', ...kindOf(shapes) }
  } catch (error) {
    if (!(error instanceof Error) || error.name !== 'WeightFileError') throw error
    const problem = error.message.replace(`${basename(path)}: `, '')
    return { foreign: `a file that cannot be read (${problem})` }
  }
}

/** `torch.save` puts `<name>/data.pkl` first. */
function isTorchArchive(start: Buffer): boolean {
  const length = start.length < 30 ? 0 : start.readUInt16LE(26)
  return /(^|\/)(data\.pkl|version|byteorder|\.format_version)$/.test(start.toString('latin1', 30, 30 + length))
}

async function firstBytes(path: string, length: number): Promise<Buffer> {
  const handle = await open(path, 'r')
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(length), 0, length, 0)
    return buffer.subarray(0, bytesRead)
  } finally {
    await handle.close()
  }
}

type Shapes = ReadonlyMap<string, readonly number[]>

/** Keys that only one kind of file has, tried in this order: a checkpoint holds a UNet, a ControlNet most of one. */
const KINDS: readonly (readonly [WeightsKind, RegExp])[] = [
  [
    'lora',
    /(^(lora_(unet|te\d?)|lycoris)_|\.lora(_linear_layer)?[._](A|B|up|down)\b|\.lora_(A|B|up|down|mid)\.|_lora\.(up|down)\.|\.hada_w[12]|\.lokr_w|\.oft_)/,
  ],
  ['controlnet', /^(control_model\.|controlnet_|controlnet_cond_embedding\.|input_hint_block\.)/],
  ['base', /^(cond_stage_model\.|conditioner\.embedders\.)/],
  ['ip-adapter', /^(ip_adapter\.\d+\.|image_proj\.)/],
  ['safety-checker', /^(concept_embeds|special_care_embeds|vit\.)/],
  ['unet', /^(model\.diffusion_model\.|down_blocks\.\d+\.resnets\.|input_blocks\.)/],
  ['vae', /^(first_stage_model\.|(vae\.)?decoder\.(up_blocks|up|mid|conv_in)\b)/],
  ['image-encoder', /^(vision_model\.|visual\.)/],
  ['embedding', /^(emb_params|string_to_param|clip_[gl]$)/],
]

function kindOf(shapes: Shapes): { kind?: WeightsKind; family?: ModelFamily } {
  const keys = [...shapes.keys()]
  const kind = KINDS.find(([, pattern]) => keys.some((key) => pattern.test(key)))?.[0] ?? embeddingByShape(shapes)
  const family = familyOf(shapes, kind)
  return { ...(kind !== undefined && { kind: icLight(kind, shapes) }), ...(family !== undefined && { family }) }
}

/** diffusers saves an embedding as one tensor under the word it stands for. */
function embeddingByShape(shapes: Shapes): WeightsKind | undefined {
  const [only] = [...shapes.values()]
  const isVectors =
    shapes.size === 1 && only !== undefined && only.length <= 2 && [768, 1024, 1280].includes(only.at(-1) ?? 0)
  return isVectors ? 'embedding' : undefined
}

/** IC-Light is a UNet that takes one or two pictures beside the latents: 8 or 12 channels (9 is inpainting). */
function icLight(kind: WeightsKind, shapes: Shapes): WeightsKind {
  const channels = (shapes.get('conv_in.weight') ?? [])[1]
  return kind === 'unet' && (channels === 8 || channels === 12) ? 'ic-light' : kind
}

/** Width of the text that a UNet attends to, and what else only one family has. */
const WIDTHS: Readonly<Record<number, ModelFamily>> = { 768: 'sd15', 1024: 'sd2', 2048: 'sdxl' }
const READS_TEXT = /attn2[._](processor\.)?to_k(_lora)?([._]lora)?([._](A|down))?(\.\w+)?\.weight$|\.to_k_ip\.weight$/

function familyOf(shapes: Shapes, kind: WeightsKind | undefined): ModelFamily | undefined {
  for (const [key, shape] of shapes) {
    if (/^(conditioner\.embedders\.1\.|lora_te2_|text_encoder_2\.|clip_g$|add_embedding\.)/.test(key)) return 'sdxl'
    const width = READS_TEXT.test(key) ? shape[1] : undefined
    const family = width === undefined ? undefined : WIDTHS[width]
    if (family !== undefined) return family
  }
  if (kind !== 'embedding') return undefined
  const embedding = shapes.get('emb_params') ?? (shapes.size === 1 ? [...shapes.values()][0] : undefined)
  return WIDTHS[embedding?.at(-1) ?? 0]
}
