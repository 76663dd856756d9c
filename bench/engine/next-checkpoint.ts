/**
 * How long somebody waits for a picture of another checkpoint than the one before, whose files have to come from the disk. `waiting`: the request waits in
 * the queue while the picture before is drawn, so that its weights are read meanwhile. `asked then`: it comes when that picture is there, and
 * nothing could be read. Both count from the end of the picture before. In turns; each on a server of its own, prepared before.
 *
 *   npx tsx bench/engine/next-checkpoint.ts --checkpoint FOLDER [--before models/pinhole-512] [--work FOLDER] [--size 128] [--steps 1]
 *     [--before-seconds 20] [--rounds 3] [--precision exact] [--libraries FOLDER] [--image-prompt FOLDER]
 *
 * --before-seconds is about how long the picture before takes, of as many steps as that needs: long enough to read the checkpoint in.
 * --image-prompt is a folder with an IP-Adapter for the checkpoint, `ip-adapter.safetensors`, and its `image_encoder`.
 */
import { tmpdir } from 'node:os'
import { parseArgs } from 'node:util'
import { median } from '../statistics.ts'
import { Ground, type PictureWish, type ServedDarkroom } from './served-darkroom.ts'

const { values } = parseArgs({
  options: {
    checkpoint: { type: 'string' },
    before: { type: 'string', default: 'models/pinhole-512' },
    work: { type: 'string', default: tmpdir() },
    size: { type: 'string', default: '128' },
    steps: { type: 'string', default: '1' },
    'before-seconds': { type: 'string', default: '20' },
    rounds: { type: 'string', default: '3' },
    precision: { type: 'string', default: 'exact' },
    libraries: { type: 'string' },
    'image-prompt': { type: 'string' },
  },
})
const { checkpoint, before, precision, 'image-prompt': imagePrompt } = values
if (checkpoint === undefined) throw new Error('usage: next-checkpoint.ts --checkpoint FOLDER …')
/** LCM has no more. */
const MOST_STEPS = 50

const ways = { waiting: [] as number[], 'asked then': [] as number[] }
type Way = keyof typeof ways

const next: PictureWish = {
  checkpoint: 'next',
  side: Number(values.size),
  steps: Number(values.steps),
  seed: 1,
  ...(imagePrompt !== undefined && { imagePrompt: 'prompt' }),
}

/** A picture of the other checkpoint that takes about as long as was asked for: its size is found by trying. */
async function longWish(server: ServedDarkroom): Promise<PictureWish> {
  const wish = { checkpoint: 'before', side: 512, steps: MOST_STEPS }
  await (await server.submit({ ...wish, steps: 1, seed: 1 })).drawn
  const { submittedAt, completedAt } = await (await server.submit({ ...wish, seed: 2 })).drawn
  const count = Math.ceil((Number(values['before-seconds']) * 1000) / (completedAt - submittedAt))
  return { ...wish, seed: 3, count: Math.min(8, Math.max(1, count)) }
}

async function measure(ground: Ground, way: Way): Promise<number> {
  const server = await ground.serve(precision)
  try {
    const wish = await longWish(server)
    await ground.forget()
    const { drawn } = await server.submit(wish)
    const waiting = way === 'waiting' ? await server.submit(next) : undefined
    const { completedAt } = await drawn
    const asked = waiting ?? (await server.submit(next))
    return ((await asked.drawn).completedAt - completedAt) / 1000
  } finally {
    await server.stop()
  }
}

const ground = await Ground.make(
  values.work,
  { next: checkpoint, before, ...(imagePrompt !== undefined && { prompt: imagePrompt }) },
  values.libraries,
)
try {
  const preparing = await ground.serve(precision)
  await (await preparing.submit(next)).drawn
  await preparing.stop()
  for (let round = 0; round < Number(values.rounds); round++) {
    for (const way of Object.keys(ways) as Way[]) {
      const seconds = await measure(ground, way)
      ways[way].push(seconds)
      console.error(`round ${round + 1}, ${way}: ${seconds.toFixed(1)} s`)
    }
  }
} finally {
  await ground.remove()
}
console.log(
  '| request of another checkpoint | its picture after the one before, s: median | least | most |\n|---|---|---|---|',
)
for (const [way, seconds] of Object.entries(ways)) {
  const [middle, least, most] = [median(seconds), Math.min(...seconds), Math.max(...seconds)].map((s) => s.toFixed(1))
  console.log(`| ${way} | ${middle} | ${least} | ${most} |`)
}
