import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { ModelRegistry } from './model-registry.ts'

/** The models that fal's toolkit checks pictures with, by fal's names of their versions. */
export const SAFETY_CHECKER_MODELS = {
  v1: 'CompVis/stable-diffusion-safety-checker',
  v2: 'Falconsai/nsfw_image_detection',
} as const

export type SafetyCheckerVersion = keyof typeof SAFETY_CHECKER_MODELS

/**
 * The folder of the checker of that version: its own repository or, for v1, the checkpoint that came with one.
 * @param checkpointFolder the model that draws
 * @returns undefined when it is not on this machine
 */
export async function safetyCheckerFolder(
  registry: ModelRegistry,
  version: SafetyCheckerVersion,
  checkpointFolder: string,
): Promise<string | undefined> {
  return (await registry.find(SAFETY_CHECKER_MODELS[version])) ?? (await ownChecker(version, checkpointFolder))
}

/** The checkpoint's folder when it has a checker of its own. Many downloads leave the checker's weights out: then it has none. */
async function ownChecker(version: SafetyCheckerVersion, checkpointFolder: string): Promise<string | undefined> {
  if (version !== 'v1') return undefined
  const names = await readdir(join(checkpointFolder, 'safety_checker')).catch((): string[] => [])
  const isComplete = names.includes('config.json') && names.some((name) => name.endsWith('.safetensors'))
  return isComplete ? checkpointFolder : undefined
}
