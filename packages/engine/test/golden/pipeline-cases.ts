import { cp, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { readSafetensors, readTensor, writeSafetensors } from '../../src/formats/safetensors.ts'
import { greyToRgb } from '../../src/image/grey.ts'
import type { RgbImage } from '../../src/image/rgb-image.ts'
import type { GeneratedImage, GenerationParameters } from '../../src/pipelines/draw-images.ts'
import { imageToImage } from '../../src/pipelines/image-to-image.ts'
import { inpaint } from '../../src/pipelines/inpaint.ts'
import type { SchedulerChoice, StableDiffusion } from '../../src/pipelines/stable-diffusion.ts'
import { textToImage } from '../../src/pipelines/text-to-image.ts'
import { concatenate, type FloatTensor, float32 } from '../../src/tensor/tensor.ts'
import { finished } from './finished.ts'

/** One request that diffusers answered; written by scripts/golden/pipelines.py. */
export interface PipelineCase {
  readonly name: string
  readonly checkpoint: string
  readonly scheduler: string | null
  readonly prompt: string
  readonly negative_prompt: string | null
  readonly width: number
  readonly height: number
  readonly steps: number
  readonly timesteps: readonly number[] | null
  readonly sigmas: readonly number[] | null
  readonly guidance_scale: number
  readonly guidance_rescale: number
  readonly eta: number
  readonly clip_skip: number
  readonly seed: string
  readonly num_images: number
  readonly prediction_type: string | null
  readonly strength: number | null
  /** With the checkpoint's UNet as it is, or widened to an inpainting one. */
  readonly inpaint: 'plain' | 'trained' | null
}

export interface ExpectedPictures {
  /** [N, C, h, w] */
  readonly latents: FloatTensor
  /** [N, H, W, 3], 0 … 255 as floats */
  readonly pixels: FloatTensor
}

export async function readPipelineCases(folder: string): Promise<{
  readonly cases: readonly PipelineCase[]
  expected(name: string): Promise<ExpectedPictures>
}> {
  const { cases } = JSON.parse(await readFile(join(folder, 'pipelines.json'), 'utf8')) as { cases: PipelineCase[] }
  const file = await readSafetensors(join(folder, 'pipelines.safetensors'))
  return {
    cases,
    expected: async (name) => ({
      latents: await readTensor(file, `${name}.latents`),
      pixels: await readTensor(file, `${name}.pixels`),
    }),
  }
}

/** Runs a case with this engine. */
export async function runPipelineCase(model: StableDiffusion, request: PipelineCase): Promise<GeneratedImage[]> {
  const parameters: GenerationParameters = {
    prompt: request.prompt,
    ...(request.negative_prompt !== null && { negativePrompt: request.negative_prompt }),
    scheduler: {
      ...(request.scheduler !== null && { name: request.scheduler as NonNullable<SchedulerChoice['name']> }),
      ...(request.prediction_type !== null && { overrides: { prediction_type: request.prediction_type } }),
    },
    schedule: request.timesteps
      ? { timesteps: request.timesteps }
      : request.sigmas
        ? { sigmas: request.sigmas }
        : { numInferenceSteps: request.steps },
    guidanceScale: request.guidance_scale,
    guidanceRescale: request.guidance_rescale,
    eta: request.eta,
    clipSkip: request.clip_skip,
    seed: BigInt(request.seed),
    numImages: request.num_images,
  }
  const { width, height, strength } = request
  const run =
    strength === null
      ? textToImage(model, { ...parameters, width, height })
      : request.inpaint === null
        ? imageToImage(model, { ...parameters, image: startImage(width, height), strength })
        : inpaint(model, {
            ...parameters,
            image: startImage(width, height),
            mask: maskImage(width, height),
            strength,
          })
  return finished(run)
}

/** The smooth colour pattern that the script starts image-to-image from. */
export function startImage(width: number, height: number): RgbImage {
  const data = new Uint8Array(width * height * 3)
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const colour = [(x * 255) / (width - 1), (y * 255) / (height - 1), (x * 7 + y * 13) % 256]
      data.set(colour.map(Math.floor), (y * width + x) * 3)
    }
  }
  return { width, height, data }
}

/** The grey stripes that the script inpaints. */
export function maskImage(width: number, height: number): RgbImage {
  const grey = Uint8Array.from(
    { length: width * height },
    (_, i) => ((i % width) * 5 + Math.floor(i / width) * 3) % 256,
  )
  return greyToRgb({ width, height, data: grey })
}

/**
 * An inpainting checkpoint made of a plain one as the script makes it: five more channels of the first convolution.
 * @param target a folder that does not exist yet
 */
export async function widenToInpaint(folder: string, target: string): Promise<string> {
  await cp(folder, target, { recursive: true })
  const unet = join(target, 'unet')
  const config = JSON.parse(await readFile(join(unet, 'config.json'), 'utf8')) as Record<string, unknown>
  await writeFile(join(unet, 'config.json'), JSON.stringify({ ...config, in_channels: 9 }))
  const path = join(unet, 'diffusion_pytorch_model.safetensors')
  const file = await readSafetensors(path)
  const tensors: Record<string, FloatTensor> = {}
  for (const key of file.tensors.keys()) tensors[key] = await readTensor(file, key)
  const plain = tensors['conv_in.weight'] as FloatTensor
  const out = plain.shape[0] as number
  const extra = Float32Array.from({ length: out * 5 * 9 }, (_, i) => 0.1 * Math.sin(i * 1.7))
  tensors['conv_in.weight'] = concatenate([plain, float32([out, 5, 3, 3], extra)], 1)
  await rm(path)
  await writeSafetensors(path, tensors)
  return target
}

export interface Deviation {
  /** max |a − b| / max |b| over the latents. */
  readonly latents: number
  /** Share of 8-bit samples that differ at all. */
  readonly pixels: number
  /** The largest difference of an 8-bit sample. */
  readonly largestPixel: number
}

/** How far pictures are from diffusers'. */
export function deviation(images: readonly GeneratedImage[], expected: ExpectedPictures): Deviation {
  const latents = concatenate(images.map((image) => image.latents))
  if (String(latents.shape) !== String(expected.latents.shape)) {
    throw new Error(`latents are [${latents.shape}], diffusers' are [${expected.latents.shape}]`)
  }
  const pixels = images.flatMap(({ image }) => [...image.data])
  const differences = pixels.map((value, i) => Math.abs(value - (expected.pixels.data[i] as number)))
  return {
    latents: maxDifference(latents.data, expected.latents.data) / maxAbsolute(expected.latents.data),
    pixels: differences.filter((difference) => difference > 0).length / differences.length,
    largestPixel: Math.max(...differences),
  }
}

function maxDifference(a: Float32Array, b: Float32Array): number {
  return a.reduce((worst, value, i) => Math.max(worst, Math.abs(value - (b[i] as number))), 0)
}

function maxAbsolute(data: Float32Array): number {
  return data.reduce((worst, value) => Math.max(worst, Math.abs(value)), 0)
}
