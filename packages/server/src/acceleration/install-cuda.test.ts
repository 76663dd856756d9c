import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { installCuda } from './install-cuda.ts'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cuda-'))
})
afterAll(() => rm(folder, { recursive: true }))

async function script(text: string): Promise<string> {
  const path = join(folder, 'install.js')
  await writeFile(path, text)
  return path
}

test('onnxruntime’s script is told to fetch', async () => {
  const path = await script("if (process.argv[2] !== '--onnxruntime-node-install') process.exit(1)")
  await expect(installCuda('linux x64', path)).resolves.toBeUndefined()
})

test('its failure is one sentence, and so is a platform without CUDA', async () => {
  const failing = await script("throw new Error('getaddrinfo ENOTFOUND api.nuget.org')")
  await expect(installCuda('linux x64', failing)).rejects.toThrow(
    /^onnxruntime's CUDA libraries could not be fetched \(getaddrinfo ENOTFOUND api\.nuget\.org\); .*; the CPU goes on\.$/,
  )
  await expect(installCuda('linux x64', await script('process.exit(3)'))).rejects.toThrow(/it ended with code 3/)
  await expect(installCuda('darwin arm64', failing)).rejects.toThrow(/for Linux on x64 alone, and this is darwin arm64/)
})
