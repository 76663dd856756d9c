/**
 * Names of the original (CompVis LDM, Stability SGM) layout and of diffusers for the same modules. The original counts the modules of
 * a UNet through, so that how many there are before a module decides its number (generative-models
 * sgm/modules/diffusionmodules/openaimodel.py; diffusers loaders/single_file_utils.py).
 */

/** What of a UNet's or ControlNet's blocks decides the original's numbers. A `UNetConfig` is one. */
export interface UNetStructure {
  readonly downBlocks: readonly BlockStructure[]
  /** Empty for a ControlNet. */
  readonly upBlocks: readonly BlockStructure[]
}

interface BlockStructure {
  readonly resnets: number
  /** null: no transformer follows its resnets. */
  readonly crossAttention: object | null
}

/** Translates module paths and tensor keys (module path and `.weight`) in both directions, without the layout's prefix. */
export interface LayoutNames {
  /** `down_blocks.0.attentions.1.proj_in` → `input_blocks.2.1.proj_in`; undefined for what is no module of that model. */
  toLdm(diffusersName: string): string | undefined
  /** `input_blocks.2.1.proj_in.weight` → `down_blocks.0.attentions.1.proj_in.weight` */
  toDiffusers(ldmName: string): string | undefined
}

type Pair = readonly [diffusers: string, ldm: string]

const EMBEDDINGS: readonly Pair[] = [
  ['conv_in', 'input_blocks.0.0'],
  ['time_embedding.linear_1', 'time_embed.0'],
  ['time_embedding.linear_2', 'time_embed.2'],
  ['add_embedding.linear_1', 'label_emb.0.0'],
  ['add_embedding.linear_2', 'label_emb.0.2'],
]

const RESNET: readonly Pair[] = [
  ['norm1', 'in_layers.0'],
  ['conv1', 'in_layers.2'],
  ['time_emb_proj', 'emb_layers.1'],
  ['norm2', 'out_layers.0'],
  ['conv2', 'out_layers.3'],
  ['conv_shortcut', 'skip_connection'],
]

/** The names of a UNet2DConditionModel (SD1.x, SD2.x, SDXL). */
export function unetNames(structure: UNetStructure): LayoutNames {
  return layoutNames([
    ...EMBEDDINGS,
    ...downPairs(structure.downBlocks),
    ...middlePairs(),
    ...upPairs(structure.upBlocks),
    ['conv_norm_out', 'out.0'],
    ['conv_out', 'out.2'],
  ])
}

/** Convolutions between the first and the last of a ControlNet's `controlnet_cond_embedding`: four sizes, two each but the last. */
const HINT_BLOCKS = 6

/** The names of a ControlNetModel. */
export function controlNetNames({ downBlocks }: Pick<UNetStructure, 'downBlocks'>): LayoutNames {
  const hint = 'controlnet_cond_embedding'
  const outputs = downBlocks.reduce((sum, { resnets }, i) => sum + resnets + (i < downBlocks.length - 1 ? 1 : 0), 1)
  return layoutNames([
    ...EMBEDDINGS,
    ...downPairs(downBlocks),
    ...middlePairs(),
    [`${hint}.conv_in`, 'input_hint_block.0'],
    ...counted(HINT_BLOCKS, (i): Pair => [`${hint}.blocks.${i}`, `input_hint_block.${2 * i + 2}`]),
    [`${hint}.conv_out`, `input_hint_block.${2 * HINT_BLOCKS + 2}`],
    ...counted(outputs, (i): Pair => [`controlnet_down_blocks.${i}`, `zero_convs.${i}.0`]),
    ['controlnet_mid_block', 'middle_block_out.0'],
  ])
}

function downPairs(blocks: readonly BlockStructure[]): Pair[] {
  let next = 1
  return blocks.flatMap(({ resnets, crossAttention }, block) => {
    const path = `down_blocks.${block}`
    const layers = counted(resnets, (i) => layerPairs(path, i, `input_blocks.${next++}`, crossAttention)).flat()
    const isLast = block === blocks.length - 1
    return isLast ? layers : [...layers, [`${path}.downsamplers.0.conv`, `input_blocks.${next++}.0.op`] as const]
  })
}

