/**
 * Draws over one realtime connection with the demo checkpoint, two inputs on their way as from the playground's page, and prints pictures
 * per second, latency and CPU time per picture:
 *
 *   npx tsx bench/realtime/main.ts [--seconds 10] [--steps 1,2,4] [--rounds 3] [--in-flight 1] [--precision fast] [--data FOLDER]
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
    'in-flight': { type: 'string', default: '2' },
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
    await draw(1, (drawn) => drawn < 20)
    const steps = values.steps.split(',').map(Number)
    const rounds = new Map<number, Round[]>(steps.map((count) => [count, []]))
    // In turns, so that what else the machine does meets all alike.
    for (let i = 0; i < Number(values.rounds); i++) {
      for (const count of steps) rounds.get(count)?.push(await measure(draw, count))
    }
    console.log(`512×512, ${values.precision}, inputs on their way: ${values['in-flight']}`)
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

/** Draws while `goesOn`, which is asked with each picture that comes; resolves to the time from each input to its picture, in milliseconds. */
type Draw = (steps: number, goesOn: (drawn: number) => boolean) => Promise<readonly number[]>

/** One connection, and what draws over it. */
function connect(url: string): Draw {
  let arrived: (result: LiveResult) => void = () => {}
  let failed: (error: Error) => void = () => {}
  const connection = createDarkroomClient({ url }).realtime.connect<Record<string, unknown>, LiveResult>(ENDPOINT, {
    connectionKey: 'bench',
    throttleInterval: 0,
    onResult: (result) => arrived(result),
    onError: (error) => failed(error),
  })
  return (steps, goesOn) =>
    new Promise((resolve, reject) => {
      const latencies: number[] = []
      const onTheirWay: number[] = []
      let seed = 0
      const send = () => {
        onTheirWay.push(performance.now())
        connection.send({
          prompt: 'an island in the ocean at sunset',
          image_size: 'square',
          num_inference_steps: steps,
          guidance_scale: 1,
          enable_safety_checker: false,
          seed: seed++,
        })
      }
      failed = reject
      arrived = (result) => {
        if (!(result.images[0]?.content instanceof Uint8Array)) return reject(new Error('a frame without a picture'))
        latencies.push(performance.now() - (onTheirWay.shift() ?? 0))
        // One at a time while the connection opens, for the client keeps only the newest input until then.
        while (goesOn(latencies.length) && onTheirWay.length < Number(values['in-flight'])) send()
        if (onTheirWay.length === 0) resolve(latencies)
      }
      send()
    })
}

async function measure(draw: Draw, steps: number): Promise<Round> {
  const cpuBefore = processTreeSeconds()
  const start = performance.now()
  const end = start + Number(values.seconds) * 1000
  const latencies = await draw(steps, () => performance.now() < end)
  const elapsed = (performance.now() - start) / 1000
  return {
    perSecond: latencies.length / elapsed,
    latencyMs: median(latencies),
    cpuMs: ((processTreeSeconds() - cpuBefore) * 1000) / latencies.length,
  }
}

await main()
