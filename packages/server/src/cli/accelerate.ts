import { availableParallelism } from 'node:os'
import { basename } from 'node:path'
import { chooseExecutionProvider, type FormTrial } from '@darkroom/engine'
import { AccelerationError } from '../acceleration/acceleration-error.ts'
import { installCuda } from '../acceleration/install-cuda.ts'
import { installLibraries } from '../acceleration/install-libraries.ts'
import { removeLibraries } from '../acceleration/installed-libraries.ts'
import type { LibraryPackage } from '../acceleration/openvino-package.ts'
import { type Config, librariesFolder } from '../config/config.ts'
import { sizeText } from '../models/size-text.ts'
import { forgetTrial, formLabel, openVino, openVinoFolders } from '../processes/arithmetic.ts'
import { tryFormsApart } from '../processes/trial-process.ts'
import { OutboundHttp } from '../security/outbound-http.ts'
import { downloadBars } from './models/download-bars.ts'

export interface AccelerateOptions {
  readonly device: 'cpu' | 'cuda'
  /** The package's file, in place of a download. */
  readonly from?: string
  readonly remove?: boolean
}

/** `darkroom accelerate`: fetches what draws faster, tries it and says what it gains. */
export async function accelerate(options: AccelerateOptions, config: Config, signal: AbortSignal): Promise<void> {
  if (options.remove === true) return remove(config)
  if (options.device === 'cuda') return accelerateCuda()
  const library = openVino()
  if (library === undefined) {
    throw new AccelerationError(
      `There is no OpenVINO for ${process.platform} ${process.arch} that Darkroom was tested with; \`--precision fast\` draws with linear layers in 8 bits here.`,
    )
  }
  await install(library, options, config, signal)
  await forgetTrial(config)
  const complain = (line: string) => console.error(line)
  const folders = await openVinoFolders(config, complain)
  const threads = config.threads ?? availableParallelism()
  console.log('trying a convolution and a linear layer …')
  const trials = await tryFormsApart({ threads, ...(folders && { openVino: folders }) })
  console.log(report(trials))
}

async function install(
  library: LibraryPackage,
  { from }: AccelerateOptions,
  config: Config,
  signal: AbortSignal,
): Promise<void> {
  // The operator names the index, which may be a mirror in a private network.
  const http = new OutboundHttp({ allowPrivateTargets: true })
  const bars = downloadBars()
  try {
    await installLibraries({
      folder: librariesFolder(config),
      library,
      source: from === undefined ? { index: config.pythonIndex, http } : { file: from },
      signal,
      onProgress: (done, total) => bars.update(library.fileName, library.fileName, done, total),
    })
  } finally {
    bars.stop()
    await http.close()
  }
  const origin = from === undefined ? `${sizeText(library.bytes)}, Apache-2.0` : basename(from)
  console.log(`OpenVINO ${library.version} (${origin}) is in ${librariesFolder(config)}`)
}

async function remove(config: Config): Promise<void> {
  const wasThere = await removeLibraries(librariesFolder(config))
  await forgetTrial(config)
  console.log(wasThere ? 'OpenVINO is removed; everything works as before it came.' : 'There was nothing to remove.')
}

async function accelerateCuda(): Promise<void> {
  await installCuda()
  const device = await chooseExecutionProvider('cuda', (line) => console.error(line))
  console.log(device === 'cuda' ? 'CUDA draws here: it is taken by itself, or with --device cuda.' : 'The CPU goes on.')
}

/** A line for each form: its time as a share of onnxruntime's in float32. */
function report(trials: readonly FormTrial[]): string {
  const exact = trials[0]?.seconds
  const width = Math.max(...trials.map(({ form }) => formLabel(form).length))
  const lines = trials.map(({ form, seconds, problem }) => {
    const label = formLabel(form).padEnd(width)
    if (seconds === undefined || exact === undefined) return `  ${label} ${problem ?? 'not tried'}`
    return `  ${label} ${(seconds * 1000).toFixed(0).padStart(6)} ms  ${(seconds / exact).toFixed(2)}`
  })
  return [...lines, 'The fastest draws with: darkroom serve --precision fast (or DARKROOM_PRECISION=fast)'].join('\n')
}
