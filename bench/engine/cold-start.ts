/**
 * How long somebody waits who starts a server and draws with a checkpoint that is on the disk: until the server answers, until the first picture has
 * come, and what the next one takes. Cold: nothing was prepared before (an empty data folder). Warm: the same folder again.
 *
 *   npx tsx bench/engine/cold-start.ts --checkpoint FOLDER [--work FOLDER] [--size 512] [--steps 4] [--rounds 1] [--precision exact] [--libraries FOLDER]
 */
import { once } from 'node:events'
import { mkdir, mkdtemp, rm, symlink } from 'node:fs/promises'
import { type IncomingMessage, request } from 'node:http'
import { tmpdir } from 'node:os'
import { basename, join, resolve } from 'node:path'
import { text } from 'node:stream/consumers'
import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { readConfig } from '../../packages/server/src/config/config.ts'
import { createProcessLog } from '../../packages/server/src/log/process-log.ts'
import { startServer } from '../../packages/server/src/processes/server-process.ts'
import { processTreeSeconds } from '../process-tree-time.ts'
import { median } from '../statistics.ts'

const { values } = parseArgs({
  options: {
    checkpoint: { type: 'string', default: 'models/pinhole-512' },
    /** On the disk that is to be measured; 3 GB for SD1.5. */
    work: { type: 'string', default: tmpdir() },
    size: { type: 'string', default: '512' },
    steps: { type: 'string', default: '4' },
    rounds: { type: 'string', default: '1' },
    precision: { type: 'string', default: 'exact' },
    /** OpenVINO's, for `fast`: `~/.darkroom/libraries/openvino-…` of a machine where `darkroom accelerate` was run. */
    libraries: { type: 'string' },
  },
})

/** Seconds. */
interface Start {
  readonly ready: number
  readonly first: number
  readonly next: number
  /** Processor time of the server and its runner up to the first picture, in whole seconds: steady where other programs run. */
  readonly processorTime: number
}

const OWNER = 'bench'
const NAME = 'checkpoint'

async function main(): Promise<void> {
  const cold: Start[] = []
  const warm: Start[] = []
  for (let round = 0; round < Number(values.rounds); round++) {
    const folder = await mkdtemp(join(values.work, 'darkroom-first-'))
    try {
      await mkdir(join(folder, 'models', OWNER), { recursive: true })
      await symlink(resolve(values.checkpoint), join(folder, 'models', OWNER, NAME))
      if (values.libraries !== undefined) await linkLibraries(folder, values.libraries)
      cold.push(await measure(folder))
      warm.push(await measure(folder))
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  }
  console.log('| start | server ready, s | first picture, s | next picture, s | processor time to the first, s |')
  console.log('|---|---|---|---|---|')
  for (const [name, starts] of [['cold', cold] as const, ['warm', warm] as const]) {
    const of = (key: keyof Start) => median(starts.map((start) => start[key])).toFixed(1)
    console.log(`| ${name} | ${of('ready')} | ${of('first')} | ${of('next')} | ${of('processorTime')} |`)
  }
}

async function linkLibraries(folder: string, libraries: string): Promise<void> {
  const target = join(folder, 'data', 'libraries')
  await mkdir(target, { recursive: true })
  await symlink(resolve(libraries), join(target, basename(libraries)))
}

/** One server from its start to its second picture. All are counted from the moment before: the start, the server's readiness, the first picture. */
async function measure(folder: string): Promise<Start> {
  const environment = {
    DARKROOM_MODELS: join(folder, 'models'),
    HF_HUB_CACHE: join(folder, 'hub'),
    DARKROOM_PRECISION: values.precision,
  }
  const config = readConfig({ port: 0, dataFolder: join(folder, 'data'), logLevel: 'silent' }, environment)
  const [usedBefore, startedAt] = [processTreeSeconds(), performance.now()]
  const server = await startServer(config, createProcessLog('silent'))
  try {
    const readyAt = performance.now()
    // A runner that still tries what draws fastest here is not there yet.
    while (!(await draw(server.url, 1))) await delay(100)
    const firstAt = performance.now()
    const processorTime = processTreeSeconds() - usedBefore
    if (!(await draw(server.url, 2))) throw new Error('the runner ended after its first picture')
    const nextAt = performance.now()
    const seconds = (from: number, to: number) => (to - from) / 1000
    return {
      ready: seconds(startedAt, readyAt),
      first: seconds(readyAt, firstAt),
      next: seconds(firstAt, nextAt),
      processorTime,
    }
  } finally {
    await server.stop()
  }
}

/** @returns whether there was a runner */
async function draw(url: string, seed: number): Promise<boolean> {
  const side = Number(values.size)
  const body = JSON.stringify({
    model_name: `${OWNER}/${NAME}`,
    prompt: 'an island in the ocean at sunset',
    image_size: { width: side, height: side },
    num_inference_steps: Number(values.steps),
    scheduler: 'LCM',
    guidance_scale: 1,
    enable_safety_checker: false,
    seed,
  })
  const sent = request(new URL('/run/fal-ai/lora', url), { method: 'POST', agent: false }).end(body)
  const [answer] = (await once(sent, 'response')) as [IncomingMessage]
  const answered = await text(answer)
  if (answer.statusCode === 503) return false
  if (answer.statusCode !== 200) throw new Error(`the server answered ${answer.statusCode}: ${answered}`)
  return true
}

// What a server waits for while it stops does not keep a process alive by itself.
const alive = setInterval(() => {}, 60_000)
await main().finally(() => clearInterval(alive))
