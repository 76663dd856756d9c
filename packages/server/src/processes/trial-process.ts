import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import {
  type FormTrial,
  OPENVINO_ARITHMETIC,
  type OpenVinoFolders,
  type TrialOptions,
  tryFastForms,
} from '@darkroom/engine'
import { entryModule, nodeOptionsOf } from './installation.ts'

/**
 * Tries the forms that are here, those of OpenVINO in a process of their own: an instruction that the processor lacks ends the process that meets it,
 * and a server would be started again only to meet it again.
 * @param entry the module that tries; a test gives its own
 */
export async function tryFormsApart(
  options: TrialOptions,
  entry: URL = entryModule('trial-main'),
): Promise<FormTrial[]> {
  const { openVino, ...others } = options
  if (openVino === undefined) return tryFastForms(others)
  const { trials, end } = await runTrial(options, entry)
  if (trials !== undefined) return trials
  const problem = `its libraries ended the process that tried them (${end}), as they do where a processor lacks an instruction`
  return [...(await tryFastForms(others)), ...failedForms(openVino, problem)]
}

function failedForms(folders: OpenVinoFolders, problem: string): FormTrial[] {
  return OPENVINO_ARITHMETIC.map((each) => ({ form: { kind: 'openvino', ...each, folders }, problem }))
}

/** What the process found, or how it ended. */
interface TrialEnd {
  readonly trials?: FormTrial[]
  readonly end: string
}

function runTrial(options: TrialOptions, entry: URL): Promise<TrialEnd> {
  return new Promise((resolve, reject) => {
    const child = fork(fileURLToPath(entry), {
      execArgv: [...nodeOptionsOf(entry)],
      // A form is undefined where it is float32.
      serialization: 'advanced',
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    })
    let trials: FormTrial[] | undefined
    child.on('message', (found) => {
      trials = found as FormTrial[]
    })
    child.on('error', reject)
    child.on('exit', (code, signal) => resolve({ ...(trials && { trials }), end: signal ?? `code ${code}` }))
    // A process that ended before it was asked says so by its exit.
    child.send(options, () => {})
  })
}

/** In the process that tries: waits to be asked, answers, and lets the process end. */
export function answerTrial(): void {
  process.once('message', async (options: TrialOptions) => {
    const trials = await tryFastForms(options)
    // Whoever asked may be gone meanwhile.
    process.send?.(trials, () => process.connected && process.disconnect())
  })
}
