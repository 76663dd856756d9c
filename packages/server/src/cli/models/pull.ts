import type { Config } from '../../config/config.ts'
import { nearEndpoints } from '../../endpoints/near-endpoints.ts'
import { knownLicence } from '../../models/known-licences.ts'
import { ModelError } from '../../models/model-error.ts'
import type { ModelPulls, PullPlan, PullWish } from '../../models/model-pull.ts'
import { sizeText } from '../../models/size-text.ts'
import { createModelStore } from '../../processes/configured-model-store.ts'
import { confirm } from '../confirm.ts'
import { UserError } from '../user-error.ts'
import { BUNDLES, type BundlePart } from './bundles.ts'
import { downloadBars } from './download-bars.ts'

export interface PullArguments {
  /** Ids of models, URLs, or ids of endpoints. */
  readonly references: readonly string[]
  readonly variant?: string
  /** What the model is for, where its files do not tell. */
  readonly kind?: PullWish['kind']
  readonly dryRun: boolean
  /** Endpoints: what their default input does not need, too. */
  readonly all: boolean
  readonly yes: boolean
}

/** Models pulled at the same time. */
const AT_ONCE = 2

/** `darkroom pull`: fetches models, or all that an endpoint draws with. */
export async function pullModels(config: Config, options: PullArguments, signal: AbortSignal): Promise<void> {
  const opened = createModelStore(config)
  try {
    const plans = await planAll(opened.pulls, options, signal)
    printPlans(plans)
    const bytes = sum(plans.flatMap(({ plan }) => plan.missing.map(({ size }) => size)))
    const isWhole = plans.every(({ plan }) => plan.source.type === 'hub' && plan.missing.length === 0)
    if (isWhole) console.log(plans.length === 0 ? 'It needs no model.' : 'Everything is here already.')
    if (options.dryRun || isWhole) return
    if (options.references.some((reference) => reference in BUNDLES)) await requireConsent(bytes, options.yes)
    await fetchAll(opened.pulls, plans, signal)
  } finally {
    await opened.close()
  }
}

interface NamedPlan {
  readonly plan: PullPlan
  readonly purpose?: string
  readonly license?: string
}

async function planAll(pulls: ModelPulls, options: PullArguments, signal: AbortSignal): Promise<NamedPlan[]> {
  const parts = options.references.flatMap((reference): (BundlePart | { reference: string })[] => {
    const bundle = BUNDLES[reference]
    return bundle?.filter(({ isOptional }) => options.all || isOptional !== true) ?? [{ reference }]
  })
  const unique = parts.filter(({ reference }, i) => parts.findIndex((part) => part.reference === reference) === i)
  const { variant, kind } = options
  return Promise.all(
    unique.map(async (part) => {
      const own = 'kind' in part ? part.kind : kind
      const wish = { ...(variant !== undefined && { variant }), ...(own !== undefined && { kind: own }) }
      const plan = await pulls
        .plan(part.reference, wish, signal)
        .catch((error) => Promise.reject(withEndpoints(error, part.reference)))
      const license = knownLicence(part.reference) ?? plan.license
      return { plan, ...('purpose' in part && { purpose: part.purpose }), ...(license !== undefined && { license }) }
    }),
  )
}

/** Whoever misspells an endpoint asks the hub for a model. */
function withEndpoints(error: unknown, reference: string): unknown {
  const near = reference.startsWith('fal-ai/') ? nearEndpoints(reference, Object.keys(BUNDLES)) : []
  if (!(error instanceof ModelError) || near.length === 0) return error
  return new UserError(`${error.message} Endpoints near it: ${near.join(', ')}.`)
}

function printPlans(plans: readonly NamedPlan[]): void {
  for (const { plan, purpose, license } of plans) {
    const { label, files, missing } = plan
    const size = files.length === 0 ? 'size not known' : sizeText(sum(files.map((file) => file.size)))
    const notes = [purpose, size, license && `licence ${license}`].filter((note) => note !== undefined && note !== '')
    console.log(`${label}  (${notes.join(', ')})`)
    for (const file of files) {
      const state = missing.some(({ path }) => path === file.path) ? '' : '  here'
      console.log(`  ${sizeText(file.size).padStart(10)}  ${file.path}${state}`)
    }
  }
}

async function requireConsent(bytes: number, isGiven: boolean): Promise<void> {
  if (isGiven) return
  if (!process.stdin.isTTY) throw new UserError(`this fetches ${sizeText(bytes)}; add --yes to agree`)
  const question = `Fetch ${sizeText(bytes)} under these licences? [y/N] `
  if (!(await confirm(question, process.stdin, process.stderr))) throw new UserError('nothing was fetched')
}

async function fetchAll(pulls: ModelPulls, plans: readonly NamedPlan[], signal: AbortSignal): Promise<void> {
  const bars = downloadBars()
  const queue = [...plans]
  const failures: unknown[] = []
  const work = async () => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      const { plan } = next
      const onProgress = (file: string, done: number, total: number | undefined) =>
        bars.update(`${plan.label} ${file}`, file, done, total)
      // One model that cannot be fetched does not keep the others away.
      await pulls.fetch(plan, { signal, onProgress }).catch((error) => failures.push(error))
    }
  }
  try {
    await Promise.all(Array.from({ length: Math.min(AT_ONCE, queue.length) }, work))
  } finally {
    bars.stop()
  }
  signal.throwIfAborted()
  if (failures.length > 0) {
    throw new UserError(failures.map((error) => (error instanceof Error ? error.message : String(error))).join('\n'))
  }
  for (const { plan } of plans) console.log(`${plan.label} is here`)
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}
