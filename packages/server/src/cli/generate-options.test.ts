import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { checkGenerateOptions, type GenerateOptions } from './generate-options.ts'

let folder: string

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'darkroom-generate-'))
  await mkdir(join(folder, 'model'))
  await mkdir(join(folder, 'taken.png'))
  await writeFile(join(folder, 'input.png'), '')
})
afterAll(async () => {
  await chmod(folder, 0o755)
  await rm(folder, { recursive: true, force: true })
})

const check = (options: Partial<GenerateOptions>) =>
  checkGenerateOptions(
    {
      checkpoint: join(folder, 'model'),
      prompt: 'a king',
      guidanceRescale: 0,
      eta: 0,
      clipSkip: 0,
      numImages: 1,
      lora: [],
      embedding: [],
      controlnet: [],
      ipAdapter: [],
      output: join(folder, 'out.png'),
      ...options,
    },
    ['LCM', 'Euler'],
  )

it('takes what can be drawn', async () => {
  await check({ scheduler: 'LCM', seed: 2n ** 64n - 1n, steps: 4 })
  await check({ image: join(folder, 'input.png'), strength: 0.5, lora: [`${join(folder, 'input.png')}:0.5`] })
})

it.each<[string, () => Partial<GenerateOptions>]>([
  ['--checkpoint', () => ({ checkpoint: join(folder, 'none') })],
  ['there is no such file', () => ({ image: join(folder, 'none.png') })],
  ['--lora', () => ({ lora: [`${join(folder, 'none.safetensors')}:0.8`] })],
  ['ends in .png', () => ({ output: join(folder, 'out.gif') })],
  ['it is a folder', () => ({ output: join(folder, 'taken.png') })],
  ['cannot write it into', () => ({ output: join(folder, 'none', 'out.png') })],
  ['--latents', () => ({ latents: join(folder, 'none', 'out.safetensors') })],
  ['expected one of LCM, Euler', () => ({ scheduler: 'Eular' })],
  ['expected an integer from 0 to 18446744073709551615', () => ({ seed: 2n ** 64n })],
  ['expected an integer from 0', () => ({ seed: -1n })],
  ['not both', () => ({ timesteps: [999], sigmas: [1, 0] })],
  ['leave --steps out', () => ({ timesteps: [999], steps: 3 })],
  ['leave --width out', () => ({ image: join(folder, 'input.png'), width: 64 })],
  ['goes with --image', () => ({ strength: 0.5 })],
])('refuses in one line: %s', async (words, options) => {
  await expect(check(options())).rejects.toMatchObject({ name: 'UserError', message: expect.stringContaining(words) })
})
