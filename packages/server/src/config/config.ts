import { homedir } from 'node:os'
import { join, resolve } from 'node:path'
import {
  type Config,
  DEVICES,
  type DownloadsConfig,
  type Limits,
  LOG_LEVELS,
  PRECISIONS,
  type RunnersConfig,
  type S3Config,
  type StorageConfig,
} from './configuration.ts'
import { SETTING_NAMES, type SettingName } from './settings.ts'

export type { Config, RunnersConfig } from './configuration.ts'

export type Environment = Readonly<Record<string, string | undefined>>

/** What the command line sets; it wins over the environment. */
export type ConfigOverrides = Partial<
  Pick<
    Config,
    | 'port'
    | 'host'
    | 'dataFolder'
    | 'publicUrl'
    | 'tls'
    | 'auth'
    | 'allowPrivateTargets'
    | 'logLevel'
    | 'precision'
    | 'device'
  >
> & { readonly runners?: Partial<Pick<RunnersConfig, 'count' | 'host' | 'port' | 'advertisedHost'>> }

/** A setting that cannot be used. The message is one line: what was expected, what came, what to do. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
}

const MEBIBYTE = 1024 * 1024
const GIBIBYTE = 1024 * MEBIBYTE
const DEFAULT_PORT = 3010
const DEFAULT_HOST = '127.0.0.1'

/**
 * @param environment the process's environment unless a test gives its own
 * @throws ConfigError
 */
export function readConfig(overrides: ConfigOverrides = {}, environment: Environment = process.env): Config {
  const env = settingsOf(environment)
  const host = overrides.host ?? env.DARKROOM_HOST ?? DEFAULT_HOST
  const auth = overrides.auth ?? readChoice(env, 'DARKROOM_AUTH', ['keys', 'none']) ?? defaultAuth(host)
  if (auth === 'none' && !isLoopback(host)) {
    throw new ConfigError(
      `DARKROOM_AUTH=none expects a loopback host, found ${host}: anyone on the network could draw here; ` +
        'use --host 127.0.0.1, or DARKROOM_AUTH=keys with `darkroom keys create`',
    )
  }
  const dataFolder = resolve(overrides.dataFolder ?? env.DARKROOM_DATA ?? join(homedir(), '.darkroom'))
  return Object.freeze({
    port: overrides.port ?? readInteger(env, 'DARKROOM_PORT', 0, 65_535) ?? DEFAULT_PORT,
    host,
    dataFolder,
    recipesFile: env.DARKROOM_RECIPES,
    modelsFolder: resolve(env.DARKROOM_MODELS ?? join(dataFolder, 'models')),
    hubCacheFolder: resolve(env.HF_HUB_CACHE ?? env.HUGGINGFACE_HUB_CACHE ?? join(hubHome(env), 'hub')),
    downloads: readDownloads(env),
    preparedWeightsBytes: readInteger(env, 'DARKROOM_PREPARED_WEIGHTS_BYTES', 0) ?? 40e9,
    allowModelPaths: readFlag(env, 'DARKROOM_ALLOW_MODEL_PATHS') ?? auth === 'none',
    precision: overrides.precision ?? readChoice(env, 'DARKROOM_PRECISION', PRECISIONS) ?? 'exact',
    device: overrides.device ?? readChoice(env, 'DARKROOM_DEVICE', DEVICES) ?? 'auto',
    pythonIndex: readPythonIndex(env),
    threads: readInteger(env, 'DARKROOM_THREADS', 1, 1024),
    databaseUrl: readDatabaseUrl(env),
    s3: readS3(env),
    publicUrl: readPublicUrl(overrides.publicUrl ?? env.DARKROOM_PUBLIC_URL),
    tls: overrides.tls ?? readFlag(env, 'DARKROOM_TLS') ?? false,
    auth,
    allowedOrigins: readOrigins(env),
    allowPrivateTargets: overrides.allowPrivateTargets ?? readFlag(env, 'DARKROOM_ALLOW_PRIVATE_TARGETS') ?? false,
    openMetrics: readFlag(env, 'DARKROOM_OPEN_METRICS') ?? false,
    recordsRequests: readFlag(env, 'DARKROOM_PICTURE_RECORDS') ?? true,
    requireSafetyChecker: readFlag(env, 'DARKROOM_REQUIRE_SAFETY_CHECKER') ?? false,
    demoSafetyChecker: readFlag(env, 'DARKROOM_DEMO_SAFETY_CHECKER') ?? false,
    logLevel: overrides.logLevel ?? readChoice(env, 'DARKROOM_LOG_LEVEL', LOG_LEVELS) ?? 'info',
    drainSeconds: readInteger(env, 'DARKROOM_DRAIN_SECONDS', 0, 3600) ?? 30,
    runners: readRunners(overrides.runners ?? {}, env),
    limits: readLimits(env),
    storage: readStorage(env),
  })
}

