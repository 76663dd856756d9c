import { describe, expect, it } from 'vitest'
import { selectComponent, selectFile, selectPipeline, withCompanions } from './weights-selection.ts'

const listed = (...paths: string[]) => paths.map((path) => ({ path, size: 1 }))
const paths = ({ files }: { files: readonly { path: string }[] }) => files.map(({ path }) => path).sort()

/** As stable-diffusion-v1-5 has them, and more. */
const SD15 = listed(
  '.gitattributes',
  'README.md',
  'model_index.json',
  'v1-5-pruned-emaonly.safetensors',
  'v1-5-pruned.ckpt',
  'feature_extractor/preprocessor_config.json',
  'safety_checker/config.json',
  'safety_checker/model.safetensors',
  'scheduler/scheduler_config.json',
  'text_encoder/config.json',
  'text_encoder/model.fp16.safetensors',
  'text_encoder/model.safetensors',
  'text_encoder/pytorch_model.bin',
  'text_encoder/flax_model.msgpack',
  'tokenizer/merges.txt',
  'tokenizer/special_tokens_map.json',
  'tokenizer/tokenizer_config.json',
  'tokenizer/vocab.json',
  'unet/config.json',
  'unet/diffusion_pytorch_model.bin',
  'unet/diffusion_pytorch_model.fp16.safetensors',
  'unet/diffusion_pytorch_model.non_ema.safetensors',
  'unet/diffusion_pytorch_model.safetensors',
  'unet/model.onnx',
  'vae/config.json',
  'vae/diffusion_pytorch_model.safetensors',
)
const INDEX = {
  _class_name: 'StableDiffusionPipeline',
  feature_extractor: ['transformers', 'CLIPImageProcessor'],
  safety_checker: ['stable_diffusion', 'StableDiffusionSafetyChecker'],
  scheduler: ['diffusers', 'PNDMScheduler'],
  text_encoder: ['transformers', 'CLIPTextModel'],
  tokenizer: ['transformers', 'CLIPTokenizer'],
  unet: ['diffusers', 'UNet2DConditionModel'],
  vae: ['diffusers', 'AutoencoderKL'],
  image_encoder: [null, null],
}
const CONFIGURATION = [
  'feature_extractor/preprocessor_config.json',
  'model_index.json',
  'scheduler/scheduler_config.json',
  'text_encoder/config.json',
  'tokenizer/merges.txt',
  'tokenizer/special_tokens_map.json',
  'tokenizer/tokenizer_config.json',
  'tokenizer/vocab.json',
  'unet/config.json',
  'vae/config.json',
]

describe('pipelines', () => {
  it('need one form of the weights, and no other frameworks, checkpoints or checkers', () => {
    const selection = selectPipeline(SD15, INDEX)
    const weights = [
      'text_encoder/model.safetensors',
      'unet/diffusion_pytorch_model.safetensors',
      'vae/diffusion_pytorch_model.safetensors',
    ]
    expect(paths(selection)).toEqual([...CONFIGURATION, ...weights].sort())
    expect(selection.missing).toEqual([])
    expect(selection.variant).toBeUndefined()
  })

  it('take the variant that is wanted, and the plain files where it is missing', () => {
    const selection = selectPipeline(SD15, INDEX, { variant: 'fp16' })
    const weights = [
      'text_encoder/model.fp16.safetensors',
      'unet/diffusion_pytorch_model.fp16.safetensors',
      'vae/diffusion_pytorch_model.safetensors',
    ]
    expect(paths(selection)).toEqual([...CONFIGURATION, ...weights].sort())
    expect(selection.variant).toBe('fp16')
  })

  it('say what they lack', () => {
    const without = SD15.filter(
      ({ path }) =>
        !path.startsWith('vae/diffusion') && path !== 'tokenizer/vocab.json' && !path.startsWith('scheduler'),
    )
    expect(selectPipeline(without, INDEX).missing).toEqual(['scheduler', 'weights of vae'])
  })
})

