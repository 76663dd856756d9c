import { type ChildProcess, spawn } from 'node:child_process'
import { mkdir, mkdtemp, rm, symlink } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { addressOf } from '../../scripts/pack/installed-server.ts'
import { forgetFiles } from './forget-files.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
/** Of the models folder's repositories. */
const OWNER = 'bench'
const POLL_MILLISECONDS = 50

/** One white pixel. */
const PICTURE =
  'data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mP8/x8AAwMCAO+ip1sAAAAASUVORK5CYII='

/** What there is for a server to serve: a models folder with links to checkpoints, and a data folder, both on the disk that is measured. */
export class Ground {
  readonly #folder: string
  readonly #checkpoints: readonly string[]
  readonly #libraries: string | undefined

  private constructor(folder: string, checkpoints: readonly string[], libraries: string | undefined) {
    this.#folder = folder
    this.#checkpoints = checkpoints
    this.#libraries = libraries
  }

  /**
   * @param checkpoints diffusers folders by the name that requests have for them
   * @param libraries OpenVINO's folder, as `darkroom accelerate` leaves it
   */
  static async make(
    work: string,
    checkpoints: Readonly<Record<string, string>>,
    libraries: string | undefined,
  ): Promise<Ground> {
    const folder = await mkdtemp(join(work, 'darkroom-served-'))
    await mkdir(join(folder, 'models', OWNER), { recursive: true })
    for (const [name, path] of Object.entries(checkpoints)) {
      await symlink(resolve(path), join(folder, 'models', OWNER, name))
    }
    if (libraries !== undefined) {
      await mkdir(join(folder, 'data', 'libraries'), { recursive: true })
      await symlink(resolve(libraries), join(folder, 'data', 'libraries', resolve(libraries).split('/').at(-1) ?? ''))
    }
    return new Ground(folder, Object.values(checkpoints), libraries)
  }

  /** Has the system forget checkpoints, prepared weights and compiled models, the program, onnxruntime and OpenVINO, as after a start of the machine. */
  async forget(): Promise<void> {
    const program = [join(ROOT, 'packages'), join(ROOT, 'node_modules')]
    const libraries = this.#libraries === undefined ? [] : [this.#libraries]
    for (const folder of [...this.#checkpoints, this.#folder, ...libraries, ...program]) await forgetFiles(folder)
  }

  /** `darkroom serve` as a person starts it, up to its first line. */
  async serve(precision: string): Promise<ServedDarkroom> {
    const env = {
      ...process.env,
      DARKROOM_DATA: join(this.#folder, 'data'),
      DARKROOM_MODELS: join(this.#folder, 'models'),
      HF_HUB_CACHE: join(this.#folder, 'hub'),
      DARKROOM_PORT: '0',
      DARKROOM_LOG_LEVEL: 'silent',
    }
    const command = [join(ROOT, 'packages/server/bin/darkroom.js'), 'serve', '--precision', precision]
    const startedAt = Date.now()
    const server = spawn(process.execPath, command, { env, stdio: ['ignore', 'pipe', 'inherit'] })
    return new ServedDarkroom(server, await addressOf(server), startedAt)
  }

  async remove(): Promise<void> {
    await rm(this.#folder, { recursive: true, force: true })
  }
}

export interface PictureWish {
  /** Of `Ground.make`. */
  readonly checkpoint: string
  readonly side: number
  readonly steps: number
  readonly seed: number
  /** Pictures. Default 1. */
  readonly count?: number
  /** Of `Ground.make`: a folder with an IP-Adapter, `ip-adapter.safetensors`, and its `image_encoder`. */
  readonly imagePrompt?: string
}

/** Moments of a queued request, by `Date.now()`. */
export interface DrawnPicture {
  readonly submittedAt: number
  /** The runner has the request and opens its model; absent where the model is open. */
  readonly openingAt: number | undefined
  readonly firstStepAt: number
  readonly lastStepAt: number
  readonly completedAt: number
}

interface StatusAnswer {
  readonly status: string
  readonly error?: string
  readonly logs?: readonly { readonly message: string; readonly timestamp: string }[]
}

/** A running server. */
export class ServedDarkroom {
  readonly process: ChildProcess
  /** When it was started, and named its address: `Date.now()`. */
  readonly startedAt: number
  readonly bannerAt = Date.now()
  readonly #url: string

  constructor(server: ChildProcess, url: string, startedAt: number) {
    this.process = server
    this.#url = url
    this.startedAt = startedAt
  }

  /** Queues a picture: what comes of it. @throws Error with the server's answer where there is no picture */
  async submit({
    checkpoint,
    side,
    steps,
    seed,
    count = 1,
    imagePrompt,
  }: PictureWish): Promise<{ readonly drawn: Promise<DrawnPicture> }> {
    const submittedAt = Date.now()
    const body = JSON.stringify({
      model_name: `${OWNER}/${checkpoint}`,
      prompt: `an island in the ocean at sunset, ${seed}`,
      image_size: { width: side, height: side },
      num_inference_steps: steps,
      scheduler: 'LCM',
      guidance_scale: 1,
      enable_safety_checker: false,
      num_images: count,
      seed,
      ...(imagePrompt !== undefined && {
        ip_adapter: [
          { path: `${OWNER}/${imagePrompt}`, weight_name: 'ip-adapter.safetensors', ip_adapter_image_url: PICTURE },
        ],
      }),
    })
    const headers = { 'content-type': 'application/json' }
    const answer = await fetch(new URL('/queue/fal-ai/lora', this.#url), { method: 'POST', headers, body })
    if (!answer.ok) throw new Error(`the server answered ${answer.status}: ${await answer.text()}`)
    const { status_url, response_url } = (await answer.json()) as { status_url: string; response_url: string }
    return { drawn: this.#completed(submittedAt, status_url, response_url) }
  }

  async #completed(submittedAt: number, statusUrl: string, responseUrl: string): Promise<DrawnPicture> {
    for (;;) {
      const answer = (await (await fetch(`${statusUrl}?logs=1`)).json()) as StatusAnswer
      const completedAt = Date.now()
      if (answer.status === 'COMPLETED') {
        const response = await fetch(responseUrl)
        if (!response.ok) throw new Error(`the server answered ${response.status}: ${await response.text()}`)
        return { submittedAt, completedAt, ...momentsOf(answer) }
      }
      await delay(POLL_MILLISECONDS)
    }
  }

  async stop(): Promise<void> {
    const ended = new Promise((end) => this.process.once('exit', end))
    this.process.kill('SIGTERM')
    await ended
  }
}

function momentsOf({ logs = [] }: StatusAnswer): Pick<DrawnPicture, 'openingAt' | 'firstStepAt' | 'lastStepAt'> {
  const momentOf = (log: { readonly timestamp: string } | undefined) => log && Date.parse(log.timestamp)
  const steps = logs.filter(({ message }) => message.startsWith('Step '))
  const [firstStepAt, lastStepAt] = [momentOf(steps[0]), momentOf(steps.at(-1))]
  if (firstStepAt === undefined || lastStepAt === undefined) throw new Error('the request has no steps in its log')
  return { openingAt: momentOf(logs.find(({ message }) => message.startsWith('Loading '))), firstStepAt, lastStepAt }
}
