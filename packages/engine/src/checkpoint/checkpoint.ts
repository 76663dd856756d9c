import { readdir, stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { displayName } from '../formats/display-name.ts'
import { CheckpointError } from './checkpoint-error.ts'
import type { Checkpoint, CheckpointOptions, Component } from './component.ts'
import { openComponentWeights } from './component-weights.ts'
import { isMissing, type JsonObject, readJsonObject } from './json-file.ts'
import { openComponentFile, openSingleFile } from './single-file.ts'

export type { Checkpoint, CheckpointOptions, Component } from './component.ts'

/**
 * Opens a diffusers folder, hub snapshots (symlinks into `blobs`) included, or a single-file checkpoint. Weights are not touched.
 * @throws CheckpointError when it is neither; WeightFileError when a single file is damaged
 */
export async function openCheckpoint(path: string, options: CheckpointOptions = {}): Promise<Checkpoint> {
  const root = resolve(path)
  if (await isFile(root)) return openSingleFile(root, options)
  const modelIndex = await readJsonObject(join(root, 'model_index.json'))
  const source = displayName(root)
  if (!modelIndex) throw new CheckpointError(await describeForeignFolder(root, source), { path: root })
  const className = modelIndex._class_name
  if (typeof className !== 'string') {
    throw new CheckpointError(`${source}/model_index.json: _class_name must name the pipeline class`, { path: root })
  }
  const components = listComponents(modelIndex)
  return {
    folder: root,
    source,
    className,
    modelIndex,
    components,
    component(name) {
      const className = components.get(name)
      if (className === undefined) {
        throw new CheckpointError(
          `${source} has no component ${name}; its model_index.json lists ${[...components.keys()].join(', ')}`,
          { path: root },
        )
      }
      return component(join(root, name), name, { ...options, source, className })
    },
  }
}

/**
 * A component that stands alone: its `config.json` is in the folder itself or in the subfolder `name`, where a whole checkpoint
 * keeps it (a UNet that replaces a pipeline's own comes in both forms); or a file of weights, whose config is read off its tensors.
 * @throws CheckpointError when neither place has a config.json, or the file holds no such model
 */
export async function openComponent(path: string, name: string, options: CheckpointOptions = {}): Promise<Component> {
  const root = resolve(path)
  if (await isFile(root)) return openComponentFile(root, name, options)
  const source = displayName(root)
  for (const place of [root, join(root, name)]) {
    if (await readJsonObject(join(place, 'config.json'))) return component(place, name, { ...options, source })
  }
  throw new CheckpointError(`there is no ${name} in ${source}: neither config.json nor ${name}/config.json is there`, {
    path: root,
  })
}

/**
 * A component that diffusers has no place for and a checkpoint's folder may hold all the same: a decoder for previews.
 * @throws CheckpointError for a config.json that is none
 */
export async function findOwnComponent(checkpoint: string, name: string): Promise<Component | undefined> {
  const folder = join(checkpoint, name)
  return (await isFile(join(folder, 'config.json'))) ? openComponent(folder, name) : undefined
}

async function isFile(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isFile(),
    () => false,
  )
}

const CONFIG_FILES = ['config.json', 'scheduler_config.json', 'preprocessor_config.json', 'tokenizer_config.json']

interface ComponentOptions extends CheckpointOptions {
  readonly source: string
  /** What model_index.json says that it is: a scheduler's config may name the class that it was made from. */
  readonly className?: string
}

function component(folder: string, name: string, { variant, source, className }: ComponentOptions): Component {
  return {
    name,
    folder,
    source,
    async config() {
      for (const file of CONFIG_FILES) {
        const config = await readJsonObject(join(folder, file))
        if (config) return className === undefined ? config : { ...config, _class_name: className }
      }
      throw new CheckpointError(
        `${source} has no config for ${name} (looked for ${CONFIG_FILES.join(', ')}); the download is incomplete`,
        { path: folder },
      )
    },
    weights: (options = {}) =>
      openComponentWeights(name, folder, variant === undefined ? options : { variant, ...options }, source),
  }
}

/** Entries are `[library, class]`; an absent component is `[null, null]`, and settings of the pipeline are no lists. */
function listComponents(modelIndex: JsonObject): Map<string, string> {
  const components = new Map<string, string>()
  for (const [name, entry] of Object.entries(modelIndex)) {
    if (Array.isArray(entry) && typeof entry[1] === 'string') components.set(name, entry[1])
  }
  return components
}

async function describeForeignFolder(root: string, source: string): Promise<string> {
  let names: string[]
  try {
    names = await readdir(root)
  } catch (cause) {
    return isMissing(cause) ? `there is no folder ${source}` : `the folder ${source} cannot be read`
  }
  const message = `${source} is no diffusers checkpoint: it has no model_index.json`
  if (names.includes('config.json'))
    return `${message}. It holds a single component; name the checkpoint's folder instead`
  if (names.includes('snapshots'))
    return `${message}. It is a hub cache entry; name the folder under snapshots/ instead`
  const single = names.find((name) => /\.(safetensors|ckpt)$/.test(name))
  return single ? `${message}. ${single} in it looks like a single-file checkpoint; name that file instead` : message
}
