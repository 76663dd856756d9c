import { readFileSync } from 'node:fs'
import { Command, InvalidArgumentError, Option } from 'commander'
import { AccelerationError } from './acceleration/acceleration-error.ts'
import { parseTiling } from './cli/generate-options.ts'
import { addModelCommands } from './cli/models/commands.ts'
import { settingWarnings } from './cli/setting-warnings.ts'
import { UserError } from './cli/user-error.ts'
import { ConfigError, type ConfigOverrides, readConfig } from './config/config.ts'
import { DEVICES, PRECISIONS } from './config/configuration.ts'
import { DatabaseError } from './db/database-error.ts'
import { WireError } from './errors/errors.ts'
import { ModelError } from './models/model-error.ts'
import { DEFAULT_ACCOUNT } from './queue/request-queue.ts'
import { StorageError } from './storage/storage-error.ts'

/** Runs the command line. Errors that a person can mend are one line; exit status 1, or 130 for Ctrl-C. */
export async function main(argv: readonly string[]): Promise<void> {
  try {
    await program().parseAsync(argv)
  } catch (error) {
    console.error(await describe(error))
    // Of a work that Ctrl-C ended it is set already.
    process.exitCode ??= 1
  }
}

function program(): Command {
  const darkroom = new Command('darkroom')
    .description("Self-hosted image generation that speaks fal's wire protocol")
    .version(ownVersion(), '--version', 'show the version')
    .hook('preAction', () => {
      for (const line of settingWarnings()) console.error(line)
    })
  addServe(darkroom)
  addRoles(darkroom)
  addGenerate(darkroom)
  addRun(darkroom)
  addModelCommands(darkroom, withInterrupt)
  addAccelerate(darkroom)
  addKeys(darkroom)
  sayWhereHelpIs(darkroom, 'darkroom')
  return darkroom
}

/** Below an error of the command line: which help lists what could have been typed. */
function sayWhereHelpIs(command: Command, path: string): void {
  command.showHelpAfterError(`(${path} --help lists the ${command.commands.length > 0 ? 'commands' : 'options'})`)
  for (const part of command.commands) sayWhereHelpIs(part, `${path} ${part.name()}`)
}

function ownVersion(): string {
  const file = new URL('../package.json', import.meta.url)
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version
}

/** Commands load their code when they run: most of it is the engine's, and `--help` needs none. */
function addServe(darkroom: Command): void {
  const command = darkroom.command('serve').description('serve the API: gateway and runners on this machine')
  withRunnerCount(withGatewayOptions(command)).action(async (options) =>
    (await import('./cli/serve.ts')).serve(overridesOf(options)),
  )
}

/** The parts of `serve`, for many machines that share PostgreSQL (DATABASE_URL) and a bucket (S3_BUCKET). */
function addRoles(darkroom: Command): void {
  withGatewayOptions(darkroom.command('gateway').description('serve the API without a runner')).action(
    async (options) => (await import('./cli/gateway.ts')).gateway(overridesOf(options)),
  )
  withRunnerCount(darkroom.command('runner').description('work on requests that gateways accept'))
    .option('--data <folder>', 'where prepared weights are kept (default ~/.darkroom)')
    .option(
      '--runner-host <address>',
      'where gateways reach the runners; 0.0.0.0 for every interface (default 127.0.0.1)',
    )
    .option('--runner-port <port>', 'port of the first runner, the others take the next ones', integer(0, 65_535))
    .option('--advertised-host <name>', 'by which name or address gateways reach this machine')
    .action(async (options) => (await import('./cli/runner.ts')).runner(overridesOf(options)))
}

function withGatewayOptions(command: Command): Command {
  return command
    .option('--port <port>', 'port to listen on (default 3010)', integer(0, 65_535))
    .option('--host <host>', 'address to listen on (default 127.0.0.1)')
    .option('--data <folder>', 'where requests, files and prepared weights are kept (default ~/.darkroom)')
    .option('--public-url <url>', 'base URL by which clients reach this server')
    .option('--tls', "serve HTTPS, with a certificate of this server's own authority")
    .addOption(new Option('--auth <mode>', 'whether calls need a key').choices(['keys', 'none']))
}

function withRunnerCount(command: Command): Command {
  return withArithmetic(
    command.option('--runners <n>', 'runner processes on this machine (default 1)', integer(1, 256)),
  )
}

/** What draws, and how exactly. */
function withArithmetic(command: Command): Command {
  return command
    .addOption(
      new Option('--precision <precision>', "exact: diffusers' pictures; fast: close to them (default exact)").choices(
        PRECISIONS,
      ),
    )
    .addOption(new Option('--device <device>', 'what draws (default auto: a GPU where there is one)').choices(DEVICES))
}

