import { readFile, writeFile } from 'node:fs/promises'
import { availableParallelism, cpus } from 'node:os'
import { join } from 'node:path'
import {
  chooseDeviceNumber,
  chooseExecutionProvider,
  type EngineOptions,
  type ExecutionProvider,
  type FastForm,
  type FormTrial,
  fastestForm,
  OPENVINO_ARITHMETIC,
  OPENVINO_VERSION,
  type OpenVinoArithmetic,
  type OpenVinoFolders,
  openVinoLibraries,
  type TrialOptions,
} from '@darkroom/engine'
import { findLibraries } from '../acceleration/installed-libraries.ts'
import { type LibraryPackage, openVinoPackage } from '../acceleration/openvino-package.ts'
import { type Config, librariesFolder, preparedWeightsFolder, type RunnersConfig } from '../config/config.ts'
import type { ArithmeticName } from '../endpoints/endpoint.ts'
import { tryFormsApart } from './trial-process.ts'

/** What draws on this machine, and how. */
export interface Arithmetic {
  readonly name: ArithmeticName
  readonly engine: Pick<EngineOptions, 'threads' | 'executionProvider' | 'deviceNumber' | 'fast'>
}

type ArithmeticConfig = Pick<Config, 'precision' | 'device' | 'threads' | 'dataFolder'> & {
  readonly runners: Pick<RunnersConfig, 'number'>
}

/** What a trial found, and on what, so that it is not made again at every start. */
interface KnownForm {
  readonly machine: string
  readonly form: FormName
}

type OpenVinoName = `${OpenVinoArithmetic['precision']}${'' | '-winograd'}${'' | '-int8'}`
type FormName = 'exact' | 'int8' | 'float16' | OpenVinoName

const LABELS: ReadonlyMap<string, string> = new Map([
  ['exact', 'onnxruntime in float32'],
  ['int8', 'onnxruntime in float32 (linear layers in 8 bits)'],
  ['float16', 'float16'],
  ...OPENVINO_ARITHMETIC.map((each) => [openVinoName(each), openVinoLabel(each)] as const),
] satisfies (readonly [FormName, string])[])

const LIST = new Intl.ListFormat('en')

/** How a form computes, as people read it. */
export function formLabel(form: FastForm | undefined): string {
  return LABELS.get(nameOf(form)) ?? ''
}

/** The same as answers, logs and records of pictures have it. */
function precisionName(form: FastForm | undefined): string {
  return form === undefined ? 'exact' : `fast: ${formLabel(form)}`
}

/** How devices and forms are tried; a test gives its own. */
export interface Trials {
  readonly chooseDevice: typeof chooseExecutionProvider
  readonly chooseNumber: typeof chooseDeviceNumber
  readonly tryForms: (options: TrialOptions) => Promise<FormTrial[]>
}

const TRIALS: Trials = {
  chooseDevice: chooseExecutionProvider,
  chooseNumber: chooseDeviceNumber,
  tryForms: tryFormsApart,
}

/**
 * The device and the arithmetic that a configuration asks for, as far as this machine has them, found by trying.
 * @param onNotice told in one line what was asked for and is not to be had
 */
export async function chooseArithmetic(
  config: ArithmeticConfig,
  onNotice: (line: string) => void,
  trials: Partial<Trials> = {},
): Promise<Arithmetic> {
  const { chooseDevice, chooseNumber, tryForms } = { ...TRIALS, ...trials }
  const threads = config.threads ?? availableParallelism()
  const executionProvider = await chooseDevice(config.device, onNotice)
  const deviceNumber = await chooseNumber(executionProvider, config.runners.number)
  const form = await chooseForm(config, { threads, executionProvider, tryForms }, onNotice)
  const device = deviceNumber === 0 ? executionProvider : `${executionProvider}:${deviceNumber}`
  const engine = { threads, executionProvider, ...(deviceNumber > 0 && { deviceNumber }), ...(form && { fast: form }) }
  return {
    name: { device, precision: precisionName(form) },
    engine,
  }
}

async function chooseForm(
  config: ArithmeticConfig,
  {
    threads,
    executionProvider,
    tryForms,
  }: { readonly threads: number; readonly executionProvider: ExecutionProvider; readonly tryForms: Trials['tryForms'] },
  onNotice: (line: string) => void,
): Promise<FastForm | undefined> {
  if (config.precision === 'exact') return undefined
  const openVino = executionProvider === 'cpu' ? await openVinoFolders(config, onNotice) : undefined
  const machine = machineName({ executionProvider, threads, hasOpenVino: openVino !== undefined })
  const known = await readKnownForm(config, machine)
  if (known !== undefined) return formNamed(known, openVino)
  const trials = await tryForms({ threads, executionProvider, ...(openVino && { openVino }) })
  for (const problem of new Set(trials.flatMap((each) => each.problem ?? []))) {
    const names = failedNames(trials, problem)
    onNotice(`${LIST.format(names)} ${names.length > 1 ? 'are' : 'is'} not available (${problem})`)
  }
  const form = fastestForm(trials)
  if (form === undefined) onNotice('nothing draws faster than exact here')
  const hasFailed = trials.some(({ problem }) => problem !== undefined)
  if (!hasFailed) await writeKnownForm(config, { machine, form: nameOf(form) })
  return form
}

