import { stat } from 'node:fs/promises'
import { basename } from 'node:path'
import {
  type BaseMatch,
  CheckpointError,
  describeLora,
  matchLoraToBase,
  openLora,
  openLoraBase,
  readEmbedding,
  requireOwnBase,
} from '@darkroom/engine'
import type { Config } from '../config/config.ts'
import { ModelError } from '../models/model-error.ts'
import type { ModelStore } from '../models/model-store.ts'
import { sizeText } from '../models/size-text.ts'
import { inspectWeights, type ModelFamily } from '../models/weights-content.ts'
import { KIND_NAMES, WEIGHTS_KINDS, type WeightsKind } from '../models/weights-kind.ts'
import { createModelStore } from '../processes/configured-model-store.ts'
import { UserError } from './user-error.ts'

const FAMILIES: Readonly<Record<ModelFamily, string>> = { sd15: 'SD 1.x', sd2: 'SD 2.x', sdxl: 'SDXL' }

/** `darkroom inspect`: what a file of weights is, and what of it a base would use. */
export async function inspect(config: Config, reference: string, base: string | undefined): Promise<void> {
  const opened = createModelStore(config)
  try {
    const path = await findFile(opened.store, reference)
    const basePath = base === undefined ? undefined : await findBase(opened.store, base)
    for (const line of await describeFile(path, basePath)) console.log(line)
  } finally {
    await opened.close()
  }
}

async function findFile(store: ModelStore, reference: string): Promise<string> {
  const kind = await pathKind(reference)
  if (kind === 'file') return reference
  if (kind === 'folder') throw isFolder(reference)
  for (const wished of WEIGHTS_KINDS) {
    const found = await findAs(store, reference, wished)
    if (found?.type === 'file') return found.path
    if (found) throw isFolder(found.label)
  }
  throw new UserError(`there is no ${reference} on this machine (darkroom pull fetches one)`)
}

const isFolder = (name: string) =>
  new UserError(`${name} is a folder of files; name one of them (darkroom show lists them)`)

async function findBase(store: ModelStore, reference: string): Promise<string> {
  if ((await pathKind(reference)) !== undefined) return reference
  const found = await findAs(store, reference, 'base')
  if (!found) throw new UserError(`there is no base model ${reference} on this machine (darkroom pull fetches one)`)
  return found.type === 'file' ? found.path : found.folder
}

/** What is here by that name and of that kind; the store refuses names of another kind. */
async function findAs(store: ModelStore, reference: string, kind: WeightsKind) {
  try {
    return await store.findLocal(reference, { kind })
  } catch (error) {
    if (error instanceof ModelError) return undefined
    throw error
  }
}

async function pathKind(path: string): Promise<'file' | 'folder' | undefined> {
  const found = await stat(path).catch(() => undefined)
  return found && (found.isDirectory() ? 'folder' : 'file')
}

/** The report on a file, line by line. */
export async function describeFile(path: string, base?: string): Promise<string[]> {
  const content = await inspectWeights(path)
  const { size } = await stat(path)
  if ('foreign' in content) throw new UserError(`${basename(path)} is ${content.foreign}, no file of weights`)
  const kind = content.kind === undefined ? 'weights of a kind that is not known' : KIND_NAMES[content.kind]
  const family = content.family === undefined ? '' : ` for ${FAMILIES[content.family]}`
  const lines = [`${basename(path)}: ${kind}${family} (${content.format}, ${sizeText(size)})`]
  if (content.kind === 'lora') return [...lines, ...(await describeLoraFile(path, base))]
  if (base !== undefined) throw new UserError('--base tells of LoRAs alone which of their keys it would use')
  return content.kind === 'embedding' ? [...lines, ...(await describeEmbedding(path))] : lines
}

async function describeLoraFile(path: string, base: string | undefined): Promise<string[]> {
  const lora = await openLora(path)
  const { dialects, modules, kinds, scales, title, base: trainedOn, triggerWords } = describeLora(lora)
  const ofKind = kinds.map(({ kind, modules: count, ranks }) => {
    const rank =
      ranks.length === 0 ? '' : `, rank ${ranks.length > 4 ? `${ranks[0]} to ${ranks.at(-1)}` : ranks.join(', ')}`
    return `${kind} (${count} modules${rank})`
  })
  const [least, most] = scales.map((scale) => Number(scale.toPrecision(4)))
  const lines = [
    row('keys', dialects.join(', ')),
    row('changes', ofKind.join(', ')),
    row(
      'modules',
      Object.entries(modules)
        .map(([component, count]) => `${component} ${count}`)
        .join(', '),
    ),
    row('scale', least === most ? `${least}` : `${least} to ${most}`),
    ...optionalRow('title', title),
    ...optionalRow('trained on', trainedOn),
    ...optionalRow('prompt words', triggerWords.length > 0 ? triggerWords.join(', ') : undefined),
  ]
  if (base === undefined) return [...lines, ...unusedLines(lora.unused, 'keys that no base uses')]
  const match = matchLoraToBase(lora, await openLoraBase(base))
  const problem = problemWith(lora, match)
  const verdict =
    problem === undefined ? `goes with ${basename(base)}` : `does not go with ${basename(base)}: ${problem}`
  const heading = problem === undefined ? 'used' : 'would fit'
  return [...lines, verdict, ...usedLines(match, heading), ...unusedLines(match.unused, 'not used')]
}

function problemWith(lora: Parameters<typeof requireOwnBase>[0], { matches }: BaseMatch): string | undefined {
  try {
    requireOwnBase(lora, matches)
    return undefined
  } catch (error) {
    if (error instanceof CheckpointError) return error.message
    throw error
  }
}

function usedLines({ matches }: BaseMatch, heading: string): string[] {
  const used = matches.flatMap(({ component, weights, biases }) => [
    ...weights.map(({ key, module }) => `    ${module.name} -> ${component} ${key}`),
    ...biases.map(({ key, change }) => `    ${change.key} -> ${component} ${key}`),
  ])
  return used.length === 0 ? [] : [`  ${heading}: ${used.length} changes`, ...used]
}

function unusedLines(unused: BaseMatch['unused'], heading: string): string[] {
  if (unused.length === 0) return []
  return [`  ${heading}: ${unused.length} keys`, ...unused.map(({ key, reason }) => `    ${key} (${reason})`)]
}

async function describeEmbedding(path: string): Promise<string[]> {
  const { token, matrices } = await readEmbedding(path)
  const sizes = matrices.map(({ component, vectors: { shape } }) => {
    const whose = component === undefined ? '' : ` for ${component}`
    return `${shape[0]} of ${shape[1]} numbers${whose}`
  })
  return [row('vectors', sizes.join(', ')), ...optionalRow('token', token)]
}

const row = (name: string, text: string) => `  ${name.padEnd(13)}${text}`
const optionalRow = (name: string, text: string | undefined) => (text === undefined ? [] : [row(name, text)])