function upPairs(blocks: readonly BlockStructure[]): Pair[] {
  let next = 0
  return blocks.flatMap(({ resnets, crossAttention }, block) => {
    const path = `up_blocks.${block}`
    const layers = counted(resnets, (i) => layerPairs(path, i, `output_blocks.${next++}`, crossAttention)).flat()
    // The upsampler stands behind the block's last transformer, or in its place.
    const upsampler = `output_blocks.${next - 1}.${crossAttention ? 2 : 1}.conv`
    return block === blocks.length - 1 ? layers : [...layers, [`${path}.upsamplers.0.conv`, upsampler] as const]
  })
}

function middlePairs(): Pair[] {
  return [
    ...resnetPairs('mid_block.resnets.0', 'middle_block.0'),
    ['mid_block.attentions.0', 'middle_block.1'],
    ...resnetPairs('mid_block.resnets.1', 'middle_block.2'),
  ]
}

/** Within a transformer the names are the same. */
function layerPairs(path: string, i: number, ldm: string, crossAttention: object | null): Pair[] {
  const resnet = resnetPairs(`${path}.resnets.${i}`, `${ldm}.0`)
  return crossAttention ? [...resnet, [`${path}.attentions.${i}`, `${ldm}.1`]] : resnet
}

function resnetPairs(diffusers: string, ldm: string): Pair[] {
  return RESNET.map(([name, ldmName]): Pair => [`${diffusers}.${name}`, `${ldm}.${ldmName}`])
}

const AUTOENCODER_ATTENTION: readonly Pair[] = [
  ['group_norm', 'norm'],
  ['to_q', 'q'],
  ['to_k', 'k'],
  ['to_v', 'v'],
  ['to_out.0', 'proj_out'],
]

/** The names of an AutoencoderKL, from its original keys (without `first_stage_model.`). */
export function autoencoderNamesOf(names: readonly string[]): LayoutNames {
  const count = (pattern: RegExp) => {
    const indices = names.map((name) => Number(pattern.exec(name)?.[1] ?? -1)).filter((index) => index <= MAX_INDEX)
    return 1 + indices.reduce((largest, index) => Math.max(largest, index), -1)
  }
  return autoencoderNames(count(/^decoder\.up\.(\d+)\./), count(/^decoder\.up\.0\.block\.(\d+)\./) - 1)
}

/** The names of an AutoencoderKL of so many levels (`block_out_channels`); `layersPerBlock` resnets in a level of its encoder. */
function autoencoderNames(levels: number, layersPerBlock: number): LayoutNames {
  const side = (name: string): Pair[] => [
    [`${name}.conv_in`, `${name}.conv_in`],
    [`${name}.conv_norm_out`, `${name}.norm_out`],
    [`${name}.conv_out`, `${name}.conv_out`],
    ...autoencoderResnet(`${name}.mid_block.resnets.0`, `${name}.mid.block_1`),
    ...AUTOENCODER_ATTENTION.map(
      ([part, ldm]): Pair => [`${name}.mid_block.attentions.0.${part}`, `${name}.mid.attn_1.${ldm}`],
    ),
    ...autoencoderResnet(`${name}.mid_block.resnets.1`, `${name}.mid.block_2`),
  ]
  const down = counted(levels, (i) => [
    ...counted(layersPerBlock, (j) =>
      autoencoderResnet(`encoder.down_blocks.${i}.resnets.${j}`, `encoder.down.${i}.block.${j}`),
    ).flat(),
    [`encoder.down_blocks.${i}.downsamplers.0.conv`, `encoder.down.${i}.downsample.conv`] as const,
  ])
  // The original numbers the decoder's levels by size, diffusers by their order.
  const up = counted(levels, (i) => [
    ...counted(layersPerBlock + 1, (j) =>
      autoencoderResnet(`decoder.up_blocks.${i}.resnets.${j}`, `decoder.up.${levels - 1 - i}.block.${j}`),
    ).flat(),
    [`decoder.up_blocks.${i}.upsamplers.0.conv`, `decoder.up.${levels - 1 - i}.upsample.conv`] as const,
  ])
  return layoutNames([
    ...side('encoder'),
    ...down.flat(),
    ...side('decoder'),
    ...up.flat(),
    ['quant_conv', 'quant_conv'],
    ['post_quant_conv', 'post_quant_conv'],
  ])
}

function autoencoderResnet(diffusers: string, ldm: string): Pair[] {
  const same = ['norm1', 'conv1', 'norm2', 'conv2'].map((name): Pair => [`${diffusers}.${name}`, `${ldm}.${name}`])
  return [...same, [`${diffusers}.conv_shortcut`, `${ldm}.nin_shortcut`]]
}

