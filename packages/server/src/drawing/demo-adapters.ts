import type { WeightsKind } from '../models/weights-kind.ts'

interface DemoAdapter {
  readonly id: string
  readonly kind: WeightsKind
  /** What an id names that is meant for the same purpose; absent: any of the kind. */
  readonly like?: RegExp
}

/** Adapters that were trained for the demo checkpoint and come with the program. */
export const DEMO_ADAPTERS: readonly DemoAdapter[] = [
  { id: 'pinhole/blueprint-lora', kind: 'lora' },
  { id: 'pinhole/duotone-lora', kind: 'lora' },
  { id: 'pinhole/woodcut-lora', kind: 'lora' },
  { id: 'pinhole/style-embedding', kind: 'embedding' },
  { id: 'pinhole/canny', kind: 'controlnet', like: /canny|edge|lineart/i },
  { id: 'pinhole/pose', kind: 'controlnet', like: /pose/i },
  { id: 'pinhole/depth', kind: 'controlnet', like: /depth|midas|zoe/i },
  { id: 'pinhole/instantid/ControlNetModel', kind: 'controlnet', like: /instant-?id|identity/i },
  { id: 'pinhole/ip-adapter', kind: 'ip-adapter', like: /^(?!.*instant-?id)/i },
  { id: 'pinhole/instantid', kind: 'ip-adapter', like: /instant-?id/i },
  { id: 'pinhole/ip-adapter', kind: 'image-encoder' },
]

/**
 * What shows a field while the weights that a request names are not here: nothing stands in for them, since an adapter is made for one
 * base.
 * @returns a sentence that begins with a blank; empty where no demo adapter shows it
 */
export function demoAdapterHint(kind: WeightsKind, reference: string): string {
  const fitting = DEMO_ADAPTERS.filter((adapter) => adapter.kind === kind && (adapter.like?.test(reference) ?? true))
  const ids = fitting.map(({ id }) => id)
  const verb = ids.length === 1 ? 'shows' : 'show'
  return ids.length === 0 ? '' : ` With the demo checkpoint Pinhole, ${ids.join(', ')} ${verb} what such weights do.`
}

/** What an adapter of another base is answered with where a demo checkpoint stands in for that base; begins with a blank. */
export function standInHint(label: string): string {
  const ids = [...new Set(DEMO_ADAPTERS.map(({ id }) => id))].join(', ')
  return ` ${label} stands in for a base model that is not on this server; adapters made for it are ${ids}.`
}
