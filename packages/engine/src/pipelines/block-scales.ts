import type { AttentionLayer } from '../models/attention-layers.ts'
import { ParameterError } from './parameter-error.ts'

/**
 * How much an image prompt counts by the place of the attention, as fal's `scale_json` and diffusers' `set_ip_adapter_scale` say it:
 * `{"down": {"block_2": [0, 1]}, "mid": 0.5, "up": {"block_0": [0, 1, 0]}}`. A number is for all below; a list for a block's
 * transformers. What is not named is 0.
 */
export type BlockScales = Readonly<Record<string, unknown>>

/**
 * The scale of each cross-attention, by path.
 * @param parameter what errors name
 * @throws ParameterError for a block that the UNet does not have, or anything but numbers
 */
export function expandBlockScales(
  scales: BlockScales,
  layers: readonly AttentionLayer[],
  parameter: string,
): Map<string, number> {
  const fail = (problem: string) => new ParameterError(parameter, problem)
  const expanded = new Map<string, number>()
  for (const { path, part, block, transformer, kind } of layers) {
    if (kind === 'self') continue
    const count = 1 + Math.max(...layers.flatMap((l) => (l.part === part && l.block === block ? [l.transformer] : [])))
    const ofPart = scales[part] ?? 0
    const name = part === 'mid' ? 'mid' : `${part}.block_${block}`
    const ofBlock = part !== 'mid' && isRecord(ofPart) ? (ofPart[`block_${block}`] ?? 0) : ofPart
    expanded.set(path, scaleOf(ofBlock, transformer, count, name, fail))
  }
  refuseUnknown(scales, layers, fail)
  return expanded
}

function scaleOf(
  value: unknown,
  transformer: number,
  count: number,
  name: string,
  fail: (problem: string) => ParameterError,
): number {
  const list = Array.isArray(value) ? value : [value]
  if (list.length !== 1 && list.length !== count) {
    throw fail(`${name} has ${count} transformer${count === 1 ? '' : 's'}, got ${list.length} scales`)
  }
  const scale: unknown = list[list.length === 1 ? 0 : transformer]
  if (typeof scale !== 'number' || !Number.isFinite(scale)) {
    throw fail(`${name} must be a number or a list of numbers, got ${JSON.stringify(value)}`)
  }
  return scale
}

function refuseUnknown(
  scales: BlockScales,
  layers: readonly AttentionLayer[],
  fail: (problem: string) => ParameterError,
): void {
  const blocks = (part: string) => new Set(layers.flatMap((l) => (l.part === part ? [`block_${l.block}`] : [])))
  for (const [part, value] of Object.entries(scales)) {
    if (!['down', 'mid', 'up'].includes(part)) throw fail(`knows down, mid and up, got ${JSON.stringify(part)}`)
    if (part === 'mid' || !isRecord(value)) continue
    const known = blocks(part)
    const unknown = Object.keys(value).find((name) => !known.has(name))
    if (unknown === undefined) continue
    const list = [...known].join(', ')
    throw fail(`${part} has attention in ${list || 'no block'} of this model, got ${JSON.stringify(unknown)}`)
  }
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
