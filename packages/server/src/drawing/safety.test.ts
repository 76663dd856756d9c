import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { decodeImage, encodeImage, openEngine, type RgbImage } from '@darkroom/engine'
import { afterAll, beforeEach, describe, expect, it } from 'vitest'
import { localModels } from '../../test/fakes/local-models.ts'
import type { HandlerContext, RunnableEndpoint } from '../endpoints/endpoint.ts'
import { createEndpoints as createFastLcmDiffusion } from '../endpoints/fal-ai/fast-lcm-diffusion/handler.ts'
import { fastLcmDiffusion } from '../endpoints/fal-ai/fast-lcm-diffusion/schema.ts'
import { createEndpoints as createLcmSd15ImageToImage } from '../endpoints/fal-ai/lcm/handler.ts'
import { lcmSd15ImageToImage } from '../endpoints/fal-ai/lcm/schema.ts'
import type { WireError } from '../errors/errors.ts'
import { ModelRegistry } from '../models/model-registry.ts'
import { ImageEngine } from './image-engine.ts'
import { openSafetyScreen } from './safety.ts'

const CHECKPOINTS = join(import.meta.dirname, '../../../engine/test/golden/data/checkpoints')
const MODEL = 'runwayml/stable-diffusion-v1-5'
const V1 = 'CompVis/stable-diffusion-safety-checker'
const V2 = 'Falconsai/nsfw_image_detection'
const SIZE = 32

const shared = openEngine({ threads: 1 })
const created: string[] = []
let models: string
let engine: ImageEngine

beforeEach(async () => {
  models = await mkdtemp(join(tmpdir(), 'darkroom-models-'))
  created.push(models)
  await install('tiny-sd15', MODEL)
  const registry = new ModelRegistry({ modelFolders: [models], hubCaches: [], bundledFolder: join(models, 'none') })
  engine = new ImageEngine({ engine: shared, registry, store: localModels(models).store })
})

afterAll(async () => {
  await shared.dispose()
  for (const folder of created) await rm(folder, { recursive: true, force: true })
})

async function install(checkpoint: string, place: string): Promise<void> {
  await mkdir(join(models, place), { recursive: true })
  await cp(join(CHECKPOINTS, checkpoint), join(models, place), { recursive: true })
}

/** Overwrites a float32 tensor of a safetensors file. */
async function overwrite(place: string, key: string, value: (index: number) => number): Promise<void> {
  const path = join(models, place, 'model.safetensors')
  const bytes = await readFile(path)
  const headerLength = Number(bytes.readBigUInt64LE(0))
  const header = JSON.parse(bytes.toString('utf8', 8, 8 + headerLength))
  const [start, end] = header[key].data_offsets as [number, number]
  for (let i = 0; i < (end - start) / 4; i++) bytes.writeFloatLE(value(i), 8 + headerLength + start + i * 4)
  await writeFile(path, bytes)
}

/** No cosine is below −1, so a threshold of −2 is always exceeded, and 2 never. */
const setV1 = (verdict: 'flag' | 'pass', place = V1) =>
  overwrite(place, 'concept_embeds_weights', () => (verdict === 'flag' ? -2 : 2))

/** The second of the labels is `nsfw`. */
const setV2 = (verdict: 'flag' | 'pass') =>
  overwrite(V2, 'classifier.bias', (i) => ((i === 1) === (verdict === 'flag') ? 1000 : -1000))

interface Answer {
  readonly output: Readonly<Record<string, unknown>>
  readonly pictures: readonly RgbImage[]
  readonly previews: number
  readonly headers: Readonly<Record<string, string>>
  readonly log: string
}

async function run([endpoint]: readonly RunnableEndpoint[], input: unknown, streaming = false): Promise<Answer> {
  if (endpoint === undefined) throw new Error('no endpoint')
  const files = new Map<string, Uint8Array>()
  const headers: Record<string, string> = {}
  const log: string[] = []
  const context: HandlerContext = {
    requestId: 'request',
    signal: new AbortController().signal,
    streaming,
    inlineBytes: false,
    log: (message) => log.push(message),
    async saveFile(bytes, contentType, extension) {
      const fileName = `${files.size}.${extension}`
      const url = `http://127.0.0.1/${fileName}`
      files.set(url, bytes)
      return { url, contentType, fileName, fileSize: bytes.length }
    },
    readFile: () => encodeImage({ width: SIZE, height: SIZE, data: new Uint8Array(SIZE * SIZE * 3).fill(90) }, 'png'),
    openOwnFile: async () => undefined,
    reserveMemory: async () => {},
    handOnDevice: async () => {},
    setHeader: (name, value) => Object.assign(headers, { [name]: value }),
  }
  const generator = await endpoint.handler(input, context)
  let previews = 0
  let next = await generator.next()
  for (; !next.done; next = await generator.next()) previews++
  const output = next.value as Answer['output']
  // Several pictures are stored at once, in any order.
  const images = output.images as readonly { readonly url: string }[]
  const pictures = await Promise.all(images.map(({ url }) => decodeImage(files.get(url) as Uint8Array)))
  return { output, pictures, previews, headers, log: log.join('\n') }
}

