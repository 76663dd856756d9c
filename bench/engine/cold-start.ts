/**
 * How long somebody waits who starts a server and draws with a checkpoint that is on the disk: from `darkroom serve` to its first line, to the first
 * picture and to its parts, and what a picture takes after that. Three starts: nothing is prepared (an empty data folder); all is prepared, and the system
 * holds no file of it in memory, as after a start of the machine; the same with the files in memory.
 *
 *   npx tsx bench/engine/cold-start.ts --checkpoint FOLDER [--work FOLDER] [--size 512] [--steps 4] [--rounds 1] [--precisions exact,fast] [--libraries FOLDER]
 */
import { tmpdir } from 'node:os'
import { parseArgs } from 'node:util'
import { processTreeSeconds } from '../process-tree-time.ts'
import { median } from '../statistics.ts'
import { Ground } from './served-darkroom.ts'

const { values } = parseArgs({
  options: {
    checkpoint: { type: 'string', default: 'models/pinhole-512' },
    /** On the disk that is to be measured; 3 GB for SD1.5 and each precision. */
    work: { type: 'string', default: tmpdir() },
    size: { type: 'string', default: '512' },
    steps: { type: 'string', default: '4' },
    rounds: { type: 'string', default: '1' },
    precisions: { type: 'string', default: 'exact,fast' },
    /** OpenVINO's, for `fast`: `~/.darkroom/libraries/openvino-…` of a machine where `darkroom accelerate` was run. */
    libraries: { type: 'string' },
  },
})
const [side, steps, rounds] = [Number(values.size), Number(values.steps), Number(values.rounds)]
const CHECKPOINT = 'checkpoint'

/** Seconds of the clock, but for `processor`: of the server and its runner up to the first picture, steady where other programs run. */
interface Start {
  readonly banner: number
  /** The parts of what follows until the first picture is there. */
  readonly untilOpening: number
  readonly opening: number
  readonly furtherSteps: number
  readonly decoding: number
  /** From the start. */
  readonly first: number
  readonly processor: number
  readonly following: number
}

const COLUMNS: Readonly<Record<keyof Start, string>> = {
  banner: 'to the first line, s',
  untilOpening: 'until a runner has the request, s',
  opening: 'opening to first step, s',
  furtherSteps: 'further steps, s',
  decoding: 'decoder to picture, s',
  first: '**first picture in all, s**',
  processor: 'processor to there, s',
  following: 'following picture, s',
}

/** One server from its start to its second picture. */
async function measure(ground: Ground, precision: string): Promise<Start> {
  const server = await ground.serve(precision)
  try {
    const wish = { checkpoint: CHECKPOINT, side, steps }
    const first = await (await server.submit({ ...wish, seed: 1 })).drawn
    // What a measuring process uses itself is little, and in it.
    const processor = processTreeSeconds(server.process.pid)
    const following = await (await server.submit({ ...wish, seed: 2 })).drawn
    const seconds = (from: number, to: number) => (to - from) / 1000
    const { startedAt, bannerAt } = server
    const { submittedAt, openingAt = submittedAt, firstStepAt, lastStepAt, completedAt } = first
    return {
      banner: seconds(startedAt, bannerAt),
      untilOpening: seconds(bannerAt, openingAt),
      opening: seconds(openingAt, firstStepAt),
      furtherSteps: seconds(firstStepAt, lastStepAt),
      decoding: seconds(lastStepAt, completedAt),
      first: seconds(startedAt, completedAt),
      processor,
      following: seconds(following.submittedAt, following.completedAt),
    }
  } finally {
    await server.stop()
  }
}

function row(name: string, starts: readonly Start[]): string {
  const keys = Object.keys(COLUMNS) as (keyof Start)[]
  return `| ${[name, ...keys.map((key) => median(starts.map((start) => start[key])).toFixed(1))].join(' | ')} |`
}

console.log(`| start | ${Object.values(COLUMNS).join(' | ')} |\n|${'---|'.repeat(Object.keys(COLUMNS).length + 1)}`)
for (const precision of values.precisions.split(',')) {
  const [unprepared, fromDisk, fromMemory]: [Start[], Start[], Start[]] = [[], [], []]
  for (let round = 0; round < rounds; round++) {
    const ground = await Ground.make(values.work, { [CHECKPOINT]: values.checkpoint }, values.libraries)
    try {
      unprepared.push(await measure(ground, precision))
      await ground.forget()
      fromDisk.push(await measure(ground, precision))
      fromMemory.push(await measure(ground, precision))
    } finally {
      await ground.remove()
    }
  }
  console.log(row(`${precision}, nothing prepared`, unprepared))
  console.log(row(`${precision}, prepared, files on the disk`, fromDisk))
  console.log(row(`${precision}, prepared, files in memory`, fromMemory))
}