describe('components', () => {
  it('take half precision where nothing else is safetensors', () => {
    const files = listed('config.json', 'diffusion_pytorch_model.bin', 'diffusion_pytorch_model.fp16.safetensors')
    const selection = selectComponent(files, '')
    expect(paths(selection)).toEqual(['config.json', 'diffusion_pytorch_model.fp16.safetensors'])
    expect(selection.variant).toBe('fp16')
  })

  it('take a pickle where there is nothing better', () => {
    expect(paths(selectComponent(listed('config.json', 'pytorch_model.bin'), ''))).toEqual([
      'config.json',
      'pytorch_model.bin',
    ])
  })

  it.each([
    ['model.safetensors.index.json', 'model-00001-of-00002.safetensors', 'model-00002-of-00002.safetensors', undefined],
    [
      'model.safetensors.index.fp16.json',
      'model.fp16-00001-of-00002.safetensors',
      'model.fp16-00002-of-00002.safetensors',
      'fp16',
    ],
    [
      'model.safetensors.index.fp16.json',
      'model-00001-of-00002.fp16.safetensors',
      'model-00002-of-00002.fp16.safetensors',
      'fp16',
    ],
  ])('take all shards with their index: %s', (index, first, second, variant) => {
    const files = listed('config.json', index, first, second)
    expect(selectComponent(files, '')).toEqual({
      files: expect.arrayContaining(files),
      missing: [],
      ...(variant && { variant }),
    })
    expect(selectComponent(files.slice(0, 3), '').missing).toEqual(['2 shards of model'])
  })

  it('take the safetensors form of what is asked for by its old name', () => {
    const files = listed('e/config.json', 'e/model.safetensors', 'e/pytorch_model.bin', 'e/open_clip_pytorch_model.bin')
    expect(paths(selectComponent(files, 'e', { weightName: 'pytorch_model.bin' }))).toEqual([
      'e/config.json',
      'e/model.safetensors',
    ])
    expect(paths(selectComponent(files, 'e', { weightName: 'open_clip_pytorch_model.bin' }))).toEqual([
      'e/config.json',
      'e/open_clip_pytorch_model.bin',
    ])
  })

  it('say that a configuration is missing', () => {
    expect(selectComponent(listed('unet/diffusion_pytorch_model.safetensors'), 'unet').missing).toEqual([
      'unet/config.json',
    ])
  })
})

describe('single files', () => {
  const select = (
    files: string[],
    options: Parameters<typeof selectFile>[3] = {},
    kind: Parameters<typeof selectFile>[2] = 'lora',
    folder = '',
  ) => selectFile(listed(...files), folder, kind, options).map(({ path }) => path)

  it('are the one under the usual name', () => {
    expect(select(['a.safetensors', 'pytorch_lora_weights.safetensors', 'pytorch_lora_weights.bin'])).toEqual([
      'pytorch_lora_weights.safetensors',
    ])
    expect(select(['a.safetensors', 'adapter_model.safetensors'])).toEqual(['adapter_model.safetensors'])
    expect(select(['adapter_model.safetensors', 'pytorch_lora_weights.bin'])).toEqual(['pytorch_lora_weights.bin'])
    expect(select(['learned_embeds.bin', 'x.safetensors'], {}, 'embedding')).toEqual(['learned_embeds.bin'])
  })

  it('are the only one, training leftovers and pictures aside', () => {
    expect(
      select([
        'README.md',
        'x.safetensors',
        'x.ckpt',
        'optimizer.bin',
        'random_states_0.pt',
        'logs/y.safetensors',
        'a.png',
      ]),
    ).toEqual(['x.safetensors'])
  })

  it('are several when nothing says which', () => {
    expect(select(['a.safetensors', 'b.safetensors'])).toEqual(['a.safetensors', 'b.safetensors'])
  })

  it('are the one that is named, safetensors before pickles', () => {
    expect(select(['a.safetensors', 'b.safetensors', 'b.bin'], { weightName: 'b.bin' })).toEqual(['b.safetensors'])
    expect(select(['a.safetensors', 'c.bin'], { weightName: 'c.bin' })).toEqual(['c.bin'])
    expect(select(['a.safetensors'], { weightName: 'c.bin' })).toEqual([])
  })

  it('lie in the folder that is named', () => {
    expect(select(['a.safetensors', 'sub/b.safetensors'], {}, 'lora', 'sub')).toEqual(['sub/b.safetensors'])
  })

  it('bring along what has to lie beside them', () => {
    const files = listed('adapter_config.json', 'a/adapter_config.json', 'a/adapter_model.bin', 'a/b.safetensors')
    const beside = (path: string) =>
      withCompanions(files, listed(path)[0] as (typeof files)[number]).map((file) => file.path)
    expect(beside('a/adapter_model.bin')).toEqual(['a/adapter_model.bin', 'a/adapter_config.json'])
    expect(beside('adapter_model.safetensors')).toEqual(['adapter_model.safetensors', 'adapter_config.json'])
    expect(beside('b/adapter_model.safetensors')).toEqual(['b/adapter_model.safetensors'])
    expect(beside('a/b.safetensors')).toEqual(['a/b.safetensors'])
  })
})