/** The forms that failed in this way; OpenVINO where all of its forms did. */
function failedNames(trials: readonly FormTrial[], problem: string): string[] {
  const failed = trials.filter((each) => each.problem === problem).map(({ form }) => form)
  const isOpenVino = (form: FastForm | undefined) => form?.kind === 'openvino'
  const isAll = failed.filter(isOpenVino).length === OPENVINO_ARITHMETIC.length
  const names = failed.filter((form) => !(isAll && isOpenVino(form))).map(precisionName)
  return isAll ? [...names, 'fast: OpenVINO'] : names
}

/** OpenVINO of the release that the engine was made for, on this platform. */
export function openVino(): LibraryPackage | undefined {
  return openVinoPackage(OPENVINO_VERSION, openVinoLibraries())
}

/** OpenVINO's folders, where it is installed and whole. */
export async function openVinoFolders(
  config: Pick<Config, 'dataFolder'>,
  onNotice: (line: string) => void,
): Promise<OpenVinoFolders | undefined> {
  const library = openVino()
  if (library === undefined) return undefined
  const installed = await findLibraries(librariesFolder(config), library)
  if (installed.state === 'broken') onNotice(`${installed.problem}; the CPU draws without it`)
  if (installed.state !== 'whole') return undefined
  // Beside the prepared weights, to which it makes hard links: these stay on one file system.
  return { libraries: installed.folder, work: join(preparedWeightsFolder(config), 'openvino') }
}

function nameOf(form: FastForm | undefined): FormName {
  if (form === undefined) return 'exact'
  return form.kind === 'openvino' ? openVinoName(form) : form.kind
}

function openVinoName({ precision, convolutions, linears }: OpenVinoArithmetic): OpenVinoName {
  return `${precision}${convolutions === 'winograd' ? '-winograd' : ''}${linears === 'int8' ? '-int8' : ''}`
}

function openVinoLabel({ precision, convolutions, linears }: OpenVinoArithmetic): string {
  const besides = [
    ...(convolutions === 'winograd' ? ['Winograd'] : []),
    ...(linears === 'int8' ? ['linear layers in 8 bits'] : []),
  ]
  const type = precision === 'bf16' ? 'bfloat16' : 'float32'
  return `OpenVINO in ${type}${besides.length > 0 ? ` (${besides.join(', ')})` : ''}`
}

function formNamed(name: FormName, folders: OpenVinoFolders | undefined): FastForm | undefined {
  if (name === 'int8' || name === 'float16') return { kind: name }
  const arithmetic = OPENVINO_ARITHMETIC.find((each) => openVinoName(each) === name)
  return arithmetic && folders && { kind: 'openvino', ...arithmetic, folders }
}

/** Tells apart what a trial's result depends on. */
function machineName({
  executionProvider,
  threads,
  hasOpenVino,
}: {
  readonly executionProvider: ExecutionProvider
  readonly threads: number
  readonly hasOpenVino: boolean
}): string {
  const processor = cpus()[0]?.model ?? process.arch
  return [executionProvider, processor, `${threads} threads`, hasOpenVino ? OPENVINO_VERSION : '-'].join(', ')
}

async function readKnownForm(config: ArithmeticConfig, machine: string): Promise<FormName | undefined> {
  const text = await readFile(trialFile(config), 'utf8').catch(() => '')
  try {
    const known = JSON.parse(text) as Partial<KnownForm>
    return known.machine === machine && known.form !== undefined && LABELS.has(known.form) ? known.form : undefined
  } catch {
    return undefined
  }
}

/** A trial that cannot be kept is made again. */
async function writeKnownForm(config: ArithmeticConfig, known: KnownForm): Promise<void> {
  await writeFile(trialFile(config), JSON.stringify(known)).catch(() => {})
}

function trialFile({ dataFolder }: Pick<Config, 'dataFolder'>): string {
  return join(dataFolder, 'fast-trial.json')
}

/** Forgets what a trial found, for libraries that have come or gone. */
export async function forgetTrial(config: Pick<Config, 'dataFolder'>): Promise<void> {
  await writeFile(trialFile(config), '').catch(() => {})
}
