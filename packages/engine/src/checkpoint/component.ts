import type { ComponentWeights, WeightsOptions } from './component-weights.ts'
import type { JsonObject } from './json-file.ts'

export interface CheckpointOptions {
  /** Precision variant of the weight files, `fp16` in `model.fp16.safetensors`; components without it use the plain files. */
  readonly variant?: string
  /** Of a single file: a folder with CLIP's vocab.json and merges.txt, or a checkpoint's with such a folder `tokenizer`. */
  readonly tokenizer?: string
  /** Of a single file: config fields, by component, that differ from what its tensors and its family tell. */
  readonly configs?: Readonly<Record<string, JsonObject>>
}

/** A diffusers folder, `model_index.json` and one folder for each component; or a single file seen as one. */
export interface Checkpoint {
  /** The folder, or the one that the single file lies in. */
  readonly folder: string
  /** What messages call it. */
  readonly source: string
  /** The pipeline class that saved it: `StableDiffusionPipeline`. */
  readonly className: string
  readonly modelIndex: JsonObject
  /** Class name of each component that is there, by component name. */
  readonly components: ReadonlyMap<string, string>
  /** @throws CheckpointError when the checkpoint has no such component */
  component(name: string): Component
}

/** A part of a checkpoint: a model, the scheduler, a tokenizer. */
export interface Component {
  /** `unet` */
  readonly name: string
  readonly folder: string
  /** What messages call the checkpoint. */
  readonly source: string
  /** Of a tokenizer that is another's folder: its own padding token. */
  readonly padToken?: string
  /**
   * Its `config.json` or the like, with the class that the checkpoint names for it.
   * @throws CheckpointError when there is none, or it is no JSON object
   */
  config(): Promise<JsonObject>
  /** @throws CheckpointError or WeightFileError when there are none, or files are missing or damaged */
  weights(options?: WeightsOptions): Promise<ComponentWeights>
}