function draw(input: object = {}, streaming = false): Promise<Answer> {
  const parsed = fastLcmDiffusion.input.parse({
    model_name: MODEL,
    prompt: 'a king',
    image_size: { width: SIZE, height: SIZE },
    num_inference_steps: 2,
    num_images: 2,
    guidance_scale: 1,
    seed: 5n,
    format: 'png',
    sync_mode: false,
    ...input,
  })
  return run(createFastLcmDiffusion(engine), parsed, streaming)
}

const isBlack = ({ data }: RgbImage) => data.every((value) => value === 0)

describe('with a checker on this machine', () => {
  it('replaces flagged pictures by black ones of the same size and says so', async () => {
    await install('tiny-safety-v1', V1)
    await setV1('flag')
    const { output, pictures, headers, log } = await draw()
    expect(output.has_nsfw_concepts).toEqual([true, true])
    expect(output.images).toMatchObject([
      { width: SIZE, height: SIZE },
      { width: SIZE, height: SIZE },
    ])
    expect(pictures.map(isBlack)).toEqual([true, true])
    expect(pictures[0]).toMatchObject({ width: SIZE, height: SIZE })
    expect(log).toContain('flagged 2 of 2')
    expect(headers).not.toHaveProperty('x-darkroom-safety-checker')
  })

  it('leaves other pictures as they are drawn', async () => {
    const unchecked = await draw({ enable_safety_checker: false })
    expect(unchecked.output.has_nsfw_concepts).toEqual([false, false])
    await install('tiny-safety-v1', V1)
    await setV1('pass')
    const { output, pictures } = await draw()
    expect(output.has_nsfw_concepts).toEqual([false, false])
    expect(pictures).toEqual(unchecked.pictures)
    expect(pictures.some(isBlack)).toBe(false)
  })

  it('shows no flagged intermediate picture', async () => {
    await install('tiny-safety-v1', V1)
    await setV1('pass')
    expect((await draw({}, true)).previews).toBe(2)
    await install('tiny-safety-v2', V2)
    await setV2('flag')
    expect((await draw({ safety_checker_version: 'v2' }, true)).previews).toBe(0)
    expect((await draw({ safety_checker_version: 'v2', enable_safety_checker: false }, true)).previews).toBe(2)
  })

  it('takes the version that was asked for', async () => {
    await install('tiny-safety-v1', V1)
    await install('tiny-safety-v2', V2)
    await setV1('pass')
    await setV2('flag')
    expect((await draw({ safety_checker_version: 'v1' })).output.has_nsfw_concepts).toEqual([false, false])
    expect((await draw({ safety_checker_version: 'v2' })).output.has_nsfw_concepts).toEqual([true, true])
  })

  it('flags each picture by itself', async () => {
    await install('tiny-safety-v2', V2)
    const context = { log: () => {} } as unknown as HandlerContext
    const request = { checkSafety: true, safetyCheckerVersion: 'v2' } as const
    const safety = await openSafetyScreen(engine.safetyCheckers, request, models, context)
    // What the tiny classifier makes of these colours is in the engine's golden data.
    const [red, blue] = [flat(42, 42, [250, 40, 10]), flat(200, 51, [20, 60, 200])]
    const { pictures, nsfwFlags } = await safety.screen([red, blue, red])
    expect(nsfwFlags).toEqual([false, true, false])
    expect(pictures).toEqual([red, flat(200, 51, [0, 0, 0]), red])
    expect([await safety.mayShow(red), await safety.mayShow(blue)]).toEqual([true, false])
  })

  it('serves lcm-sd15-i2i', async () => {
    await install('tiny-safety-v1', V1)
    await setV1('flag')
    const parsed = lcmSd15ImageToImage.input.parse({ prompt: 'a king', image_url: 'http://127.0.0.1/picture.png' })
    const { output, pictures } = await run(createLcmSd15ImageToImage(engine), parsed)
    expect(output.nsfw_content_detected).toEqual([true])
    expect(pictures.map(isBlack)).toEqual([true])
  })

  it('takes the one that came with the checkpoint where v1 is not there by itself', async () => {
    await install('tiny-safety-base', MODEL)
    await setV1('flag', `${MODEL}/safety_checker`)
    expect((await draw()).output.has_nsfw_concepts).toEqual([true, true])
    expect((await draw({ safety_checker_version: 'v2' })).output.has_nsfw_concepts).toEqual([false, false])
    await rm(join(models, MODEL, 'safety_checker', 'model.safetensors'))
    expect((await draw()).output.has_nsfw_concepts).toEqual([false, false])
  })

  it('draws nothing when the checker cannot be used', async () => {
    await install('tiny-safety-v1', V1)
    await rm(join(models, V1, 'model.safetensors'))
    const error = await draw().catch((reason: WireError) => reason)
    expect(error).toMatchObject({ status: 422 })
    expect((error as WireError).message).toContain('no weights for safety_checker')
    await draw({ enable_safety_checker: false })
  })
})

