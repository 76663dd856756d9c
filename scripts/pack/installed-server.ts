import { type ChildProcess, spawn } from 'node:child_process'
import { join } from 'node:path'

/** A server that runs from installed packages. */
export interface InstalledServer {
  readonly url: string
  stop(): Promise<void>
}

/**
 * Starts the server of a project that has the packages installed, drawing with the bundled checkpoints.
 * @param node the interpreter; the project's own command, as a person types it, when absent
 */
export async function serveInstalled(project: string, node?: string): Promise<InstalledServer> {
  const env = {
    ...process.env,
    DARKROOM_DATA: join(project, 'data'),
    HF_HUB_CACHE: join(project, 'none'),
    DARKROOM_PORT: '0',
  }
  const module = join(project, 'node_modules', '@darkroom', 'server', 'bin', 'darkroom.js')
  const [command, args] =
    node === undefined ? [join(project, 'node_modules', '.bin', 'darkroom'), ['serve']] : [node, [module, 'serve']]
  const server = spawn(command, args, { cwd: project, env, stdio: ['ignore', 'pipe', 'inherit'] })
  return {
    url: await addressOf(server),
    async stop() {
      server.kill('SIGTERM')
      await new Promise((resolve) => server.once('exit', resolve))
    },
  }
}

/** The address that the banner names. */
export function addressOf(server: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = ''
    server.stdout?.on('data', (chunk: Buffer) => {
      text += chunk
      const [, url] = /serves \d+ endpoints at (\S+)/.exec(text) ?? []
      if (url !== undefined) resolve(url)
    })
    server.once('exit', (code) => reject(new Error(`the server ended with ${code}: ${text}`)))
  })
}

/** Draws through the queue and over a realtime socket; ends with 0 when both gave a picture. */
export const CONSUMER = `import { createDarkroomClient } from '@darkroom/client'

const fal = createDarkroomClient({ url: process.env.DARKROOM_URL ?? '' })
const input = { prompt: 'a king', image_size: { width: 128, height: 128 }, num_inference_steps: 1, sync_mode: false }
const { data } = await fal.subscribe('fal-ai/fast-lcm-diffusion', { input })
if (data.images[0]?.width !== 128) throw new Error('no picture: ' + JSON.stringify(data))
const connection = fal.realtime.connect('fal-ai/fast-lcm-diffusion', {
  throttleInterval: 0,
  onResult: () => process.exit(0),
  onError: (error) => { throw error },
})
connection.send(input)
`
