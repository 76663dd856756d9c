import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { PictureSize } from './picture-size.ts'

/** A checkpoint on this machine. */
export interface LocalCheckpoint {
  readonly folder: string
  /** What responses, logs and the banner call it. */
  readonly label: string
  /** The LCM-LoRA that goes with it, when there is one on this machine. */
  readonly lcmLora: string | undefined
  /** True when a bundled demo checkpoint stands in for the model that was asked for. */
  readonly standIn: boolean
}

export interface ModelRegistryOptions {
  /** Folders with models as `owner/name/`, in diffusers layout. */
  readonly modelFolders: readonly string[]
  /** Hub caches: `models--owner--name/snapshots/<commit>/`. */
  readonly hubCaches: readonly string[]
  /** Folder of the bundled demo checkpoints. */
  readonly bundledFolder: string
}

/** Names that mean the same model: the first was taken down, the second is where it lives on. */
const MOVED: Readonly<Record<string, string>> = {
  'runwayml/stable-diffusion-v1-5': 'stable-diffusion-v1-5/stable-diffusion-v1-5',
}

const LCM_LORA_FILE = 'pytorch_lora_weights.safetensors'

/** The bundled checkpoints by native size in pixels along a side. */
const BUNDLED = [
  { name: 'pinhole-512', nativeSize: 512 },
  { name: 'pinhole-1024', nativeSize: 1024 },
] as const

/** Resolves model names to folders of this machine. It looks each time, so a model added later is found. */
export class ModelRegistry {
  readonly #options: ModelRegistryOptions

  constructor(options: ModelRegistryOptions) {
    this.#options = options
  }

  /** The folder of a model (`owner/name`), or undefined when it is not on this machine. */
  async find(name: string): Promise<string | undefined> {
    for (const candidate of MOVED[name] === undefined ? [name] : [name, MOVED[name]]) {
      const folder = (await this.#findInFolders(candidate)) ?? (await this.#findInHubCaches(candidate))
      if (folder !== undefined) return folder
    }
    return undefined
  }

  /**
   * The checkpoint to draw with: the model itself, or the bundled demo checkpoint whose native size is nearest.
   * @param lcmLoraName the LCM-LoRA of that model's family
   */
  async checkpoint(name: string, lcmLoraName: string, size: PictureSize): Promise<LocalCheckpoint> {
    const folder = await this.find(name)
    if (folder === undefined) return this.standIn(size)
    const loraFolder = await this.find(lcmLoraName)
    return {
      folder,
      label: name,
      lcmLora: loraFolder === undefined ? undefined : join(loraFolder, LCM_LORA_FILE),
      standIn: false,
    }
  }

  /** The bundled demo checkpoint whose native size is nearest to the picture's, by area. */
  standIn({ width, height }: PictureSize): LocalCheckpoint {
    const side = Math.sqrt(width * height)
    const distance = (nativeSize: number) => Math.abs(Math.log(side / nativeSize))
    const nearest = BUNDLED.reduce((best, next) =>
      distance(next.nativeSize) < distance(best.nativeSize) ? next : best,
    )
    return {
      folder: join(this.#options.bundledFolder, nearest.name),
      label: nearest.name,
      lcmLora: join(this.#options.bundledFolder, 'pinhole-lcm-lora', LCM_LORA_FILE),
      standIn: true,
    }
  }

  async #findInFolders(name: string): Promise<string | undefined> {
    for (const root of this.#options.modelFolders) {
      const folder = join(root, ...name.split('/'))
      if (await isFolder(folder)) return folder
    }
    return undefined
  }

  async #findInHubCaches(name: string): Promise<string | undefined> {
    for (const cache of this.#options.hubCaches) {
      const repository = join(cache, `models--${name.replaceAll('/', '--')}`)
      const commit = (await readText(join(repository, 'refs', 'main'))) ?? (await newestSnapshot(repository))
      if (commit === undefined) continue
      const folder = join(repository, 'snapshots', commit.trim())
      if (await isFolder(folder)) return folder
    }
    return undefined
  }
}

async function newestSnapshot(repository: string): Promise<string | undefined> {
  const snapshots = join(repository, 'snapshots')
  const names = await readdir(snapshots).catch(() => [])
  const dated = await Promise.all(
    names.map(async (name) => ({ name, changed: (await stat(join(snapshots, name))).mtimeMs })),
  )
  return dated.sort((a, b) => b.changed - a.changed)[0]?.name
}

async function isFolder(path: string): Promise<boolean> {
  return stat(path).then(
    (entry) => entry.isDirectory(),
    () => false,
  )
}

async function readText(path: string): Promise<string | undefined> {
  return readFile(path, 'utf8').catch(() => undefined)
}