describe('without a checker on this machine', () => {
  it('flags nothing, and says in a header and the log that nobody looked', async () => {
    const { output, headers, log, previews } = await draw({}, true)
    expect(output.has_nsfw_concepts).toEqual([false, false])
    expect(headers['x-darkroom-safety-checker']).toBe('not-installed')
    expect(log).toContain(`${V1} is not on this machine: the pictures are not checked`)
    expect(previews).toBe(2)
  })

  it('refuses where one is required, but for requests that want none', async () => {
    const registry = new ModelRegistry({ modelFolders: [models], hubCaches: [], bundledFolder: join(models, 'none') })
    engine = new ImageEngine({ engine: shared, registry, store: engine.store, requireSafetyChecker: true })
    await expect(draw()).rejects.toMatchObject({
      status: 422,
      message: expect.stringContaining('draws nothing that is'),
    })
    expect((await draw({ enable_safety_checker: false })).output.has_nsfw_concepts).toEqual([false, false])
  })

  it('shows flags with the demo checker where that is wanted, which is none where one is required', async () => {
    await install('tiny-safety-v1', 'bundled/pinhole-safety-checker')
    await setV1('flag', 'bundled/pinhole-safety-checker')
    const registry = new ModelRegistry({
      modelFolders: [models],
      hubCaches: [],
      bundledFolder: join(models, 'bundled'),
    })
    const options = { engine: shared, registry, store: engine.store, demoSafetyChecker: true }
    engine = new ImageEngine(options)
    const { output, headers, log, pictures } = await draw()
    expect(output.has_nsfw_concepts).toEqual([true, true])
    expect(pictures.map(isBlack)).toEqual([true, true])
    expect(headers['x-darkroom-safety-checker']).toBe('demo')
    expect(log).toContain('flags neon pictures and nothing else')
    engine = new ImageEngine({ ...options, requireSafetyChecker: true })
    await expect(draw()).rejects.toMatchObject({ status: 422 })
    await install('tiny-safety-v1', V1)
    await setV1('pass')
    engine = new ImageEngine(options)
    expect(await draw()).toMatchObject({ output: { has_nsfw_concepts: [false, false] }, headers: {} })
  })

  it('serves lcm-sd15-i2i with one flag a picture', async () => {
    const parsed = lcmSd15ImageToImage.input.parse({ prompt: 'a king', image_url: 'http://x/y.png', num_images: 2 })
    const { output } = await run(createLcmSd15ImageToImage(engine), parsed)
    expect(output.nsfw_content_detected).toEqual([false, false])
  })

  it('finds one that is added later', async () => {
    expect((await draw()).output.has_nsfw_concepts).toEqual([false, false])
    await install('tiny-safety-v1', V1)
    await setV1('flag')
    expect((await draw()).output.has_nsfw_concepts).toEqual([true, true])
  })
})

function flat(width: number, height: number, colour: readonly number[]): RgbImage {
  const data = Uint8Array.from({ length: width * height * 3 }, (_, i) => colour[i % 3] as number)
  return { width, height, data }
}
