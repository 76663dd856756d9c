import type { ModelRegistry } from './model-registry.ts'

/** The models that expand prompts, best first; the first was trained for Fooocus and is for non-commercial use. */
export const PROMPT_EXPANDER_MODELS = [
  { name: 'LykosAI/GPT-Prompt-Expansion-Fooocus-v2', isNonCommercial: true },
  { name: 'Gustavosta/MagicPrompt-Stable-Diffusion', isNonCommercial: false },
] as const

export interface PromptExpanderFolder {
  readonly folder: string
  readonly name: string
  /** Whether its licence forbids commercial use. */
  readonly isNonCommercial: boolean
}

/** The best prompt expander on this machine, or undefined when there is none. */
export async function promptExpanderFolder(registry: ModelRegistry): Promise<PromptExpanderFolder | undefined> {
  for (const model of PROMPT_EXPANDER_MODELS) {
    const folder = await registry.find(model.name)
    if (folder !== undefined) return { ...model, folder }
  }
  return undefined
}

/** The folder of the expander that comes with the program: it knows the demo checkpoint's words alone. */
export const DEMO_PROMPT_EXPANDER = 'pinhole-prompt-expander'
