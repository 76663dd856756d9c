import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { openComponent } from '../../src/checkpoint/checkpoint.ts'
import { openWeightFile } from '../../src/checkpoint/component-weights.ts'
import { readSafetensors, readTensor, writeSafetensors } from '../../src/formats/safetensors.ts'
import { applyControlNets } from '../../src/pipelines/apply-controlnets.ts'
import { applyIcLight, resizeAndCrop } from '../../src/pipelines/apply-ic-light.ts'
import { applyImagePrompts } from '../../src/pipelines/apply-image-prompts.ts'
import { loadControlNet } from '../../src/pipelines/controlnet.ts'
import { openEngine } from '../../src/pipelines/engine.ts'
import { loadImageEncoder } from '../../src/pipelines/image-encoder.ts'
import { loadIPAdapter } from '../../src/pipelines/ip-adapter.ts'
import { loadStableDiffusion } from '../../src/pipelines/load-stable-diffusion.ts'
import { textToImage } from '../../src/pipelines/text-to-image.ts'
import { relativeError } from '../../src/tensor/relative-error.ts'
import { type FloatTensor, float32 } from '../../src/tensor/tensor.ts'
import { DATA } from './model-case.ts'
import { noiseImage } from './noise-image.ts'

const FOLDER = join(DATA, 'conditioning')
const SIZE = { width: 64, height: 48 }
const image = noiseImage(20, 20)