/** Where weights that cannot be mapped as they lie are kept in float32. */
export function preparedWeightsFolder({ dataFolder }: Pick<Config, 'dataFolder'>): string {
  return join(dataFolder, 'prepared-weights')
}

/** Where libraries that make drawing faster are kept. */
export function librariesFolder({ dataFolder }: Pick<Config, 'dataFolder'>): string {
  return join(dataFolder, 'libraries')
}

/** The variables that are settings, blank ones left out. */
type Settings = Readonly<Partial<Record<SettingName, string>>>

function settingsOf(environment: Environment): Settings {
  return Object.fromEntries(
    SETTING_NAMES.map((name) => [name, environment[name]]).filter(([, value]) => value !== undefined && value !== ''),
  )
}

function defaultAuth(host: string): Config['auth'] {
  return isLoopback(host) ? 'none' : 'keys'
}

/** Whether a host to listen on is reachable from this machine alone. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || host === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(host)
}

/** Origins as browsers spell them, or `*`. */
function readOrigins(env: Settings): readonly string[] | undefined {
  const named = env.DARKROOM_ALLOWED_ORIGINS?.split(',')
    .map((origin) => origin.trim())
    .filter((origin) => origin !== '')
  return named && Object.freeze(named.map((each) => (each === '*' ? each : originOf(each))))
}

function originOf(text: string): string {
  const url = /^https?:/i.test(text) && URL.canParse(text) ? new URL(text) : undefined
  if (url === undefined || url.pathname !== '/' || url.search !== '')
    throw new ConfigError(`DARKROOM_ALLOWED_ORIGINS: expected origins such as https://app.example.com, got ${text}.`)
  return url.origin
}

function readRunners(overrides: NonNullable<ConfigOverrides['runners']>, env: Settings): RunnersConfig {
  const count = overrides.count ?? readInteger(env, 'DARKROOM_RUNNERS', 1, 256) ?? 1
  const port = overrides.port ?? readInteger(env, 'DARKROOM_RUNNER_PORT', 0, 65_535) ?? 0
  if (port !== 0 && port + count - 1 > 65_535)
    throw new ConfigError(
      `Runners take ports from ${port} up (DARKROOM_RUNNER_PORT), and ${count} of them (DARKROOM_RUNNERS) go beyond 65535.`,
    )
  return Object.freeze({
    count,
    number: 0,
    host: overrides.host ?? env.DARKROOM_RUNNER_HOST ?? DEFAULT_HOST,
    port,
    advertisedHost: overrides.advertisedHost ?? env.DARKROOM_RUNNER_ADVERTISED_HOST,
    memoryBytes: readInteger(env, 'DARKROOM_RUNNER_MEMORY_BYTES', MEBIBYTE),
    keptBytes: readInteger(env, 'DARKROOM_KEPT_MODEL_BYTES', 0),
    idleSeconds: readInteger(env, 'DARKROOM_MODEL_IDLE_SECONDS', 1) ?? 300,
  })
}

/** As huggingface_hub finds it. */
function hubHome(env: Settings): string {
  return env.HF_HOME ?? join(env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'huggingface')
}

function readDownloads(env: Settings): DownloadsConfig {
  return Object.freeze({
    policy: readChoice(env, 'DARKROOM_DOWNLOADS', ['adapters', 'all', 'never']) ?? 'adapters',
    maxBytes: readInteger(env, 'DARKROOM_MAX_DOWNLOAD_BYTES', MEBIBYTE) ?? 12 * GIBIBYTE,
    budgetBytes: readInteger(env, 'DARKROOM_DOWNLOADS_BUDGET_BYTES', 0) ?? 64 * GIBIBYTE,
    hubEndpoint: readHubEndpoint(env),
    // huggingface_hub's spellings of true.
    hubOffline: /^(1|on|yes|true)$/i.test(env.HF_HUB_OFFLINE ?? env.TRANSFORMERS_OFFLINE ?? ''),
    hubToken: env.HF_TOKEN ?? env.HUGGING_FACE_HUB_TOKEN,
    hubTokenFile: resolve(env.HF_TOKEN_PATH ?? join(hubHome(env), 'token')),
    civitaiToken: env.CIVITAI_TOKEN,
  })
}

