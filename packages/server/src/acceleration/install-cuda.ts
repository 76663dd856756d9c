import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { AccelerationError } from './acceleration-error.ts'

/** Proxy settings by the names that everything else reads, and by those that onnxruntime's script does. */
const PROXY_VARIABLES = 'GLOBAL_AGENT_HTTPS_PROXY'

/**
 * Runs onnxruntime's own script, which fetches its CUDA and TensorRT libraries (Linux on x64 alone) into its package.
 * @throws AccelerationError
 */
export async function installCuda(
  platform: string = `${process.platform} ${process.arch}`,
  script: string = onnxruntimeScript(),
): Promise<void> {
  if (platform !== 'linux x64') {
    throw new AccelerationError(
      `onnxruntime has CUDA libraries for Linux on x64 alone, and this is ${platform}; the CPU goes on.`,
    )
  }
  const child = spawn(process.execPath, [script, '--onnxruntime-node-install'], { stdio: ['ignore', 'ignore', 'pipe'] })
  let complaint = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    complaint = (complaint + text).slice(-4000)
  })
  const [code] = (await once(child, 'close')) as [number | null]
  if (code === 0) return
  const reason = /^.*Error: (.*)$/m.exec(complaint)?.[1] ?? `it ended with code ${code}`
  throw new AccelerationError(
    `onnxruntime's CUDA libraries could not be fetched (${reason}); behind a proxy set ${PROXY_VARIABLES}; the CPU goes on.`,
  )
}

function onnxruntimeScript(): string {
  const require = createRequire(import.meta.resolve('@darkroom/engine'))
  return join(dirname(require.resolve('onnxruntime-node/package.json')), 'script', 'install.js')
}
