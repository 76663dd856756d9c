import type { UNetAdapter, UNetInput } from '../adapters/unet-adapter.ts'
import type { Scheduler } from '../schedulers/scheduler.ts'
import { defined } from '../tensor/defined.ts'
import { concatenate, dimensions, type FloatTensor, float32 } from '../tensor/tensor.ts'
import type { MapWindow } from '../tensor/window.ts'
import { guidanceScaleEmbedding, guide } from './guidance.ts'
import type { StableDiffusion } from './stable-diffusion.ts'
import type { PromptConditioning } from './text-encoders.ts'
import { predictTiled } from './tiling.ts'

export interface Guidance {
  readonly positive: PromptConditioning
  /** Absent when guidance is off (scale ≤ 1) or the UNet takes the scale as an embedding. */
  readonly negative?: PromptConditioning
  readonly scale: number
  readonly rescale: number
}

export interface DenoiseInput {
  readonly scheduler: Scheduler
  /** Index into the scheduler's timesteps to start at: 0, or later for image-to-image. */
  readonly startIndex: number
  /** [1, C, h, w], already at the noise level of the first step. */
  readonly latents: FloatTensor
  readonly guidance: Guidance
  /** Size of the picture in pixels, which SDXL is told. */
  readonly width: number
  readonly height: number
  readonly eta: number
  /** The parts of the latents that the UNet sees one by one: `tileWindows`. */
  readonly windows: readonly MapWindow[]
  /** Applied to the UNet at each step. */
  readonly adapters: readonly UNetAdapter[]
  readonly drawNoise: () => FloatTensor
  /** What goes on in place of the latents of a step. @param stepIndex of the scheduler */
  readonly afterStep?: ((latents: FloatTensor, stepIndex: number) => FloatTensor) | undefined
  readonly signal?: AbortSignal
}

export interface DenoisedLatents {
  /** 0-based, counted from the first step that is run. */
  readonly step: number
  readonly steps: number
  /** Latents after this step, [1, C, h, w]. */
  readonly latents: FloatTensor
  /** The denoised latents that this step predicts, for previews. */
  readonly predOriginalSample: FloatTensor
}

/**
 * The denoising loop of StableDiffusionPipeline and StableDiffusionXLPipeline for one picture: yields after each step.
 * @throws the signal's reason, between two steps
 */
export async function* denoise(
  { unet }: StableDiffusion,
  input: DenoiseInput,
): AsyncGenerator<DenoisedLatents, FloatTensor> {
  const { scheduler, startIndex, guidance } = input
  const conditioning = unetConditioning(unet.timeCondProjDim, input)
  const { adapters, windows } = input
  const [height, width] = dimensions(input.latents.shape.slice(2), 2)
  const latentSize = { height, width }
  const steps = scheduler.timesteps.length - startIndex
  let latents = input.latents
  for (let step = 0; step < steps; step++) {
    input.signal?.throwIfAborted()
    const stepIndex = startIndex + step
    const scaled = scheduler.scaleModelInput(latents, stepIndex)
    const prediction = await predictTiled(
      unet,
      {
        ...conditioning,
        sample: guidance.negative ? concatenate([scaled, scaled]) : scaled,
        timestep: defined(scheduler.timesteps[stepIndex]),
      },
      adapters,
      { step, steps, latentSize, ...(input.signal && { signal: input.signal }) },
      windows,
    )
    const modelOutput = guidance.negative ? guide(prediction, guidance.scale, guidance.rescale) : prediction
    const { prevSample, predOriginalSample } = scheduler.step({
      modelOutput,
      stepIndex,
      sample: latents,
      drawNoise: input.drawNoise,
      eta: input.eta,
    })
    latents = input.afterStep?.(prevSample, stepIndex) ?? prevSample
    yield { step, steps, latents, predOriginalSample }
  }
  return latents
}

/** The UNet's inputs that stay the same from step to step. */
function unetConditioning(
  timeCondProjDim: number | undefined,
  { guidance, width, height }: DenoiseInput,
): Omit<UNetInput, 'sample' | 'timestep'> {
  const halves = guidance.negative ? [guidance.negative, guidance.positive] : [guidance.positive]
  const pooled = halves.flatMap(({ pooledEmbeds }) => pooledEmbeds ?? [])
  return {
    encoderHiddenStates: concatenate(halves.map(({ embeds }) => embeds)),
    ...(pooled.length > 0 && {
      textEmbeds: concatenate(pooled),
      timeIds: concatenate(halves.map(() => float32([1, 6], Float32Array.of(height, width, 0, 0, height, width)))),
    }),
    ...(timeCondProjDim !== undefined && { timestepCond: guidanceScaleEmbedding(guidance.scale, timeCondProjDim) }),
  }
}
