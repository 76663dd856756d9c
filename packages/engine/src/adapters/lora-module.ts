import type { LoraComponent, LoraDialect } from './lora-keys.ts'
import type { WeightChange } from './lora-weight-change.ts'

/** What a LoRA file changes of one module; tensors are keys of the file. */
export interface LoraModule {
  readonly component: LoraComponent
  /** As the file names it. */
  readonly name: string
  readonly dialect: LoraDialect
  /** Change of the module's weight. */
  readonly weight?: WeightChange<string>
  /** What is added to the module's bias. */
  readonly bias?: BiasChange
  /** Keys that the changes are made of. */
  readonly keys: readonly string[]
  /** Rank of the factors; undefined for changes that have none. */
  readonly rank: number | undefined
}

export interface BiasChange {
  readonly key: string
  readonly scale: number
}

/** A key that changes nothing, and why. */
export interface UnusedKey {
  readonly key: string
  readonly reason: string
}