interface ServeOptions
  extends Pick<ConfigOverrides, 'port' | 'host' | 'publicUrl' | 'tls' | 'auth' | 'precision' | 'device'> {
  readonly data?: string
  readonly runners?: number
  readonly runnerHost?: string
  readonly runnerPort?: number
  readonly advertisedHost?: string
}

function overridesOf(options: ServeOptions): ConfigOverrides {
  const { data, runners: count, runnerHost: host, runnerPort: port, advertisedHost, ...gateway } = options
  const runners = {
    ...(count !== undefined && { count }),
    ...(host !== undefined && { host }),
    ...(port !== undefined && { port }),
    ...(advertisedHost !== undefined && { advertisedHost }),
  }
  return { ...gateway, ...(data !== undefined && { dataFolder: data }), runners }
}

function addRun(darkroom: Command): void {
  const command = darkroom.command('run')
  withArithmetic(command)
    .description('call an endpoint once, without a server')
    .argument('<endpoint-id>', 'e.g. fal-ai/fast-lcm-diffusion')
    .argument('[fields...]', 'input fields: prompt="a king" num_images=2')
    .option('--output <folder>', 'where pictures and output.json go', 'darkroom-output')
    .action((endpointId, fields, { output, ...arithmetic }) =>
      withInterrupt(async (signal) =>
        (await import('./cli/run.ts')).runEndpoint({ endpointId, fields, output }, readConfig(arithmetic), signal),
      ),
    )
}

function addAccelerate(darkroom: Command): void {
  darkroom
    .command('accelerate')
    .description('fetch native libraries that draw faster, and say what they gain on this machine')
    .addOption(
      new Option('--device <device>', 'cpu: OpenVINO; cuda: the CUDA libraries of onnxruntime')
        .choices(['cpu', 'cuda'])
        .default('cpu'),
    )
    .option('--from <file>', 'the package, fetched elsewhere, in place of a download')
    .option('--remove', 'remove what was fetched')
    .option('--data <folder>', "the server's data folder (default ~/.darkroom)")
    .action(({ data, ...options }) =>
      withInterrupt(async (signal) =>
        (await import('./cli/accelerate.ts')).accelerate(
          options,
          readConfig(data === undefined ? {} : { dataFolder: data }),
          signal,
        ),
      ),
    )
}

function addKeys(darkroom: Command): void {
  const data = ['--data <folder>', "the server's data folder (default ~/.darkroom)"] as const
  const config = ({ data }: { data?: string }) => readConfig(data === undefined ? {} : { dataFolder: data })
  const keys = darkroom.command('keys').description('manage the keys that clients show')
  keys
    .command('create')
    .description('make a key and print it once')
    .option('--alias <name>', 'what it is for', '')
    .addOption(
      new Option('--scope <scope>', 'API calls models, ADMIN also manages').choices(['API', 'ADMIN']).default('API'),
    )
    .option('--account <name>', 'whose requests and files it sees', DEFAULT_ACCOUNT)
    .option(...data)
    .action(async (options) =>
      (await import('./cli/keys.ts')).createKey(config(options), options.alias, options.scope, options.account),
    )
  keys
    .command('list')
    .description('list keys, revoked ones included')
    .option('--account <name>', 'of this account only')
    .option(...data)
    .action(async (options) => (await import('./cli/keys.ts')).listKeys(config(options), options.account))
  keys
    .command('revoke')
    .description('refuse a key from now on')
    .argument('<key-id>')
    .option(...data)
    .action(async (keyId, options) => (await import('./cli/keys.ts')).revokeKey(config(options), keyId))
}