describe('what does not fit is refused by name', async () => {
  const engine = openEngine({ threads: 1 })
  const folder = await mkdtemp(join(tmpdir(), 'conditioning-'))
  afterAll(async () => {
    await engine.dispose()
    await rm(folder, { recursive: true })
  })
  const load = (name: string, icLight?: string) =>
    loadStableDiffusion(engine, join(DATA, 'checkpoints', name), {
      ...(icLight !== undefined && { icLight: join(FOLDER, `${icLight}.safetensors`) }),
    })
  const sd15 = await load('tiny-sd15')
  const controlnet = async (name: string) =>
    loadControlNet(engine, await openComponent(join(FOLDER, name), 'controlnet'))
  const ipAdapter = async (path: string, unet = sd15.unet.config) => {
    const weights = () => openWeightFile('ip_adapter', path)
    return (await loadIPAdapter(engine, unet, { name: 'ip_adapter', weights })).adapter
  }
  const adapterOf = (name: string) => ipAdapter(join(FOLDER, `${name}.safetensors`))
  const written = async (name: string, keys: readonly string[]) => {
    const path = join(folder, `${name}.safetensors`)
    await writeSafetensors(path, Object.fromEntries(keys.map((key) => [key, float32([1])])))
    return path
  }

  test('ControlNets of another family, ranges that are none, masks of another size', async () => {
    const [own, other] = [await controlnet('controlnet-sd15'), await controlnet('controlnet-sdxl')]
    expect(() =>
      applyControlNets(
        sd15,
        [
          { model: own, image },
          { model: other, image },
        ],
        SIZE,
      ),
    ).toThrow('controlnets.1.path: is a ControlNet of another family')
    const range = { model: own, image, startPercentage: 0.5, endPercentage: 0.5 }
    expect(() => applyControlNets(sd15, [range], SIZE)).toThrow('controlnets.0.startPercentage: must be at least 0')
    const mask = noiseImage(20, 21)
    expect(() => applyControlNets(sd15, [{ model: own, image, mask }], SIZE)).toThrow(
      "controlnets.0.mask: must have the control picture's size 20×20, got 20×21",
    )
  })

  test.each([
    ['lora_controlnet', /Control-LoRA, which is not supported/],
    ['task_embedding', /Union ControlNet, which is not supported/],
  ])('a file with %s', async (key, message) => {
    const path = await written(key, [key])
    const component = {
      ...(await openComponent(join(FOLDER, 'controlnet-sd15'), 'controlnet')),
      weights: () => openWeightFile('controlnet', path),
    }
    await expect(loadControlNet(engine, component)).rejects.toThrow(message)
  })

  test('IP-Adapters of another family and files that are none', async () => {
    const { config } = (await load('tiny-sdxl')).unet
    await expect(ipAdapter(join(FOLDER, 'base.safetensors'), config)).rejects.toThrow(
      /is for a UNet with 7 cross-attentions .* this base model has \d+/,
    )
    await expect(ipAdapter(await written('none', ['conv_in.weight']))).rejects.toThrow('is no IP-Adapter')
    await expect(ipAdapter(await written('odd', ['image_proj.what.weight']))).rejects.toThrow(
      /image_proj has keys of no IP-Adapter that is known .*: what.weight/,
    )
  })

  test('adapters whose weights are no numbers', async () => {
    const broken = async (source: string, key: string, target: string) => {
      const file = await readSafetensors(source)
      const tensors: Record<string, FloatTensor> = {}
      for (const name of file.tensors.keys()) tensors[name] = await readTensor(file, name)
      tensors[key]?.data.fill(Number.NaN)
      await writeSafetensors(join(folder, target), tensors)
      return join(folder, target)
    }
    const embedding = [float32([14])]
    const path = await broken(join(FOLDER, 'face-id.safetensors'), 'image_proj.norm.bias', 'nan-face.safetensors')
    const adapter = await ipAdapter(path)
    await expect(applyImagePrompts(sd15, [{ adapter, faceEmbeddings: embedding }], SIZE)).rejects.toThrow(
      'nan-face.safetensors gives values that are no finite numbers',
    )
    const weights = join(FOLDER, 'controlnet-sd15/diffusion_pytorch_model.safetensors')
    const control = await broken(weights, 'controlnet_down_blocks.1.bias', 'nan-control.safetensors')
    const component = await openComponent(join(FOLDER, 'controlnet-sd15'), 'controlnet')
    const model = await loadControlNet(engine, { ...component, weights: () => openWeightFile('controlnet', control) })
    const run = textToImage(sd15, {
      prompt: '',
      schedule: { numInferenceSteps: 2 },
      guidanceScale: 1,
      seed: 1n,
      ...SIZE,
      adapters: { unet: [applyControlNets(sd15, [{ model, image }], SIZE)] },
    })
    await expect(run.next()).rejects.toThrow('controlnet-sd15 gives values that are no finite numbers')
  })

  test('a picture of noise in place of none changes what guidance leads away from', async () => {
    const encoder = await loadImageEncoder(engine, await openComponent(join(FOLDER, 'image-encoder'), 'image_encoder'))
    const adapter = await adapterOf('base')
    const negative = async (unconditionalNoise: number) => {
      const prompt = { adapter, encoder, images: [image, image], unconditionalNoise }
      const { tokens } = await applyImagePrompts(sd15, [prompt], SIZE)
      return tokens[0]?.negative() as Promise<FloatTensor>
    }
    const [none, some, again] = [await negative(0), await negative(0.5), await negative(0.5)]
    expect(some.shape).toEqual([1, 8, 16])
    expect(some.data).toEqual(again.data)
    expect(relativeError(some, none)).toBeGreaterThan(0.01)
  })

  test('image prompts without pictures, encoder or face, or with another encoder', async () => {
    const encoder = await loadImageEncoder(engine, await openComponent(join(FOLDER, 'image-encoder'), 'image_encoder'))
    const [base, face, facePlus] = [
      await adapterOf('base'),
      await adapterOf('face-id'),
      await adapterOf('face-id-plus'),
    ]
    const apply = (prompt: Parameters<typeof applyImagePrompts>[1][number]) => applyImagePrompts(sd15, [prompt], SIZE)
    await expect(apply({ adapter: base, images: [image] })).rejects.toThrow(
      'ip_adapter.0.encoder: this IP-Adapter needs',
    )
    await expect(apply({ adapter: base, encoder, images: [] })).rejects.toThrow(
      'ip_adapter.0.images: must have at least one',
    )
    await expect(apply({ adapter: face, images: [image], encoder })).rejects.toThrow(
      'ip_adapter.0.faceEmbeddings: this',
    )
    await expect(apply({ adapter: face, faceEmbeddings: [float32([9])] })).rejects.toThrow(
      'must have 14 numbers, got 9',
    )
    await expect(
      apply({ adapter: facePlus, encoder, images: [image, image], faceEmbeddings: [float32([14])] }),
    ).rejects.toThrow('ip_adapter.0.images: must be one for each face: 1, got 2')
    await expect(
      apply({ adapter: base, encoder, images: [image, image, image], masks: [image, image] }),
    ).rejects.toThrow('ip_adapter.0.masks: must be one, or one for each of the 3 pictures, got 2')
    const other = { ...encoder.config, projectionSize: 8 }
    await expect(
      apply({ adapter: base, encoder: Object.create(encoder, { config: { value: other } }), images: [image] }),
    ).rejects.toThrow('the image encoder gives 8 features, the IP-Adapter takes 20')
  })

  test('IC-Light without its offsets, and backgrounds that are not taken or missing', async () => {
    await expect(applyIcLight(sd15, { image }, SIZE)).rejects.toThrow('ic_light: the model was loaded without IC-Light')
    const fc = await load('tiny-sd15', 'ic-light-fc')
    await expect(applyIcLight(fc, { image, background: image }, SIZE)).rejects.toThrow(
      'ic_light_background: this IC-Light model takes no background',
    )
    const fbc = await load('tiny-sd15', 'ic-light-fbc')
    await expect(applyIcLight(fbc, { image }, SIZE)).rejects.toThrow('this IC-Light model needs a background')
    await expect(load('tiny-sdxl', 'ic-light-fc')).rejects.toThrow(/ic-light-fc.safetensors is not made for tiny-sdxl/)
  })

  test('pictures are cropped to the middle of the size that covers', () => {
    const tall = resizeAndCrop(noiseImage(30, 41), 60, 40)
    expect([tall.width, tall.height]).toEqual([60, 40])
    expect(resizeAndCrop(image, 20, 20).data).toEqual(image.data)
  })
})
