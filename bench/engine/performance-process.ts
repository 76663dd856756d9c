/**
 * One measurement of the engine in a process of its own, so that its memory is its own: started by performance.ts, answers with one line
 * of JSON, a `ProcessAnswer`. Argument: a `Measurement`.
 */
import { readFileSync } from 'node:fs'
import { openCheckpoint } from '../../packages/engine/src/checkpoint/checkpoint.ts'
import { WeightCache } from '../../packages/engine/src/checkpoint/prepared-weights.ts'
import type { Graph } from '../../packages/engine/src/graph/graph.ts'
import { AUTOENCODER_RENAMES, buildDecoderGraph } from '../../packages/engine/src/models/autoencoder-kl.ts'
import { parseAutoencoderConfig, spatialFactor } from '../../packages/engine/src/models/autoencoder-kl-config.ts'
import { buildUNetGraph } from '../../packages/engine/src/models/unet-2d-condition.ts'
import { parseUNetConfig } from '../../packages/engine/src/models/unet-2d-condition-config.ts'
import { openEngine } from '../../packages/engine/src/pipelines/engine.ts'
import { loadStableDiffusion } from '../../packages/engine/src/pipelines/load-stable-diffusion.ts'
import type { StableDiffusion } from '../../packages/engine/src/pipelines/stable-diffusion.ts'
import { textToImage } from '../../packages/engine/src/pipelines/text-to-image.ts'
import { writeLinkedModel } from '../../packages/engine/src/runtime/openvino/linked-model.ts'
import { WorkerRuntime } from '../../packages/engine/src/runtime/worker-runtime.ts'
import { DYNAMIC, elementCount, float32, type Shape } from '../../packages/engine/src/tensor/tensor.ts'
import { timed } from '../statistics.ts'
import type { Component, Measurement, ProcessAnswer, QuantityAnswer } from './performance-part.ts'

const measurement = JSON.parse(process.argv[2] ?? '') as Measurement
const { checkpoint, part, size, threads, runs, steps, prompts, cache, fast } = measurement

/** The same values in every program. */
function wave(shape: Shape) {
  return float32(
    shape,
    Float32Array.from({ length: elementCount(shape) }, (_, i) => Math.sin(i * 12.9898) * 1.2),
  )
}

async function networkOf() {
  const opened = await openCheckpoint(checkpoint)
  const vae = parseAutoencoderConfig(await opened.component('vae').config())
  if (part === 'vae') {
    const weights = await opened.component('vae').weights({ renames: AUTOENCODER_RENAMES })
    return { weights, build: (): Graph => buildDecoderGraph(vae, { batch: 1, height: size, width: size }) }
  }
  const component = opened.component('unet')
  const config = parseUNetConfig(await component.config())
  const side = size / spatialFactor(vae)
  return {
    weights: await component.weights(),
    build: (): Graph => buildUNetGraph(config, { batch: 1, height: side, width: side }),
  }
}

async function measureNetwork(): Promise<QuantityAnswer> {
  const { weights, build } = await networkOf()
  const weightCache = new WeightCache({ folder: cache })
  const runtime = new WorkerRuntime({ threads, ...(fast && { fast }) })
  const form = await runtime.weightForm([build()])
  // Written before the clock runs: a checkpoint is prepared once.
  await weightCache.prepare(weights, form)
  const [session, load] = await timed(async () => {
    return runtime.createSession(build(), await weightCache.prepare(weights, form))
  })
  const feeds = Object.fromEntries(
    session.inputs.map(({ name, shape }) => [
      name,
      name === 'timestep' ? float32([1], Float32Array.of(500)) : wave(shape.map((d) => (d === DYNAMIC ? 77 : d))),
    ]),
  )
  const [seconds, processor]: [number[], number[]] = [[], []]
  // The first run touches the weights for the first time.
  for (let run = 0; run <= runs; run++) {
    const before = process.cpuUsage()
    const [, wall] = await timed(() => session.run(feeds))
    if (run === 0) continue
    seconds.push(wall)
    processor.push(secondsSince(before))
  }
  return { load, seconds, processor, ...memory() }
}

