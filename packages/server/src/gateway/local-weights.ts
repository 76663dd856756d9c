import type { Inventory } from '../models/inventory.ts'
import type { ModelPulls } from '../models/model-pull.ts'

/** The weights on the gateway's machine. */
export interface LocalWeights {
  readonly inventory: Pick<Inventory, 'list' | 'remove'>
  readonly pulls: Pick<ModelPulls, 'plan' | 'fetch'>
  /** Whether the file of a URL is here, from an earlier request. */
  isKept(url: URL): Promise<boolean>
}
