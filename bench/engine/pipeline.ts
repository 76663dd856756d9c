/**
 * How long a whole picture takes on a checkpoint of a published size, phase by phase, and how much memory: text encoder, UNet steps,
 * VAE decode, the LCM pipeline, load; beside diffusers in torch float32 and bfloat16, in turns.
 *
 * Usage: npx tsx bench/engine/pipeline.ts CHECKPOINT --cache FOLDER [--size 512] [--steps 4] [--rounds 3] [--threads 2] [--peer PYTHON]
 */
import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { openEngine } from '../../packages/engine/src/pipelines/engine.ts'
import { loadStableDiffusion } from '../../packages/engine/src/pipelines/load-stable-diffusion.ts'
import { textToImage } from '../../packages/engine/src/pipelines/text-to-image.ts'
import { median, timed } from '../statistics.ts'
import { startPeer } from './peer.ts'

const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    cache: { type: 'string' },
    size: { type: 'string', default: '512' },
    steps: { type: 'string', default: '4' },
    rounds: { type: 'string', default: '3' },
    threads: { type: 'string', default: '2' },
    peer: { type: 'string' },
  },
})
const [folder] = positionals
if (folder === undefined || flags.cache === undefined) throw new Error('usage: pipeline.ts CHECKPOINT --cache FOLDER …')
const [size, steps, rounds, threads] = [flags.size, flags.steps, flags.rounds, flags.threads].map(Number) as [
  number,
  number,
  number,
  number,
]

/** Seconds of each phase of one picture. */
interface Phases {
  readonly load: number
  readonly text: number
  readonly steps: number
  readonly decode: number
  readonly picture: number
}

const cacheFolder = flags.cache

/** One picture from a cold engine: prepared weights on disk, nothing loaded. */
async function picture(): Promise<Phases> {
  const engine = openEngine({ threads, cacheFolder, keepsIdle: false })
  try {
    const [model, load] = await timed(() => loadStableDiffusion(engine, folder as string))
    const [, text] = await timed(() => model.textEncoders.encode('an island in the ocean at sunset', 0))
    const started = performance.now()
    const run = textToImage(model, {
      prompt: 'an island in the ocean at sunset',
      scheduler: { name: 'LCM' },
      schedule: { numInferenceSteps: steps },
      guidanceScale: 1,
      seed: 1n,
      width: size,
      height: size,
    })
    let denoised = started
    let next = await run.next()
    for (; !next.done; next = await run.next()) denoised = performance.now()
    const ended = performance.now()
    return {
      load,
      text,
      steps: (denoised - started) / 1000,
      decode: (ended - denoised) / 1000,
      picture: load + (ended - started) / 1000,
    }
  } finally {
    await engine.dispose()
  }
}

function summary(all: readonly Phases[]): string {
  return (['load', 'text', 'steps', 'decode', 'picture'] as const)
    .map((phase) => `${phase} ${median(all.map((phases) => phases[phase])).toFixed(2)}`)
    .join('  ')
}

function peakGigabytes(): number {
  const kilobytes = Number(/VmHWM:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1])
  return (kilobytes * 1024) / 1e9
}

console.log('preparing', await picture())
const ours: Phases[] = []
const peers = flags.peer === undefined ? [] : ['float32', 'bfloat16']
const theirs = new Map<string, Phases[]>(peers.map((dtype) => [dtype, []]))
for (let round = 0; round < rounds; round++) {
  ours.push(await picture())
  for (const dtype of peers) {
    const peer = await startPeer('pipeline.py', flags.peer as string, [folder, dtype, threads, size, steps].map(String))
    theirs.get(dtype)?.push((await peer.next()) as unknown as Phases)
    peer.end()
  }
}
console.log(`medians of ${rounds}, seconds; peak ${peakGigabytes().toFixed(2)} GB`)
console.log(`engine          ${summary(ours)}`)
for (const [dtype, all] of theirs) console.log(`torch ${dtype.padEnd(9)} ${summary(all)}`)
