import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { SAMPLE_WEIGHTS, safetensorsBytes } from '../../test/fakes/sample-weights.ts'
import { inspectWeights, WeightsInspector } from './weights-content.ts'

let folder = ''
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'darkroom-content-'))
})
afterAll(() => rm(folder, { recursive: true }))

async function inspect(bytes: Uint8Array | string) {
  // A name that says something else than what is in it.
  const path = join(folder, 'picture.png')
  await writeFile(path, bytes)
  return inspectWeights(path)
}

describe('safetensors files by their keys', () => {
  it.each([
    [{ 'lora_unet_x_attn2_to_k.lora_down.weight': [4, 768] }, 'lora', 'sd15'],
    [{ 'unet.x.attn2.to_k.lora_A.weight': [4, 2048] }, 'lora', 'sdxl'],
    [{ 'unet.x.attn2.processor.to_k_lora.down.weight': [4, 768] }, 'lora', 'sd15'],
    [{ 'lora_te2_text_model.lora_down.weight': [4, 1280] }, 'lora', 'sdxl'],
    [{ 'control_model.time_embed.0.weight': [1] }, 'controlnet', undefined],
    [
      { 'controlnet_cond_embedding.conv_in.weight': [1], 'down_blocks.0.attentions.0.attn2.to_k.weight': [320, 768] },
      'controlnet',
      'sd15',
    ],
    [{ 'cond_stage_model.x': [1], 'model.diffusion_model.x.attn2.to_k.weight': [320, 768] }, 'base', 'sd15'],
    [{ 'cond_stage_model.x': [1], 'model.diffusion_model.x.attn2.to_k.weight': [320, 1024] }, 'base', 'sd2'],
    [{ 'conditioner.embedders.1.model.ln_final.weight': [1] }, 'base', 'sdxl'],
    [
      {
        'down_blocks.0.resnets.0.conv1.weight': [1],
        'conv_in.weight': [320, 4, 3, 3],
        'x.attn2.to_k.weight': [640, 2048],
      },
      'unet',
      'sdxl',
    ],
    [{ 'down_blocks.0.resnets.0.conv1.weight': [1], 'conv_in.weight': [320, 12, 3, 3] }, 'ic-light', undefined],
    [{ 'down_blocks.0.resnets.0.conv1.weight': [1], 'conv_in.weight': [320, 9, 3, 3] }, 'unet', undefined],
    [{ 'first_stage_model.decoder.conv_in.weight': [1] }, 'vae', undefined],
    [{ 'encoder.conv_in.weight': [1], 'decoder.up.0.block.0.conv1.weight': [1] }, 'vae', undefined],
    [{ 'image_proj.proj.weight': [1], 'ip_adapter.1.to_k_ip.weight': [320, 768] }, 'ip-adapter', 'sd15'],
    [{ 'vision_model.embeddings.class_embedding': [1280] }, 'image-encoder', undefined],
    [{ emb_params: [4, 768] }, 'embedding', 'sd15'],
    [{ clip_g: [2, 1280], clip_l: [2, 768] }, 'embedding', 'sdxl'],
    [{ '<cat>': [768] }, 'embedding', 'sd15'],
    [{ concept_embeds: [17, 768] }, 'safety-checker', undefined],
    [{ 'something.else': [3] }, undefined, undefined],
  ])('%j', async (shapes, kind, family) => {
    expect(await inspect(safetensorsBytes(shapes as Record<string, number[]>))).toEqual({
      format: 'safetensors',
      ...(kind && { kind }),
      ...(family && { family }),
    })
  })
})

describe('other files', () => {
  it.each([
    ['\x80\x02}q\x00.', { foreign: expect.stringMatching(/^a file that cannot be read/) }],
    [
      Buffer.concat([Buffer.from('PK\x03\x04'), Buffer.alloc(22), Buffer.of(5, 0, 0, 0), Buffer.from('a.jpg')]),
      { format: 'zip' },
    ],
    [Buffer.of(8, 7, 0x12, 3, 0x61, 0x62, 0x63), { format: 'onnx' }],
    ['<!DOCTYPE html><html>', { foreign: 'a web page' }],
    ['version https://git-lfs.github.com/spec/v1', { foreign: 'a Git LFS pointer' }],
    ['{"error":"not found"}', { foreign: 'a JSON text' }],
    ['', { foreign: 'an empty file' }],
    ['\xff\xd8\xff\xe0 picture', { foreign: 'a file of another kind' }],
  ])('%j', async (bytes, expected) => {
    expect(await inspect(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes)).toEqual(expected)
  })

  it('says what is wrong with a safetensors file that ends early, without its path', async () => {
    const whole = safetensorsBytes({ x: [100] })
    const content = await inspect(whole.subarray(0, whole.length - 8))
    expect(content).toEqual({ foreign: expect.stringMatching(/^a file that cannot be read \(x should end at byte/) })
  })
})

it.each(['adapter.bin', 'parameters.bin', 'lightning-legacy.bin', 'embedding.bin'])(
  'reads the names in %s',
  async (name) => {
    const path = new URL(`../../../engine/test/golden/data/torch-files/${name}`, import.meta.url).pathname
    expect(await inspectWeights(path)).toMatchObject({ format: 'pytorch' })
  },
)

it('reads a file again when it has changed', async () => {
  const inspector = new WeightsInspector()
  const path = join(folder, 'x')
  await writeFile(path, SAMPLE_WEIGHTS.lora)
  expect(await inspector.inspect(path)).toMatchObject({ kind: 'lora' })
  await writeFile(path, SAMPLE_WEIGHTS.embedding)
  expect(await inspector.inspect(path)).toMatchObject({ kind: 'embedding' })
})
