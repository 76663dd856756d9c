import { expect, test } from 'vitest'
import { displayName } from './display-name.ts'
import { WeightFileError } from './weight-file-error.ts'

test.each([
  ['/home/me/models/owner/name', 'name'],
  [
    '/home/me/models/owner/name/unet/diffusion_pytorch_model.fp16.safetensors',
    'unet/diffusion_pytorch_model.fp16.safetensors',
  ],
  ['/home/me/models/owner/name/text_encoder/model.safetensors', 'text_encoder/model.safetensors'],
  ['/home/me/models/owner/name/scheduler/scheduler_config.json', 'scheduler/scheduler_config.json'],
  ['/home/me/models/owner/name/model_index.json', 'model_index.json'],
  ['/home/me/models/dream.safetensors', 'dream.safetensors'],
  ['/cache/hub/models--owner--name/snapshots/0123abcd', 'owner/name'],
  ['/cache/hub/models--owner--name/snapshots/0123abcd/unet/config.json', 'owner/name/unet/config.json'],
])('%s is %s', (path, name) => {
  expect(displayName(path)).toBe(name)
  expect(new WeightFileError(path, 'it is empty').message).toBe(`${name}: it is empty`)
})
