import { access, constants, stat } from 'node:fs/promises'
import { dirname, extname, resolve } from 'node:path'
import type { Tiling } from '@darkroom/engine'
import type { AdapterOptions } from './generate-adapters.ts'
import { UserError } from './user-error.ts'

/** What the command line says of one drawing; an option that was not given is absent. */
export interface GenerateOptions extends AdapterOptions {
  readonly checkpoint: string
  readonly prompt: string
  readonly negativePrompt?: string
  readonly seed?: bigint
  readonly steps?: number
  readonly timesteps?: readonly number[]
  readonly sigmas?: readonly number[]
  readonly guidance?: number
  readonly guidanceRescale: number
  readonly scheduler?: string
  readonly predictionType?: string
  readonly eta: number
  readonly clipSkip: number
  readonly width?: number
  readonly height?: number
  readonly numImages: number
  readonly image?: string
  readonly strength?: number
  readonly lora: readonly string[]
  readonly icLight?: string
  readonly promptWeighting?: boolean
  readonly tile?: Tiling
  readonly vae?: string
  readonly variant?: string
  readonly tokenizer?: string
  readonly output: string
  readonly latents?: string
  readonly gpu?: number
}

const LARGEST_SEED = 2n ** 64n - 1n

/** Options of which a drawing takes one or the other, or the second only with the first. */
const TOGETHER: readonly {
  readonly with: keyof GenerateOptions
  readonly not: keyof GenerateOptions
  readonly why: string
}[] = [
  { with: 'timesteps', not: 'sigmas', why: 'give --timesteps or --sigmas, not both' },
  { with: 'timesteps', not: 'steps', why: '--timesteps says how many steps there are: leave --steps out' },
  { with: 'sigmas', not: 'steps', why: '--sigmas says how many steps there are: leave --steps out' },
  { with: 'image', not: 'width', why: 'with --image the picture keeps its size: leave --width out' },
  { with: 'image', not: 'height', why: 'with --image the picture keeps its size: leave --height out' },
]

/**
 * Checks what can be known before a model is loaded: minutes of drawing must not end with a name that cannot be written.
 * @param schedulers names that `--scheduler` may be
 * @throws UserError
 */
export async function checkGenerateOptions(options: GenerateOptions, schedulers: readonly string[]): Promise<void> {
  for (const { with: one, not: other, why } of TOGETHER) {
    if (options[one] !== undefined && options[other] !== undefined) throw new UserError(why)
  }
  if (options.strength !== undefined && options.image === undefined) {
    throw new UserError('--strength says how much of a picture is drawn anew: it goes with --image')
  }
  if (options.seed !== undefined && (options.seed < 0n || options.seed > LARGEST_SEED)) {
    throw new UserError(`--seed ${options.seed}: expected an integer from 0 to ${LARGEST_SEED}`)
  }
  if (options.scheduler !== undefined && !schedulers.includes(options.scheduler)) {
    throw new UserError(`--scheduler ${options.scheduler}: expected one of ${schedulers.join(', ')}`)
  }
  await requireFile('--checkpoint', options.checkpoint)
  if (options.image !== undefined) await requireFile('--image', options.image)
  if (options.vae !== undefined) await requireFile('--vae', options.vae)
  for (const lora of options.lora) await requireFile('--lora', parseLora(lora).path)
  outputFormat(options.output)
  await requireWritable('--output', options.output)
  if (options.latents !== undefined) await requireWritable('--latents', options.latents)
}

/** `path` or `path:scale`. */
export function parseLora(text: string): { path: string; scale: number } {
  const match = /^(.*?)(?::(-?\d+(?:\.\d+)?))?$/.exec(text)
  return { path: match?.[1] ?? text, scale: Number(match?.[2] ?? 1) }
}

/** @throws UserError for a name that says nothing of the kind */
export function outputFormat(path: string): 'png' | 'jpeg' {
  const extension = extname(path).toLowerCase()
  if (extension === '.png') return 'png'
  if (extension === '.jpg' || extension === '.jpeg') return 'jpeg'
  throw new UserError(`--output ${path}: expected a name that ends in .png, .jpg or .jpeg`)
}

async function requireFile(option: string, path: string): Promise<void> {
  await access(path, constants.R_OK).catch((cause) => {
    throw new UserError(`${option} ${path}: ${reasonOf(cause)}`)
  })
}

async function requireWritable(option: string, path: string): Promise<void> {
  const there = await stat(path).catch(() => undefined)
  if (there?.isDirectory()) throw new UserError(`${option} ${path}: it is a folder; expected the name of a file`)
  const folder = dirname(resolve(path))
  await access(there === undefined ? folder : path, constants.W_OK).catch((cause) => {
    throw new UserError(`${option} ${path}: cannot write it into ${folder}: ${reasonOf(cause)}`)
  })
}

function reasonOf(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  if (code === 'ENOENT') return 'there is no such file or folder'
  if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS') return 'this user may not'
  return error instanceof Error ? error.message : String(error)
}

/** `SIZE` or `SIZE:STRIDE`, in pixels of both sides; half a tile is the stride otherwise. */
export function parseTiling(text: string): Tiling {
  const [, size, stride] = /^(\d+)(?::(\d+))?$/.exec(text) ?? []
  const tile = Number(size)
  if (!(tile > 0)) throw new UserError(`--tile ${text}: expected a size in pixels, or size:stride`)
  const step = stride === undefined ? Math.ceil(tile / 2) : Number(stride)
  if (!(step > 0 && step <= tile)) throw new UserError(`--tile ${text}: the stride must be from 1 to the size`)
  return { tileWidth: tile, tileHeight: tile, tileStrideWidth: step, tileStrideHeight: step }
}
