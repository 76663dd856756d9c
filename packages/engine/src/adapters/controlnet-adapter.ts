import type { Graph } from '../graph/graph.ts'
import { add } from '../graph/ops.ts'
import { skipShapes } from '../models/skip-shapes.ts'
import type { UNetShape } from '../models/unet-2d-condition.ts'
import type { UNetConfig } from '../models/unet-2d-condition-config.ts'
import type { UNetHooks } from '../models/unet-hooks.ts'
import { defined } from '../tensor/defined.ts'
import { interpolate } from '../tensor/interpolate.ts'
import { concatenate, dimensions, type FloatTensor, float32, rows, type Tensor } from '../tensor/tensor.ts'
import { cropMaps, type MapWindow, scaleWindow } from '../tensor/window.ts'
import type { UNetAdapter, UNetInput, UNetStep } from './unet-adapter.ts'

/** A loaded ControlNet, as far as the UNet's adapter runs it. */
export interface ControlModel {
  /** Whether residuals are means over the picture, [B, C, 1, 1]. */
  readonly globalPool: boolean
  /** Picture pixels per latent pixel along each side. */
  readonly factor: number
  /** Of a control picture [1, 3, H, W], 0 … 1: what `residuals` takes, [1, C, H/factor, W/factor]. */
  embed(image: FloatTensor): Promise<FloatTensor>
  /** For each skip connection of the UNet and for its mid block: [B, C, h, w]. */
  residuals(input: UNetInput, embedding: FloatTensor): Promise<FloatTensor[]>
}

/** Embeddings [1, tokens, C] in place of a prompt's. */
export interface ControlTokens {
  readonly positive: FloatTensor
  /** Asked for where guidance is on. */
  negative(): Promise<FloatTensor>
}

/** One ControlNet of a request. */
export interface Control {
  readonly model: ControlModel
  /** [1, 3, H, W] of the picture that is drawn, 0 … 1. */
  readonly image: FloatTensor
  /** How much it counts at each place, [H, W], 0 … 1. */
  readonly mask?: FloatTensor
  readonly scale: number
  /** The part of the steps in which it counts, 0 … 1: step i of n from i/n ≥ start to (i+1)/n ≤ end. */
  readonly start: number
  readonly end: number
  /** What it attends to in place of the prompt (InstantID's IdentityNet). */
  readonly tokens?: ControlTokens
}

/**
 * The ControlNets of a request: each runs in a session of its own, and the UNet gets the scaled sum of their residuals as inputs, so
 * that requests with other ControlNets, or more of them, use the same session.
 */
export class ControlNetAdapter implements UNetAdapter {
  readonly variant = 'control'
  readonly #config: UNetConfig
  readonly #controls: readonly Control[]
  readonly #guessMode: boolean
  readonly #embeddings = new Map<Control, Map<string, Promise<FloatTensor>>>()

  /**
   * @param config of the UNet
   * @param guessMode the ControlNets see the conditional half alone and count less in shallow layers; implied, as in diffusers, where the first
   * pools globally
   */
  constructor(config: UNetConfig, controls: readonly Control[], guessMode: boolean) {
    this.#config = config
    this.#controls = controls
    this.#guessMode = guessMode || controls[0]?.model.globalPool === true
  }

  extend(graph: Graph, { batch, height, width }: UNetShape): UNetHooks {
    const residuals = skipShapes(this.#config, height, width).map((shape, i) =>
      graph.input(residualInput(i), 'float32', [batch, ...shape]),
    )
    const plus = (index: number, h: Parameters<typeof add>[0]) => {
      const residual = residuals.at(index)
      return residual ? add(h, residual) : h
    }
    return { skip: plus, mid: (h) => plus(-1, h) }
  }

  async feeds(input: UNetInput, { step, steps, window }: UNetStep): Promise<Record<string, Tensor>> {
    const [batch] = dimensions(input.sample.shape, 1)
    const sums = skipShapes(this.#config, window.height, window.width).map((shape) => float32([batch, ...shape]))
    for (const control of this.#controls) {
      const isActive = step / steps >= control.start && (step + 1) / steps <= control.end
      if (!isActive || control.scale === 0) continue
      const seen = this.#guessMode ? conditionalHalf(input) : input
      const embedding = await this.#embedding(control, window)
      const residuals = await control.model.residuals(await withTokens(seen, control.tokens), embedding)
      const mask = control.mask && cropMaps(control.mask, scaleWindow(window, control.model.factor))
      for (const [i, sum] of sums.entries()) {
        addResidual(sum, defined(residuals[i]), this.#scale(control, i, sums.length), mask)
      }
    }
    return Object.fromEntries(sums.map((sum, i) => [residualInput(i), sum]))
  }

  /** In guess mode from a tenth at the first residual to all at the mid block's. */
  #scale({ model, scale }: Control, index: number, count: number): number {
    if (!this.#guessMode || model.globalPool) return scale
    return Math.fround(10 ** (index / (count - 1) - 1)) * scale
  }

  #embedding(control: Control, window: MapWindow): Promise<FloatTensor> {
    const byWindow = this.#embeddings.get(control) ?? new Map<string, Promise<FloatTensor>>()
    this.#embeddings.set(control, byWindow)
    const key = JSON.stringify([window.top, window.left, window.height, window.width])
    const { model, image } = control
    const embedding = byWindow.get(key) ?? model.embed(cropMaps(image, scaleWindow(window, model.factor)))
    byWindow.set(key, embedding)
    return embedding
  }
}

function residualInput(index: number): string {
  return `control.${index}`
}

/** The last row: the unconditional half comes first. */
function conditionalHalf(input: UNetInput): UNetInput {
  const last = (tensor: FloatTensor) => rows(tensor, defined(tensor.shape[0]) - 1, defined(tensor.shape[0]))
  const { sample, encoderHiddenStates, textEmbeds, timeIds } = input
  return {
    ...input,
    sample: last(sample),
    encoderHiddenStates: last(encoderHiddenStates),
    ...(textEmbeds && { textEmbeds: last(textEmbeds) }),
    ...(timeIds && { timeIds: last(timeIds) }),
  }
}

async function withTokens(input: UNetInput, tokens: ControlTokens | undefined): Promise<UNetInput> {
  if (!tokens) return input
  const halves = input.sample.shape[0] === 1 ? [tokens.positive] : [await tokens.negative(), tokens.positive]
  return { ...input, encoderHiddenStates: concatenate(halves) }
}

/**
 * Adds a residual to the sum, over the whole map where it is one value per channel, and to the last rows where it has fewer rows (guess
 * mode).
 */
function addResidual(sum: FloatTensor, residual: FloatTensor, scale: number, mask: FloatTensor | undefined): void {
  const [, , height, width] = dimensions(sum.shape, 4)
  const plane = height * width
  const residualPlane = residual.shape[2] === 1 && residual.shape[3] === 1 ? 1 : plane
  const weights = mask && interpolate(mask, height, width, 'bilinear').data
  const maps = residual.data.length / residualPlane
  const first = sum.data.length - maps * plane
  const factor = Math.fround(scale)
  for (let map = 0; map < maps; map++) {
    for (let i = 0; i < plane; i++) {
      const value = defined(residual.data[map * residualPlane + (residualPlane === 1 ? 0 : i)])
      const to = first + map * plane + i
      const weight = weights ? defined(weights[i]) : 1
      sum.data[to] = defined(sum.data[to]) + Math.fround(value * factor) * weight
    }
  }
}