function readHubEndpoint(env: Settings): string {
  const text = env.HF_ENDPOINT ?? 'https://huggingface.co'
  if (/^https?:\/\//.test(text) && URL.canParse(text)) return text.replace(/\/+$/, '')
  throw new ConfigError(`HF_ENDPOINT: expected https://host, found ${text}`)
}

/** As pip reads it. What was found is not repeated, for it may hold a password. */
function readPythonIndex(env: Settings): string {
  const text = env.PIP_INDEX_URL ?? 'https://pypi.org/simple'
  if (/^https?:\/\//.test(text) && URL.canParse(text)) return text
  throw new ConfigError('PIP_INDEX_URL: expected https://host/simple')
}

function readLimits(env: Settings): Limits {
  const jsonBodyBytes = readInteger(env, 'DARKROOM_MAX_JSON_BYTES', 1024) ?? 96 * MEBIBYTE
  return Object.freeze({
    jsonBodyBytes,
    bodiesBytes: Math.max(jsonBodyBytes, readInteger(env, 'DARKROOM_MAX_BODIES_BYTES', 1024) ?? 128 * MEBIBYTE),
    uploadBytes: readInteger(env, 'DARKROOM_MAX_UPLOAD_BYTES', 1024) ?? 4096 * MEBIBYTE,
    keepAliveSeconds: readInteger(env, 'DARKROOM_KEEP_ALIVE_SECONDS', 1, 600) ?? 15,
    leastBytesPerSecond: readInteger(env, 'DARKROOM_LEAST_BYTES_PER_SECOND', 1) ?? 4096,
  })
}

function readStorage(env: Settings): StorageConfig {
  return Object.freeze({
    payloadBudgetBytes: readInteger(env, 'DARKROOM_PAYLOADS_BUDGET_BYTES', 0) ?? 8 * GIBIBYTE,
    fileBudgetBytes: readInteger(env, 'DARKROOM_FILES_BUDGET_BYTES', 0) ?? 64 * GIBIBYTE,
    diskReserveBytes: readInteger(env, 'DARKROOM_DISK_RESERVE_BYTES', 0) ?? GIBIBYTE / 2,
    maxRecordedCharacters: readInteger(env, 'DARKROOM_MAX_RECORDED_BYTES', 0) ?? MEBIBYTE,
  })
}

function readDatabaseUrl(env: Settings): string | undefined {
  const url = env.DATABASE_URL
  if (url === undefined) return undefined
  if (/^postgres(ql)?:\/\//.test(url)) return url
  throw new ConfigError(
    `DATABASE_URL: expected postgres://user@host/database, found ${url.split(':')[0]}:…; unset it to use the embedded database`,
  )
}

function readS3(env: Settings): S3Config | undefined {
  if (env.S3_BUCKET === undefined) return undefined
  return Object.freeze({
    bucket: env.S3_BUCKET,
    region: env.S3_REGION ?? 'us-east-1',
    endpoint: env.S3_ENDPOINT,
    accessKeyId: env.S3_ACCESS_KEY_ID,
    secretAccessKey: env.S3_SECRET_ACCESS_KEY,
  })
}

function readPublicUrl(text: string | undefined): string | undefined {
  if (text === undefined) return undefined
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url === undefined || !/^https?:$/.test(url.protocol) || url.search !== '' || url.hash !== '') {
    throw new ConfigError(`DARKROOM_PUBLIC_URL: expected https://host[:port][/prefix], found ${text}`)
  }
  return url.href.replace(/\/+$/, '')
}

function readInteger(
  env: Settings,
  name: SettingName,
  least: number,
  most = Number.MAX_SAFE_INTEGER,
): number | undefined {
  const text = env[name]
  if (text === undefined) return undefined
  const value = Number(text)
  if (Number.isInteger(value) && value >= least && value <= most) return value
  throw new ConfigError(`${name}: expected an integer from ${least} to ${most}, found ${text}`)
}

function readFlag(env: Settings, name: SettingName): boolean | undefined {
  const choice = readChoice(env, name, ['1', 'true', '0', 'false'])
  return choice === undefined ? undefined : choice === '1' || choice === 'true'
}

function readChoice<T extends string>(env: Settings, name: SettingName, choices: readonly T[]): T | undefined {
  const text = env[name]
  if (text === undefined) return undefined
  const choice = choices.find((candidate) => candidate === text)
  if (choice !== undefined) return choice
  throw new ConfigError(`${name}: expected one of ${choices.join(', ')}, found ${text}`)
}