function addGenerate(darkroom: Command): void {
  withArithmetic(darkroom.command('generate'))
    .description('draw one prompt with a checkpoint, without a server')
    .requiredOption('--checkpoint <path>', 'diffusers folder, or a single .safetensors or .ckpt file')
    .option('--tokenizer <folder>', "of a single file: folder with CLIP's vocab.json and merges.txt")
    .requiredOption('--prompt <text>', 'what to draw')
    .requiredOption('--output <file>', 'picture to write, .png or .jpg; several are numbered')
    .option('--negative-prompt <text>', 'what to keep out; absent is not the same as empty')
    .option('--seed <integer>', 'picture i draws from seed + i (default random)', bigInteger)
    .option('--num-images <n>', 'pictures to draw', integer(1, 64), 1)
    .option('--steps <n>', 'denoising steps (default 30)', integer(1, 1000))
    .option('--timesteps <list>', 'the timesteps themselves: 999,759,499', numbers)
    .option('--sigmas <list>', 'the sigmas themselves, ending in 0: 14.6,2.9,0', numbers)
    .option('--guidance <scale>', "guidance scale (default 7.5, SDXL's 5); off at 1 and below", decimal(0, 100))
    .option('--guidance-rescale <phi>', 'against over-exposure, 0 to 1', decimal(0, 1), 0)
    .option('--scheduler <name>', "fal's name or diffusers' class (default the checkpoint's own)")
    .addOption(
      new Option('--prediction-type <type>', "what the UNet predicts (default the checkpoint's)").choices([
        'epsilon',
        'v_prediction',
        'sample',
      ]),
    )
    .option('--eta <eta>', 'stochasticity of DDIM and TCD, 0 to 1', decimal(0, 1), 0)
    .option('--clip-skip <n>', 'hidden layers of the text encoder to leave out', integer(0, 11), 0)
    .option('--width <pixels>', "default the checkpoint's native size", integer(8, 16_384))
    .option('--height <pixels>', "default the checkpoint's native size", integer(8, 16_384))
    .option('--image <file>', 'picture to start from')
    .option('--strength <s>', 'how much of it is drawn anew, 0 to 1 (default 0.8)', decimal(0, 1))
    .option('--lora <file[:scale]>', 'LoRA to merge; may be given several times', collect, [])
    .option('--embedding <file[=word,word]>', 'learned words; may be given several times', collect, [])
    .option(
      '--controlnet <pairs>',
      'path=FOLDER,image=FILE[,mask=FILE][,scale=1][,start=0][,end=1]; may be given several times',
      collect,
      [],
    )
    .option('--guess-mode', 'ControlNets see the picture without the prompt')
    .option(
      '--ip-adapter <pairs>',
      'path=FILE,image=FILE[,encoder=FOLDER][,mask=FILE][,scale=1]; may be given several times',
      collect,
      [],
    )
    .option('--ic-light <file>', "IC-Light's offsets, with --ic-light-image and for fbc --ic-light-background")
    .option('--ic-light-image <file>', 'what is lit anew')
    .option('--ic-light-background <file>', 'what it stands before')
    .option('--prompt-weighting', 'read (word:1.3), [word] and BREAK in prompts, and draw long ones whole')
    .option('--tile <size[:stride]>', 'draw large pictures by tiles of this many pixels', parseTiling)
    .option('--vae <folder>', "autoencoder in place of the checkpoint's own: a folder or a file")
    .option('--variant <name>', 'precision variant of the weight files, e.g. fp16')
    .option('--gpu <number>', 'which of several GPUs draws, from 0 (cuda, tensorrt, dml)', integer(0, 255))
    .option('--latents <file>', 'also write the final latents (safetensors, float32, key "latents")')
    .action((options) =>
      withInterrupt(async (signal) =>
        (await import('./cli/generate.ts')).generate(
          options,
          readConfig({ precision: options.precision, device: options.device }),
          signal,
        ),
      ),
    )
}

/** Ctrl-C ends the work between two steps. */
async function withInterrupt(work: (signal: AbortSignal) => Promise<void>): Promise<void> {
  const controller = new AbortController()
  const interrupt = () => {
    process.exitCode = 130
    controller.abort(new UserError('interrupted'))
  }
  process.once('SIGINT', interrupt)
  try {
    await work(controller.signal)
  } finally {
    process.off('SIGINT', interrupt)
  }
}

function integer(least: number, most: number): (text: string) => number {
  return (text) => {
    const value = Number(text)
    if (text.trim() !== '' && Number.isInteger(value) && value >= least && value <= most) return value
    throw new InvalidArgumentError(`expected an integer from ${least} to ${most}`)
  }
}

function bigInteger(text: string): bigint {
  if (!/^-?\d+$/.test(text)) throw new InvalidArgumentError('expected an integer')
  return BigInt(text)
}

function decimal(least: number, most: number): (text: string) => number {
  return (text) => {
    const value = Number(text)
    if (text.trim() !== '' && value >= least && value <= most) return value
    throw new InvalidArgumentError(`expected a number from ${least} to ${most}`)
  }
}

function numbers(text: string): number[] {
  return text.split(',').map(decimal(0, 1_000_000))
}

function collect(text: string, previous: readonly string[]): string[] {
  return [...previous, text]
}

/** Errors of configuration, engine and stores say what to do by themselves; anything else is a defect and shows its stack. */
async function describe(error: unknown): Promise<string> {
  if (!(error instanceof Error)) return String(error)
  if (!(await isMendable(error))) return error.stack ?? error.message
  // Messages name a model's file without its folder, because clients read them too.
  const path = 'path' in error && typeof error.path === 'string' ? ` (${error.path})` : ''
  return `darkroom: ${error.message}${path}`
}

const MENDABLE = [AccelerationError, ConfigError, DatabaseError, ModelError, StorageError, UserError, WireError]

async function isMendable(error: Error): Promise<boolean> {
  if (MENDABLE.some((kind) => error instanceof kind)) return true
  // Loaded where it is needed: most commands end without it.
  const { EngineError } = await import('@darkroom/engine')
  return error instanceof EngineError
}
