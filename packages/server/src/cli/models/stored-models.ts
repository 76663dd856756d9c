import type { Config } from '../../config/config.ts'
import { ownCommand } from '../../config/started-by-npm.ts'
import type { InventoryItem, ModelDescription } from '../../models/inventory.ts'
import { sizeText } from '../../models/size-text.ts'
import { createModelStore } from '../../processes/configured-model-store.ts'
import { IS_CLONE } from '../../processes/installation.ts'

const FAMILIES = { sd15: 'SD 1.x', sd2: 'SD 2.x', sdxl: 'SDXL' } as const

/** `darkroom list`: what is on this machine. */
export async function listModels(config: Config, all: boolean): Promise<void> {
  await withStore(config, async ({ inventory }) => {
    const items = await inventory.list()
    const shown = all ? items : items.filter(({ kind }) => kind !== undefined)
    const rows = shown.map((item) => [item.name, sizeText(item.bytes), kindText(item), item.source, usedText(item)])
    if (rows.length > 0) printTable([['NAME', 'SIZE', 'KIND', 'FROM', 'LAST USED'], ...rows])
    else
      console.error(`No models are here but those that come with Darkroom; ${ownCommand(IS_CLONE)} pull fetches some.`)
    const hidden = items.length - shown.length
    if (hidden > 0) console.error(`${hidden} more are of kinds that are not drawn with; --all shows them.`)
  })
}

/** `darkroom show`: what is in a model, and what of it is used. */
export async function showModel(config: Config, name: string): Promise<void> {
  await withStore(config, async ({ inventory }) => {
    const model = await inventory.describe(name)
    console.log(`${model.name}  (${[kindText(model), sizeText(model.bytes), model.source].join(', ')})`)
    console.log(`  licence   ${model.license ?? 'not known here'}`)
    console.log(`  last used ${usedText(model)}`)
    console.log(`  folder    ${model.folder}`)
    printFiles(model)
  })
}

function printFiles({ files }: ModelDescription): void {
  for (const { path, size } of files) console.log(`  ${sizeText(size).padStart(10)}  ${path}`)
}

/** `darkroom rm`: removes what was fetched. */
export async function removeModels(config: Config, names: readonly string[]): Promise<void> {
  await withStore(config, async ({ inventory }) => {
    for (const name of names) console.log(`removed ${name}: ${sizeText(await inventory.remove(name))} are free`)
  })
}

/** `darkroom gc`: removes what is good for nothing, and what requests had fetched beyond the budget or, on demand, at all. */
export async function collectGarbage(config: Config, all: boolean): Promise<void> {
  await withStore(config, async ({ inventory, usage }) => {
    const freed = await inventory.collectGarbage()
    console.log(`unfinished and unreachable: ${sizeText(freed)} are free`)
    for (const { label } of await usage.makeRoom(all ? 0 : config.downloads.budgetBytes, 0)) {
      console.log(`removed ${label}, which a request had fetched`)
    }
  })
}

async function withStore(
  config: Config,
  work: (store: ReturnType<typeof createModelStore>) => Promise<void>,
): Promise<void> {
  const store = createModelStore(config)
  try {
    await work(store)
  } finally {
    await store.close()
  }
}

function kindText({ kind, family, isWhole }: InventoryItem): string {
  return [kind ?? 'other', family && FAMILIES[family], isWhole ? undefined : '(in part)']
    .filter((part) => part !== undefined)
    .join(' ')
}

function usedText({ lastUsedAt }: InventoryItem): string {
  return lastUsedAt === undefined ? '-' : lastUsedAt.slice(0, 16).replace('T', ' ')
}

function printTable(rows: readonly (readonly string[])[]): void {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)))
  for (const row of rows)
    console.log(
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
}
