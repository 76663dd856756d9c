import { openEngine } from '@darkroom/engine'
import { type Config, preparedWeightsFolder } from '../config/config.ts'
import { ImageEngine } from '../drawing/image-engine.ts'
import type { ArithmeticName, Drawing, RunnableEndpoint } from '../endpoints/endpoint.ts'
import { ModelRegistry } from '../models/model-registry.ts'
import { chooseArithmetic } from './arithmetic.ts'
import { createModelStore } from './configured-model-store.ts'
import { configuredRecipes } from './configured-recipes.ts'
import { ENDPOINT_FOLDERS } from './endpoints.ts'
import { bundled } from './installation.ts'
import { engineMemory, keptMemory } from './runners/runner-memory.ts'

/** Endpoints with their handlers, and what these run on. */
export interface ServedEndpoints {
  readonly endpoints: readonly RunnableEndpoint[]
  /** Ids of endpoints whose models are loaded, and the labels of the models. */
  warm(): readonly string[]
  readonly arithmetic: ArithmeticName
  dispose(): Promise<void>
}

/** The registry of models on this machine. */
function createModelRegistry(config: Config): ModelRegistry {
  return new ModelRegistry({
    modelFolders: [config.modelsFolder],
    hubCaches: [config.hubCacheFolder],
    bundledFolder: bundled('models'),
  })
}

/** The endpoints with their handlers, and the engine behind them. */
export async function createImageEndpoints(config: Config, onNotice: (line: string) => void): Promise<ServedEndpoints> {
  const arithmetic = await chooseArithmetic(config, onNotice)
  const models = createModelStore(config)
  const opened = openEngine({
    ...arithmetic.engine,
    cacheFolder: preparedWeightsFolder(config),
    preparedWeightsBytes: config.preparedWeightsBytes,
    memoryBudgetBytes: engineMemory(config.runners),
    keptBytes: keptMemory(config.runners),
  })
  const engine = new ImageEngine({
    engine: opened,
    registry: createModelRegistry(config),
    store: models.store,
    requireSafetyChecker: config.requireSafetyChecker,
    demoSafetyChecker: config.demoSafetyChecker,
    recipes: await configuredRecipes(config),
  })
  const handlers = await Promise.all(ENDPOINT_FOLDERS.map(({ handlers }) => handlers()))
  const endpoints = handlers.flatMap(({ createEndpoints }) => createEndpoints(engine))
  // What fails here fails again, and is told, when the first picture is drawn.
  opened.warmUp().catch(() => {})
  const answered = new Set<string>()
  const release = setInterval(() => void opened.sessions.releaseUnused(), config.runners.idleSeconds * 1000).unref()
  return {
    endpoints: endpoints.map((endpoint) => notingAnswers(endpoint, answered)),
    arithmetic: arithmetic.name,
    warm: () => [...engine.warm, ...answered],
    async dispose() {
      clearInterval(release)
      await models.close()
      await engine.dispose()
    },
  }
}

/** An endpoint that has answered once has its model loaded: queue and gateway offer its requests here first. */
function notingAnswers(endpoint: RunnableEndpoint, answered: Set<string>): RunnableEndpoint {
  const { schema, handler } = endpoint
  return {
    ...endpoint,
    async handler(input, context) {
      return noting(await handler(input, context), () => answered.add(schema.id))
    },
  }
}

async function* noting<T>(drawing: Drawing<T>, onAnswered: () => void): Drawing<T> {
  const output = yield* drawing
  onAnswered()
  return output
}