function layoutNames(pairs: readonly Pair[]): LayoutNames {
  const toLdm = new Map(pairs)
  const toDiffusers = new Map(pairs.map(([diffusers, ldm]) => [ldm, diffusers]))
  return {
    toLdm: (name) => translate(toLdm, name),
    toDiffusers: (name) => translate(toDiffusers, name),
  }
}

/** Replaces the longest known path that `name` starts with. */
function translate(paths: ReadonlyMap<string, string>, name: string): string | undefined {
  for (let end = name.length; end > 0; end = name.lastIndexOf('.', end - 1)) {
    const path = paths.get(name.slice(0, end))
    if (path !== undefined) return path + name.slice(end)
  }
  return undefined
}

function counted<Item>(count: number, make: (index: number) => Item): Item[] {
  return Array.from({ length: count }, (_, i) => make(i))
}

/** Numbers in keys beyond this are no layers: a hostile file must not have a name made for each number below. */
const MAX_INDEX = 63

/** The structure of a UNet or ControlNet, read off its diffusers keys or module paths. */
export function structureOfDiffusers(names: Iterable<string>): UNetStructure {
  const found = { down: new Map<number, Block>(), up: new Map<number, Block>() }
  for (const name of names) {
    const [, side, block, kind, layer] =
      /^(down|up)_blocks\.(\d+)\.(resnets|attentions)\.(\d+)\./.exec(`${name}.`) ?? []
    if (side === undefined || Number(block) > MAX_INDEX || Number(layer) > MAX_INDEX) continue
    noteLayer(found[side as 'down' | 'up'], Number(block), Number(layer), kind === 'attentions')
  }
  return { downBlocks: inOrder(found.down), upBlocks: inOrder(found.up) }
}

/**
 * The structure of a UNet or ControlNet, read off its original keys (without `model.diffusion_model.` or `control_model.`): a level ends
 * at its downsampler or upsampler.
 */
export function structureOfLdm(names: Iterable<string>): UNetStructure {
  const modules = { input_blocks: new Map<number, Set<string>>(), output_blocks: new Map<number, Set<string>>() }
  for (const name of names) {
    const [, side, index, part] = /^(input|output)_blocks\.(\d+)\.(\d\.[a-z_]+)/.exec(name) ?? []
    if (side === undefined) continue
    const parts = modules[`${side as 'input' | 'output'}_blocks`]
    parts.set(Number(index), (parts.get(Number(index)) ?? new Set()).add(part as string))
  }
  return { downBlocks: ldmDownBlocks(modules.input_blocks), upBlocks: ldmUpBlocks(modules.output_blocks) }
}

interface Block {
  resnets: number
  crossAttention: object | null
}

function noteLayer(blocks: Map<number, Block>, block: number, layer: number, isAttention: boolean): void {
  const known = blocks.get(block) ?? { resnets: 0, crossAttention: null }
  known.resnets = Math.max(known.resnets, layer + 1)
  if (isAttention) known.crossAttention = {}
  blocks.set(block, known)
}

function inOrder<Item>(items: ReadonlyMap<number, Item>): Item[] {
  return [...items].sort(([a], [b]) => a - b).map(([, item]) => item)
}

/** A module of a numbered block is a transformer when it has such a layer: `1.conv` is an upsampler. */
function hasTransformer(parts: ReadonlySet<string>): boolean {
  return parts.has('1.proj_in')
}

function ldmDownBlocks(modules: ReadonlyMap<number, ReadonlySet<string>>): Block[] {
  const blocks = new Map<number, Block>()
  let [level, layer] = [0, 0]
  for (const parts of inOrder(modules).slice(1)) {
    if (parts.has('0.op')) [level, layer] = [level + 1, 0]
    else noteLayer(blocks, level, layer++, hasTransformer(parts))
  }
  return inOrder(blocks)
}

function ldmUpBlocks(modules: ReadonlyMap<number, ReadonlySet<string>>): Block[] {
  const blocks = new Map<number, Block>()
  let [level, layer] = [0, 0]
  for (const parts of inOrder(modules)) {
    noteLayer(blocks, level, layer++, hasTransformer(parts))
    if (parts.has('1.conv') || parts.has('2.conv')) [level, layer] = [level + 1, 0]
  }
  return inOrder(blocks)
}
