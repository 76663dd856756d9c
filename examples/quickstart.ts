/**
 * `npm run quickstart`: starts a server on a free port, draws a picture through the unmodified fal client, writes it to
 * quickstart.jpg and stops the server.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createFalClient } from '@fal-ai/client'

const ENDPOINT = 'fal-ai/fast-lcm-diffusion'
const PROMPT = 'an island in the ocean at sunset'

const data = await mkdtemp(join(tmpdir(), 'darkroom-quickstart-'))
const startedAt = performance.now()
console.log('Starting Darkroom …')
const server = spawn(process.execPath, ['packages/server/bin/darkroom.js', 'serve', '--port', '0', '--data', data], {
  env: { ...process.env, DARKROOM_LOG_LEVEL: 'warn' },
  stdio: ['ignore', 'pipe', 'inherit'],
})
try {
  const url = await servedAt(server)
  const picture = await draw(url)
  await writeFile('quickstart.jpg', picture)
  console.log(`Wrote quickstart.jpg after ${((performance.now() - startedAt) / 1000).toFixed(1)} s in all.`)
} finally {
  await stop(server)
  await rm(data, { recursive: true, force: true })
}

/** The one line of configuration a fal app needs: send what is meant for fal's hosts to this server. */
async function draw(url: string): Promise<Buffer> {
  const fal = createFalClient({ proxyUrl: { url: `${url}/api/fal/proxy`, when: 'always' } })
  console.log(`Asking ${ENDPOINT} at ${url} for: ${PROMPT}`)
  let shown = 0
  const { data: output, requestId } = await fal.subscribe(ENDPOINT, {
    input: { prompt: PROMPT, seed: 1, sync_mode: false },
    logs: true,
    onQueueUpdate(update) {
      if (update.status !== 'IN_PROGRESS') return
      for (const { message } of update.logs.slice(shown)) console.log(`  ${message}`)
      shown = update.logs.length
    },
  })
  const [image] = output.images
  if (!image) throw new Error(`request ${requestId} returned no picture`)
  console.log(`Request ${requestId} is done: ${image.width}×${image.height}, seed ${output.seed}, ${image.url}`)
  const response = await fetch(image.url)
  if (!response.ok) throw new Error(`GET ${image.url} answered ${response.status}`)
  return Buffer.from(await response.arrayBuffer())
}

/** The address in the server's first line. */
function servedAt(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let printed = ''
    child.stdout?.on('data', (chunk: Buffer) => {
      printed += chunk
      const url = /at (http:\/\/\S+)/.exec(printed)?.[1]
      if (url !== undefined) resolve(url)
    })
    child.once('exit', (code) => reject(new Error(`the server ended with status ${code}`)))
  })
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return
  const ended = new Promise((resolve) => child.once('exit', resolve))
  child.kill('SIGTERM')
  await ended
}