async function exportNetwork(): Promise<{ readonly model: string }> {
  const { weights, build } = await networkOf()
  const prepared = await new WeightCache({ folder: cache }).prepare(weights)
  return {
    model: (await writeLinkedModel(build(), prepared, { folder: `${cache}/peer`, convolutions: 'direct' })).path,
  }
}

/** The first picture of a process, which opens all that it needs, and those that follow, as a server draws them: each of another prompt. */
async function measurePictures(): Promise<ProcessAnswer> {
  const before = process.cpuUsage()
  // Sessions stay loaded as in a server, and as the peers have it.
  const engine = openEngine({ threads, cacheFolder: cache, ...(fast && { fast }) })
  const [model, load] = await timed(() => loadStableDiffusion(engine, checkpoint))
  const spent = watchComponents(model)
  const opening = secondsSince(before)
  const drawn = []
  for (let index = 0; index <= runs; index++) {
    for (const component of Object.keys(spent) as Component[]) spent[component] = 0
    const started = process.cpuUsage()
    const [, seconds] = await timed(() => draw(model, prompts[index % prompts.length] ?? ''))
    drawn.push({ seconds, processor: secondsSince(started), spent: { ...spent }, memory: memory() })
  }
  await engine.dispose()
  const [first, ...following] = drawn
  if (first === undefined) throw new Error('nothing was drawn')
  const of = (component: Component) => following.map((picture) => picture.spent[component])
  return {
    first: {
      load,
      seconds: [load + first.seconds],
      processor: [opening + first.processor],
      ...first.memory,
    },
    following: {
      seconds: following.map(({ seconds }) => seconds),
      processor: following.map(({ processor }) => processor),
      components: { 'text encoder': of('text encoder'), UNet: of('UNet'), 'VAE decoder': of('VAE decoder') },
      ...(following.at(-1) ?? first).memory,
    },
  }
}

async function draw(model: StableDiffusion, prompt: string): Promise<void> {
  const run = textToImage(model, {
    prompt,
    scheduler: { name: 'LCM' },
    schedule: { numInferenceSteps: steps },
    guidanceScale: 1,
    seed: 1n,
    width: size,
    height: size,
  })
  for (let next = await run.next(); !next.done; ) next = await run.next()
}

/** Has a model's components add the seconds that are spent in them to what is returned. */
function watchComponents({ textEncoders, unet, vae }: StableDiffusion): Record<Component, number> {
  const spent = { 'text encoder': 0, UNet: 0, 'VAE decoder': 0 }
  const watched =
    <Inputs extends unknown[], T>(component: Component, work: (...inputs: Inputs) => Promise<T>) =>
    async (...inputs: Inputs): Promise<T> => {
      const [result, seconds] = await timed(() => work(...inputs))
      spent[component] += seconds
      return result
    }
  textEncoders.encode = watched('text encoder', textEncoders.encode.bind(textEncoders))
  unet.predict = watched('UNet', unet.predict.bind(unet))
  vae.decode = watched('VAE decoder', vae.decode.bind(vae))
  return spent
}

/** Of the processor. */
function secondsSince(before: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(before)
  return (user + system) / 1e6
}

/** Linux's account of this process at its peak, and of what is its own now. */
function memory(): Pick<QuantityAnswer, 'peakBytes' | 'ownBytes'> {
  const status = readFileSync('/proc/self/status', 'utf8')
  const bytes = (name: string) => Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)?.[1]) * 1024
  return { peakBytes: bytes('VmHWM'), ownBytes: bytes('RssAnon') }
}

async function measure(): Promise<ProcessAnswer> {
  return part === 'picture' ? measurePictures() : { [part]: await measureNetwork() }
}

const answer = measurement.isExport === true ? await exportNetwork() : await measure()
process.stdout.write(`${JSON.stringify(answer)}\n`, () => process.exit(0))
