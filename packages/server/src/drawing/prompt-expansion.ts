import { type Engine, loadPromptExpander, type PromptExpander } from '@darkroom/engine'
import type { HandlerContext } from '../endpoints/endpoint.ts'
import type { ModelRegistry } from '../models/model-registry.ts'
import {
  DEMO_PROMPT_EXPANDER,
  PROMPT_EXPANDER_MODELS,
  type PromptExpanderFolder,
  promptExpanderFolder,
} from '../models/prompt-expander-folder.ts'
import { toWireError } from './engine-errors.ts'

export interface PromptExpansionOptions {
  readonly engine: Engine
  readonly registry: ModelRegistry
}

/** Expands prompts with what is on this machine, loaded on first use. */
export class PromptExpansion {
  readonly #options: PromptExpansionOptions
  readonly #loaded = new Map<string, Promise<PromptExpander>>()

  constructor(options: PromptExpansionOptions) {
    this.#options = options
  }

  /**
   * The prompt with words added, by the seed; the prompt as it is where no expander is here, which the request's log then says. It
   * looks each time, so an expander added later is found.
   * @param isForDemo whether a demo checkpoint draws: words that it does not know would be lost on it, so its own expander writes
   * @throws WireError when an expander is here and cannot be used
   */
  async expand(
    prompt: string,
    seed: bigint,
    isForDemo: boolean,
    context: Pick<HandlerContext, 'log'>,
  ): Promise<string> {
    const { registry } = this.#options
    const found = isForDemo ? demoExpander(registry) : await promptExpanderFolder(registry)
    if (found === undefined) {
      const [, free] = PROMPT_EXPANDER_MODELS
      context.log(
        `expand_prompt: no prompt expander is on this server (its operator can fetch one with: darkroom pull ${free.name}); ` +
          'the prompt is used as it is',
        'WARN',
      )
      return prompt
    }
    try {
      const expander = await this.#load(found.folder, () => {
        context.log(`Loading ${found.name}`)
        if (found.isNonCommercial) context.log(`${found.name} is licensed for non-commercial use`, 'WARN')
      })
      return await expander.expand(prompt, seed)
    } catch (error) {
      throw toWireError(error)
    }
  }

  #load(folder: string, onLoad: () => void): Promise<PromptExpander> {
    const known = this.#loaded.get(folder)
    if (known) return known
    onLoad()
    const loading = loadPromptExpander(this.#options.engine, folder)
    this.#loaded.set(folder, loading)
    loading.catch(() => this.#loaded.delete(folder))
    return loading
  }
}

function demoExpander(registry: ModelRegistry): PromptExpanderFolder {
  return { folder: registry.bundled(DEMO_PROMPT_EXPANDER), name: DEMO_PROMPT_EXPANDER, isNonCommercial: false }
}
