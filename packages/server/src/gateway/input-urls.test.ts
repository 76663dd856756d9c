import { describe, expect, it } from 'vitest'
import { type Environment, readConfig } from '../config/config.ts'
import type { EndpointSchema } from '../endpoints/endpoint.ts'
import { controlNetIpAdapter } from '../endpoints/fal-ai/controlnet-ip-adapter/schema.ts'
import { fastLcmDiffusionImageToImage } from '../endpoints/fal-ai/fast-lcm-diffusion/schema.ts'
import { lcm, lcmSd15ImageToImage } from '../endpoints/fal-ai/lcm/schema.ts'
import { lora } from '../endpoints/fal-ai/lora/schema.ts'
import { parseInput } from '../validation/json-input.ts'
import type { GatewayDependencies } from './dependencies.ts'
import { refuseUnfetchableUrls } from './input-urls.ts'

const NO_ENVIRONMENT: Environment = {}
const config = readConfig({}, NO_ENVIRONMENT)

/** No host is known here. */
const find = () => Promise.reject(Object.assign(new Error('ENOTFOUND'), { code: 'ENOTFOUND' }))

function check(endpoint: EndpointSchema, input: unknown, weights?: GatewayDependencies['weights']): Promise<void> {
  return refuseUnfetchableUrls({ config, ...(weights && { weights }) }, endpoint, input, find)
}

describe('a picture', () => {
  it.each([
    'file:///etc/passwd',
    'gopher://example.com/',
    'ftp://example.com/a.png',
    'no url',
    'http://u:p@example.com/',
    'https://nowhere.example/a.png',
  ])('by %s is refused', async (image_url) => {
    await expect(check(fastLcmDiffusionImageToImage, { image_url })).rejects.toMatchObject({
      status: 422,
      detail: [{ loc: ['body', 'image_url'], type: 'file_download_error', input: image_url }],
      headers: { 'x-fal-billable-units': '0' },
    })
  })

  const ownFile = `/files/ab/${'0'.repeat(30)}_a.png`
  it.each([
    'data:image/png;base64,AA==',
    'http://127.0.0.1/a.png',
    `https://nowhere.example/cdn${ownFile}`,
    '',
    undefined,
    3,
  ])('by %s is left to the runner', (image_url) => check(fastLcmDiffusionImageToImage, { image_url }))

  it('of a field that is not used is not looked at', () =>
    check(lcmSd15ImageToImage, { image_url: 'data:,', mask_url: 'file:///mask.png' }))
})

const FTP = 'ftp://example.com/x'

it.each([
  [lora, { controlnets: [{ path: 'a/b' }, { path: 'a/b', image_url: FTP }] }, ['controlnets', 1, 'image_url']],
  [lora, { controlnets: [{ path: 'a/b', mask_image_url: FTP }] }, ['controlnets', 0, 'mask_image_url']],
  [lora, { controlnets: [{ path: 'a/b', config_url: FTP }] }, ['controlnets', 0, 'config_url']],
  [
    lora,
    { ip_adapter: [{ path: 'a/b', ip_adapter_image_url: ['data:,', FTP] }] },
    ['ip_adapter', 0, 'ip_adapter_image_url', 1],
  ],
  [lora, { ip_adapter: [{ path: 'a/b', ip_adapter_image_url: FTP }] }, ['ip_adapter', 0, 'ip_adapter_image_url']],
  [lora, { ic_light_image_url: FTP }, ['ic_light_image_url']],
  [controlNetIpAdapter, { ip_archive_url: FTP }, ['ip_archive_url']],
  [lcm, { image_url: 'data:,', mask_url: FTP }, ['mask_url']],
])('of a list or another field it is refused too: %#', async (endpoint, input, field) => {
  const refusal = { status: 422, detail: [{ loc: ['body', ...field], type: 'file_download_error' }] }
  await expect(check(endpoint, input)).rejects.toMatchObject(refusal)
  // As a queued request has it, which nobody has validated.
  await expect(check(endpoint, parseInput(JSON.stringify(input)).value)).rejects.toMatchObject(refusal)
})

describe('weights', () => {
  it.each([
    { loras: [{ path: 'a/b' }, { path: FTP }] },
    { embeddings: [{ path: FTP }] },
    { controlnets: [{ path: FTP }] },
    { ip_adapter: [{ path: FTP }] },
    { model_name: FTP },
    { unet_name: FTP },
    { image_encoder_path: FTP },
    { ic_light_model_url: FTP },
  ])('of a scheme that nobody fetches are refused: %o', async (input) => {
    await expect(check(lora, input)).rejects.toMatchObject({
      status: 422,
      detail: expect.stringContaining('only http:, https:, hf: and data: are fetched'),
    })
  })

  it('of a server that does not exist are refused, unless they are here', async () => {
    const input = { loras: [{ path: 'https://nowhere.example/x.safetensors' }] }
    await expect(check(lora, input)).rejects.toMatchObject({
      status: 422,
      detail: 'https://nowhere.example/x.safetensors could not be fetched: its server does not exist.',
    })
    const kept: string[] = []
    const isKept = async ({ href }: URL) => kept.push(href) > 0
    await check(lora, input, { isKept } as GatewayDependencies['weights'])
    expect(kept).toEqual(['https://nowhere.example/x.safetensors'])
  })

  it.each(['owner/name', 'hf://owner/name', '/models/x.safetensors', 'data:,', 'https://huggingface.co/a/b', 'x'])(
    'by %s are left to the runner',
    (path) => check(lora, { loras: [{ path }] }),
  )
})

it('passes over what does not fit the schema', () =>
  check(lora, { loras: 'file:///a', controlnets: [null, 'file:///b', { path: 3 }], ip_adapter: { path: FTP } }))
