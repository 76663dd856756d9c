import { ownCommand } from '../config/started-by-npm.ts'
import { LCM_BASE_MODELS, LCM_LORAS, type LcmModelName } from '../endpoints/shared/lcm-models.ts'
import { ModelError } from '../models/model-error.ts'
import type { FoundModel, OpenedStore } from '../models/open-model-store.ts'
import type { WeightsKind } from '../models/weights-kind.ts'
import { IS_CLONE } from '../processes/installation.ts'

/**
 * What a start says of the models on this machine: those that stand-ins draw in place of, and those that lack a part, with what to
 * type; nothing where all is well.
 */
export async function reportModels(
  { store, inventory }: Pick<OpenedStore, 'store' | 'inventory'>,
  modelsFolder: string,
): Promise<string[]> {
  const command = ownCommand(IS_CLONE)
  const find = (name: string, kind: WeightsKind): Promise<FoundModel | ModelError | undefined> =>
    store.findLocal(name, { kind }).catch((error) => {
      if (error instanceof ModelError) return error
      throw error
    })
  const isHere = async (name: string, kind: WeightsKind) => {
    const found = await find(name, kind)
    return found !== undefined && !(found instanceof ModelError)
  }
  const absent: LcmModelName[] = []
  const unfinished: string[] = []
  for (const name of LCM_BASE_MODELS) {
    if (!(await isHere(name, 'base'))) absent.push(name)
    else if (!(await isHere(LCM_LORAS[name], 'lora'))) unfinished.push(LCM_LORAS[name])
  }
  // Python's libraries keep parts of models that are not drawn with in the same cache.
  const drawnWith = (await inventory.list()).filter(({ kind }) => kind !== undefined)
  const inPart = drawnWith.filter(({ isWhole }) => !isWhole).map(({ name }) => name)
  const indented = (lines: readonly string[]) => lines.map((line) => `  ${line}`)
  return [
    ...(inPart.length > 0
      ? ['Here only in part, so that requests for them fail or are drawn by a stand-in; to fetch the rest:']
      : []),
    ...indented(inPart.map((name) => `${command} pull ${name}`)),
    ...(unfinished.length > 0 ? ['Pictures of few steps look unfinished without:'] : []),
    ...indented(unfinished.map((name) => `${command} pull ${name}`)),
    ...(absent.length > 0
      ? [
          'The demo checkpoints Pinhole (512 and 1024) draw in place of:',
          ...indented(absent),
          `Fetch what an endpoint draws with: ${command} pull fal-ai/fast-lcm-diffusion`,
          `Or put a model into ${modelsFolder}/owner/name.`,
        ]
      : []),
  ]
}
