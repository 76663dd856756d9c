import { ModelError } from './model-error.ts'
import { COMPONENT_FOLDERS, isBaseKind, KIND_NAMES, type WeightsKind } from './weights-kind.ts'
import {
  filesIn,
  type ListedFile,
  nameOf,
  type Selection,
  type SelectionOptions,
  selectComponent,
  selectFile,
  selectPipeline,
  withCompanions,
} from './weights-selection.ts'

/** What somebody wants of a repository or folder. */
export interface ModelWish extends SelectionOptions {
  readonly kind: WeightsKind
  /** A file or folder below the root. */
  readonly path?: string
  /** A folder below that. */
  readonly subfolder?: string
}

/** What of a repository or folder answers a wish. */
export type ModelChoice =
  | ({ readonly type: 'repository' /** Below the root. */; readonly folder: string } & Selection)
  | ({ readonly type: 'component'; readonly folder: string } & Selection)
  | {
      readonly type: 'file'
      /** What has to lie beside it after it. */
      readonly files: readonly [ListedFile, ...ListedFile[]]
      readonly missing: readonly []
    }

/**
 * Chooses from a listing, the hub's or a folder's.
 * @param readModelIndex the JSON of a `model_index.json` of the listing
 * @throws ModelError `not-found`, `ambiguous`
 */
export async function chooseModel(
  files: readonly ListedFile[],
  wish: ModelWish,
  label: string,
  readModelIndex: (path: string) => Promise<Readonly<Record<string, unknown>>>,
): Promise<ModelChoice> {
  const { kind, path = '', subfolder = '' } = wish
  const exact = files.find((file) => file.path === path)
  if (exact !== undefined) return { type: 'file', files: withCompanions(files, exact), missing: [] }
  const folder = [path, subfolder]
    .map((part) => part.replace(/^\/+|(?<!\/)\/+$/g, ''))
    .filter((part) => part !== '')
    .join('/')
  const named = files.find((file) => file.path === folder)
  if (named !== undefined) return { type: 'file', files: withCompanions(files, named), missing: [] }
  if (folder !== '' && !files.some((file) => file.path.startsWith(`${folder}/`))) {
    throw new ModelError('not-found', `${label} has no ${folder}.`)
  }
  const prefix = folder === '' ? '' : `${folder}/`
  if (kind === 'base' && files.some((file) => file.path === `${prefix}model_index.json`)) {
    const below = files
      .filter((file) => file.path.startsWith(prefix))
      .map((file) => ({ ...file, path: file.path.slice(prefix.length) }))
    const selection = selectPipeline(below, await readModelIndex(`${prefix}model_index.json`), wish)
    return {
      type: 'repository',
      folder,
      ...selection,
      files: selection.files.map((file) => ({ ...file, path: prefix + file.path })),
    }
  }
  return chooseComponent(files, folder, wish) ?? chooseFile(files, folder, wish, label)
}

/** What a repository or folder looks like to somebody who does not say what it is for. */
export function likelyKind(files: readonly ListedFile[], folder = ''): WeightsKind {
  const names = filesIn(files, folder).map(({ path }) => nameOf(path))
  if (names.includes('model_index.json')) return 'base'
  // Any kind whose configuration may lie at the root.
  if (names.includes('config.json')) return 'unet'
  return names.some((name) => name.startsWith('learned_embeds.')) ? 'embedding' : 'lora'
}

function chooseComponent(files: readonly ListedFile[], folder: string, wish: ModelWish): ModelChoice | undefined {
  const places = folder === '' ? COMPONENT_FOLDERS[wish.kind] : COMPONENT_FOLDERS[wish.kind] && [folder]
  for (const place of places ?? []) {
    if (!filesIn(files, place).some(({ path }) => nameOf(path) === 'config.json')) continue
    return { type: 'component', folder: place, ...selectComponent(files, place, wish) }
  }
  return undefined
}

function chooseFile(files: readonly ListedFile[], folder: string, wish: ModelWish, label: string): ModelChoice {
  const found = selectFile(files, folder, wish.kind, wish)
  const [file] = found
  const place = folder === '' ? label : `${label}/${folder}`
  if (file === undefined) {
    const what = wish.weightName ?? (isBaseKind(wish.kind) ? KIND_NAMES[wish.kind] : 'weights')
    throw new ModelError(
      'not-found',
      `${place} has no ${what.replace(/^an? /, '')}${listed(selectFile(files, folder, wish.kind))}.`,
    )
  }
  if (found.length > 1) {
    throw new ModelError('ambiguous', `${place} has several weight files; name the one that is meant${listed(found)}.`)
  }
  return { type: 'file', files: withCompanions(files, file), missing: [] }
}

function listed(files: readonly ListedFile[]): string {
  if (files.length === 0) return ''
  const names = files.slice(0, 6).map(({ path }) => nameOf(path))
  return `: ${names.join(', ')}${files.length > names.length ? ` and ${files.length - names.length} more` : ''}`
}
