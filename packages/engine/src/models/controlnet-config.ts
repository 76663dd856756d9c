import { ConfigFields, isSize } from '../config/config-fields.ts'
import { parseUNetConfig } from './unet-2d-condition-config.ts'

const COMPONENT = 'ControlNetModel config'

/** A ControlNetModel: the way down of a UNet, and what it adds to that. */
export interface ControlNetConfig {
  /** Its `upBlocks` mean nothing: a ControlNet has none. */
  readonly encoder: ReturnType<typeof parseUNetConfig>
  /** Channels of the control picture. */
  readonly conditioningChannels: number
  /** Of the convolutions over the control picture, each but the first of which halves it. */
  readonly conditioningOutChannels: readonly number[]
  readonly channelOrder: 'rgb' | 'bgr'
  /** Whether residuals are means over the picture (shuffle ControlNets); such a model always works in guess mode. */
  readonly globalPool: boolean
}

/**
 * Reads the config.json of a diffusers ControlNetModel, SD1.5's or SDXL's, with that class's defaults.
 * @throws ModelConfigError for a malformed field, an option that is not supported, or another kind of model: Union ControlNets, ControlNet-XS
 */
export function parseControlNetConfig(json: unknown): ControlNetConfig {
  const fields = new ConfigFields(COMPONENT, json)
  const kind = fields.value('_class_name')
  if (fields.value('num_control_type') !== undefined || kind === 'ControlNetUnionModel') {
    throw fields.error(
      '_class_name',
      'ControlNetModel (Union ControlNets are not supported; take the one for this kind of picture)',
      kind,
    )
  }
  if (kind !== undefined && kind !== 'ControlNetModel') throw fields.error('_class_name', 'ControlNetModel', kind)
  if (fields.value('mid_block_type') === null) throw fields.error('mid_block_type', 'a middle block', null)
  const conditioningOutChannels = fields.list('conditioning_embedding_out_channels', [16, 32, 96, 256], isSize)
  return {
    encoder: parseUNetConfig(withoutUpBlocks(json as Readonly<Record<string, unknown>>), COMPONENT),
    conditioningChannels: fields.size('conditioning_channels', 3),
    conditioningOutChannels,
    channelOrder: fields.oneOf('controlnet_conditioning_channel_order', ['rgb', 'bgr'], 'rgb'),
    globalPool: fields.boolean('global_pool_conditions', false),
  }
}

/** Fields of the way up that have to fit the others, although nothing is built of them. */
function withoutUpBlocks(json: Readonly<Record<string, unknown>>): unknown {
  const { down_block_types: down, transformer_layers_per_block: layers } = json
  return {
    ...json,
    up_block_types: Array.isArray(down) ? down.map(() => 'UpBlock2D') : undefined,
    reverse_transformer_layers_per_block: Array.isArray(layers) ? layers.map(() => 1) : undefined,
  }
}

/** Control picture pixels per latent pixel along each side. */
export function conditioningFactor({ conditioningOutChannels }: ControlNetConfig): number {
  return 2 ** (conditioningOutChannels.length - 1)
}
