import { readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import {
  applyControlNets,
  applyEmbeddings,
  applyIcLight,
  applyImagePrompts,
  type ControlNetParameters,
  decodeImage,
  type EmbeddingFile,
  type Engine,
  type ImagePromptParameters,
  loadControlNet,
  loadImageEncoder,
  loadIPAdapter,
  openComponent,
  openWeightFile,
  type RgbImage,
  type StableDiffusion,
  type UNetAdapter,
} from '@darkroom/engine'
import { UserError } from './user-error.ts'

/** What `darkroom generate` applies to the checkpoint, as written on the command line. */
export interface AdapterOptions {
  readonly embedding: readonly string[]
  readonly controlnet: readonly string[]
  readonly ipAdapter: readonly string[]
  readonly guessMode?: boolean
  readonly icLightImage?: string
  readonly icLightBackground?: string
}

/** The model with the words of `--embedding file[=word,word]`. */
export function withEmbeddings(model: StableDiffusion, files: readonly string[]): Promise<StableDiffusion> {
  return applyEmbeddings(model, files.map(parseEmbedding), (message) => console.error(message))
}

/** Loads what `--controlnet`, `--ip-adapter` and `--ic-light-image` name. @param size of the picture that is drawn, pixels */
export async function unetAdapters(
  engine: Engine,
  model: StableDiffusion,
  options: AdapterOptions,
  size: { readonly width: number; readonly height: number },
): Promise<UNetAdapter[]> {
  const adapters: UNetAdapter[] = []
  if (options.controlnet.length > 0) {
    const controlnets: ControlNetParameters[] = []
    for (const text of options.controlnet) controlnets.push(await openControlNet(engine, text))
    adapters.push(applyControlNets(model, controlnets, { ...size, guessMode: options.guessMode ?? false }))
  }
  if (options.ipAdapter.length > 0) {
    const prompts: ImagePromptParameters[] = []
    for (const text of options.ipAdapter) prompts.push(await openImagePrompt(engine, model, text))
    adapters.push((await applyImagePrompts(model, prompts, size)).adapter)
  }
  if (options.icLightImage !== undefined) {
    const background = options.icLightBackground
    const pictures = {
      image: await readPicture(options.icLightImage),
      ...(background !== undefined && { background: await readPicture(background) }),
    }
    adapters.push(await applyIcLight(model, pictures, size))
  }
  return adapters
}

async function openControlNet(engine: Engine, text: string): Promise<ControlNetParameters> {
  const given = parsePairs('--controlnet', text, ['path', 'image'], ['mask', 'scale', 'start', 'end'])
  const number = (key: string) => numberOf('--controlnet', key, given[key])
  const [scale, start, end] = [number('scale'), number('start'), number('end')]
  return {
    model: await loadControlNet(engine, await openComponent(given.path as string, 'controlnet')),
    image: await readPicture(given.image as string),
    ...(given.mask !== undefined && { mask: await readPicture(given.mask) }),
    ...(scale !== undefined && { conditioningScale: scale }),
    ...(start !== undefined && { startPercentage: start }),
    ...(end !== undefined && { endPercentage: end }),
  }
}

async function openImagePrompt(engine: Engine, model: StableDiffusion, text: string): Promise<ImagePromptParameters> {
  const given = parsePairs('--ip-adapter', text, ['path', 'image'], ['encoder', 'mask', 'scale'])
  const path = given.path as string
  const weights = () => openWeightFile('ip_adapter', path)
  const { adapter } = await loadIPAdapter(engine, model.unet.config, { name: 'ip_adapter', weights })
  // Where the published adapters keep it.
  const folder = given.encoder ?? join(dirname(path), 'image_encoder')
  const scale = numberOf('--ip-adapter', 'scale', given.scale)
  return {
    adapter,
    encoder: await loadImageEncoder(engine, await openComponent(folder, 'image_encoder')),
    images: [await readPicture(given.image as string)],
    ...(given.mask !== undefined && { masks: [await readPicture(given.mask)] }),
    ...(scale !== undefined && { scale }),
  }
}

export async function readPicture(path: string): Promise<RgbImage> {
  const bytes = await readFile(path).catch((cause) => {
    throw new UserError(`cannot read the picture ${path}: ${cause.message}`)
  })
  return decodeImage(bytes)
}

/** `key=value,key=value`. @throws UserError that names the option for keys that are missing or not known */
export function parsePairs(
  option: string,
  text: string,
  required: readonly string[],
  optional: readonly string[],
): Readonly<Record<string, string>> {
  const known = [...required, ...optional]
  const given: Record<string, string> = {}
  for (const pair of text.split(',')) {
    const [key, ...value] = pair.split('=')
    if (!known.includes(key as string) || value.length === 0) {
      throw new UserError(`${option} ${text}: expected ${known.map((name) => `${name}=…`).join(',')}, found ${pair}`)
    }
    given[key as string] = value.join('=')
  }
  const missing = required.find((key) => !given[key])
  if (missing !== undefined) throw new UserError(`${option} ${text}: ${missing}=… is missing`)
  return given
}

function numberOf(option: string, key: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const value = Number(text)
  if (text.trim() !== '' && Number.isFinite(value)) return value
  throw new UserError(`${option}: ${key} must be a number, got ${text}`)
}

/** `file`, or `file=word` or `file=word,word`. */
function parseEmbedding(text: string): EmbeddingFile {
  const at = text.lastIndexOf('=')
  if (at < 0) return { path: text }
  return { path: text.slice(0, at), tokens: text.slice(at + 1).split(',') }
}
