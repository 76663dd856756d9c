/**
 * Draws over one realtime connection as the playground's page does, one input on its way at a time, with the demo checkpoint, and prints
 * pictures per second, latency and CPU time per picture:
 *
 *   npx tsx bench/realtime/main.ts [--seconds 10] [--steps 1,2,4] [--rounds 3] [--precision fast] [--data FOLDER]
 *
 * --data is a data folder for which `darkroom accelerate` was run.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { createDarkroomClient } from '@darkroom/client'
import { readConfig } from '../../packages/server/src/config/config.ts'
import { createProcessLog } from '../../packages/server/src/log/process-log.ts'
import { startServer } from '../../packages/server/src/processes/server-process.ts'
import { processTreeSeconds } from '../process-tree-time.ts'
import { median } from '../statistics.ts'

const ENDPOINT = 'fal-ai/fast-lcm-diffusion'

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '10' },
    steps: { type: 'string', default: '1,2,4' },
    rounds: { type: 'string', default: '3' },
    precision: { type: 'string', default: 'exact' },
    data: { type: 'string' },
  },
})

interface Round {
  readonly perSecond: number
  readonly latencyMs: number
  readonly cpuMs: number
}

interface LiveResult {
  readonly images: readonly { readonly content?: Uint8Array }[]
}

async function main(): Promise<void> {
  const made = values.data === undefined ? await mkdtemp(join(tmpdir(), 'darkroom-realtime-')) : undefined
  const folder = values.data ?? made ?? ''
  const environment = {
    DARKROOM_MODELS: join(folder, 'none'),
    HF_HUB_CACHE: join(folder, 'none'),
    DARKROOM_PRECISION: values.precision,
  }
  const config = readConfig({ port: 0, dataFolder: folder, logLevel: 'silent' }, environment)
  const server = await startServer(config, createProcessLog('silent'))
  try {
    const draw = connect(server.url)
    for (let i = 0; i < 20; i++) await draw(1, i)
    const steps = values.steps.split(',').map(Number)
    const rounds = new Map<number, Round[]>(steps.map((count) => [count, []]))
    // In turns, so that what else the machine does meets all alike.
    for (let i = 0; i < Number(values.rounds); i++) {
      for (const count of steps) rounds.get(count)?.push(await measure(draw, count))
    }
    console.log(`512×512, ${values.precision}`)
    console.log('| steps | pictures/s | latency p50, ms | CPU per picture, ms |\n|---|---|---|---|')
    for (const [count, all] of rounds) {
      const of = (key: keyof Round) => median(all.map((round) => round[key]))
      console.log(
        `| ${count} | ${of('perSecond').toFixed(1)} | ${of('latencyMs').toFixed(0)} | ${of('cpuMs').toFixed(0)} |`,
      )
    }
  } finally {
    await server.stop()
    if (made !== undefined) await rm(made, { recursive: true, force: true })
  }
}

type Draw = (steps: number, seed: number) => Promise<void>

/** One connection, and a function that sends an input and waits for its picture. */
function connect(url: string): Draw {
  let arrived: (result: LiveResult) => void = () => {}
  let failed: (error: Error) => void = () => {}
  const connection = createDarkroomClient({ url }).realtime.connect<Record<string, unknown>, LiveResult>(ENDPOINT, {
    connectionKey: 'bench',
    throttleInterval: 0,
    onResult: (result) => arrived(result),
    onError: (error) => failed(error),
  })
  return async (steps, seed) => {
    const result = await new Promise<LiveResult>((resolve, reject) => {
      arrived = resolve
      failed = reject
      connection.send({
        prompt: 'an island in the ocean at sunset',
        image_size: 'square',
        num_inference_steps: steps,
        guidance_scale: 1,
        enable_safety_checker: false,
        seed,
      })
    })
    if (!(result.images[0]?.content instanceof Uint8Array)) throw new Error('a frame without a picture')
  }
}

async function measure(draw: Draw, steps: number): Promise<Round> {
  const latencies: number[] = []
  const cpuBefore = processTreeSeconds()
  const start = performance.now()
  const end = start + Number(values.seconds) * 1000
  while (performance.now() < end) {
    const sentAt = performance.now()
    await draw(steps, latencies.length)
    latencies.push(performance.now() - sentAt)
  }
  const elapsed = (performance.now() - start) / 1000
  return {
    perSecond: latencies.length / elapsed,
    latencyMs: median(latencies),
    cpuMs: ((processTreeSeconds() - cpuBefore) * 1000) / latencies.length,
  }
}

await main()
