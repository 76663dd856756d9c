import type { Config } from './configuration.ts'

/** A variable of the environment, as the page of settings shows it. */
export interface Setting {
  /** What it is for, in Markdown. */
  readonly meaning: string
  /** What holds without it: read off a configuration that nobody set anything of, or a text where that depends. */
  readonly standard: ((config: Config) => string | number | boolean) | string
  /** The option of the command line that wins over it. */
  readonly option?: string
}

/** Every variable that is read, by the heading it stands under. `readConfig` can read no other: its types do not let it. */
const SETTING_GROUPS = {
  'Server and access': {
    DARKROOM_PORT: { meaning: 'port to listen on', standard: ({ port }) => port, option: '--port' },
    DARKROOM_HOST: { meaning: 'address to listen on', standard: ({ host }) => host, option: '--host' },
    DARKROOM_DATA: {
      meaning: 'folder of requests, files and prepared weights',
      standard: '`~/.darkroom`',
      option: '--data',
    },
    DARKROOM_PUBLIC_URL: {
      meaning: 'base URL in answers',
      standard: "the request's own origin",
      option: '--public-url',
    },
    DARKROOM_TLS: {
      meaning: 'HTTPS with a certificate of a local authority',
      standard: ({ tls }) => tls,
      option: '--tls',
    },
    DARKROOM_AUTH: {
      meaning: 'whether calls need a key: `keys` or `none`',
      standard: '`none` on loopback, else `keys`',
      option: '--auth',
    },
    DARKROOM_OPEN_METRICS: {
      meaning: '`/metrics` needs no key where calls do',
      standard: ({ openMetrics }) => openMetrics,
    },
    DARKROOM_ALLOWED_ORIGINS: {
      meaning: 'origins whose pages may call, comma-separated, `*` for all',
      standard: "all with keys, else this machine's own",
    },
    DARKROOM_ALLOW_PRIVATE_TARGETS: {
      meaning: 'webhooks and input URLs may lead into private networks',
      standard: ({ allowPrivateTargets }) => allowPrivateTargets,
    },
    DARKROOM_MAX_JSON_BYTES: { meaning: 'largest JSON body', standard: ({ limits }) => bytes(limits.jsonBodyBytes) },
    DARKROOM_MAX_BODIES_BYTES: {
      meaning:
        'JSON bodies and socket messages over 64 KiB of all calls that are underway, half of it for one account; one more is answered 429',
      standard: ({ limits }) => bytes(limits.bodiesBytes),
    },
    DARKROOM_MAX_UPLOAD_BYTES: { meaning: 'largest upload', standard: ({ limits }) => bytes(limits.uploadBytes) },
    DARKROOM_LEAST_BYTES_PER_SECOND: {
      meaning:
        'a body that comes slower over half a minute is answered 408, a reader that takes less of its answer is cut',
      standard: ({ limits }) => limits.leastBytesPerSecond,
    },
    DARKROOM_KEEP_ALIVE_SECONDS: {
      meaning: 'between two comments in an event stream that is idle',
      standard: ({ limits }) => limits.keepAliveSeconds,
    },
    DARKROOM_PAYLOADS_BUDGET_BYTES: {
      meaning: 'bodies of finished requests; the oldest go first',
      standard: ({ storage }) => bytes(storage.payloadBudgetBytes),
    },
    DARKROOM_FILES_BUDGET_BYTES: {
      meaning: 'uploaded and generated files; the oldest go first',
      standard: ({ storage }) => bytes(storage.fileBudgetBytes),
    },
    DARKROOM_MAX_RECORDED_BYTES: {
      meaning: 'larger bodies of sync runs and streams are named by their size in listings, and not kept',
      standard: ({ storage }) => bytes(storage.maxRecordedCharacters),
    },
    DARKROOM_DISK_RESERVE_BYTES: {
      meaning: 'while less is free, uploads and requests are answered 507; `/health` and `/metrics` tell before',
      standard: ({ storage }) => bytes(storage.diskReserveBytes),
    },
    DARKROOM_LOG_LEVEL: {
      meaning: '`fatal`, `error`, `warn`, `info`, `debug`, `trace` or `silent`',
      standard: ({ logLevel }) => logLevel,
    },
  },
  Pictures: {
    DARKROOM_PICTURE_RECORDS: {
      meaning: 'PNG and JPEG files carry the request that drew them; drop one on the playground to take it up again',
      standard: ({ recordsRequests }) => recordsRequests,
    },
    DARKROOM_REQUIRE_SAFETY_CHECKER: {
      meaning: 'requests that want their pictures checked are refused where the safety checker is missing',
      standard: ({ requireSafetyChecker }) => requireSafetyChecker,
    },
    DARKROOM_DEMO_SAFETY_CHECKER: {
      meaning:
        'where no safety checker is here, one looks that knows a harmless class, neon pictures, to show what flags look like',
      standard: ({ demoSafetyChecker }) => demoSafetyChecker,
    },
    DARKROOM_RECIPES: {
      meaning:
        'JSON file: models and numbers that instantid/lcm and controlnet-ip-adapter draw with ([decision](../decisions/0017-recipes.md))',
      standard: 'built in',
    },
  },
  Weights: {
    DARKROOM_MODELS: { meaning: 'folder of models as `owner/name/`', standard: '`<data>/models`' },
    DARKROOM_DOWNLOADS: {
      meaning:
        'what requests may have fetched: `adapters` (LoRAs, ControlNets and others), `all` (base models too), `never`',
      standard: ({ downloads }) => downloads.policy,
    },
    DARKROOM_MAX_DOWNLOAD_BYTES: {
      meaning: 'largest of these downloads',
      standard: ({ downloads }) => bytes(downloads.maxBytes),
    },
    DARKROOM_DOWNLOADS_BUDGET_BYTES: {
      meaning: 'all of them together; the least recently used go first',
      standard: ({ downloads }) => bytes(downloads.budgetBytes),
    },
    DARKROOM_PREPARED_WEIGHTS_BYTES: {
      meaning:
        'files of weights that graphs cannot read as they lie, and of merged LoRAs; the least recently used go first',
      standard: ({ preparedWeightsBytes }) => bytes(preparedWeightsBytes),
    },
    DARKROOM_ALLOW_MODEL_PATHS: {
      meaning: 'requests may name weights by any absolute path',
      standard: '`1` without keys, else `0`',
    },
    HF_HUB_CACHE: { meaning: "the hub's cache, shared with Python's libraries", standard: '`$HF_HOME/hub`' },
    HUGGINGFACE_HUB_CACHE: { meaning: 'its older name', standard: '' },
    HF_HOME: { meaning: "folder of the hub's cache and token", standard: '`$XDG_CACHE_HOME/huggingface`' },
    XDG_CACHE_HOME: { meaning: "folder of a user's caches", standard: '`~/.cache`' },
    HF_ENDPOINT: { meaning: 'the hub, or a mirror of it', standard: ({ downloads }) => downloads.hubEndpoint },
    HF_HUB_OFFLINE: { meaning: 'the hub is never asked', standard: ({ downloads }) => downloads.hubOffline },
    TRANSFORMERS_OFFLINE: { meaning: 'its older name', standard: '' },
    HF_TOKEN: { meaning: 'for what the hub gives signed-in users only', standard: 'what `hf auth login` stored' },
    HUGGING_FACE_HUB_TOKEN: { meaning: 'its older name', standard: '' },
    HF_TOKEN_PATH: { meaning: 'where that is stored', standard: '`$HF_HOME/token`' },
    CIVITAI_TOKEN: { meaning: 'for what Civitai gives signed-in users only', standard: '' },
  },
  'Runners and many machines': {
    DARKROOM_PRECISION: {
      meaning:
        '`exact`: float32, the pictures that diffusers draws; `fast`: the fastest arithmetic here that draws pictures close to these',
      standard: ({ precision }) => precision,
    },
    DARKROOM_DEVICE: {
      meaning: 'what draws; `auto` is the GPU where one can be had, else the CPU',
      standard: ({ device }) => device,
    },
    PIP_INDEX_URL: {
      meaning: 'the Python package index that `darkroom accelerate` fetches libraries from',
      standard: ({ pythonIndex }) => pythonIndex,
    },
    DARKROOM_THREADS: {
      meaning: 'threads of the engine in each runner',
      standard: 'as many as the machine, or its container, runs at once, shared among its runners',
    },
    DARKROOM_RUNNERS: {
      meaning: 'runner processes; each takes its share of the cores',
      standard: ({ runners }) => runners.count,
      option: '--runners',
    },
    DARKROOM_RUNNER_HOST: {
      meaning: 'where runners listen for gateways',
      standard: ({ runners }) => runners.host,
      option: '--runner-host',
    },
    DARKROOM_RUNNER_PORT: {
      meaning: "the first one's port; the others take the next",
      standard: 'any free',
      option: '--runner-port',
    },
    DARKROOM_RUNNER_ADVERTISED_HOST: {
      meaning: 'by which name gateways reach the machine',
      standard: "the runners' host; for `0.0.0.0` the machine's first address",
      option: '--advertised-host',
    },
    DARKROOM_RUNNER_MEMORY_BYTES: {
      meaning: 'a runner that holds more memory of its own is replaced',
      standard: '90 % of the machine, shared',
    },
    DARKROOM_KEPT_MODEL_BYTES: {
      meaning: 'memory that the models of a runner keep while they are not run',
      standard: '25 % of the machine, shared',
    },
    DARKROOM_MODEL_IDLE_SECONDS: {
      meaning: 'after which a model that was not run, and within twice as many, gives its memory back',
      standard: ({ runners }) => runners.idleSeconds,
    },
    DARKROOM_DRAIN_SECONDS: {
      meaning: 'what a stopping process gives its work',
      standard: ({ drainSeconds }) => drainSeconds,
    },
    DATABASE_URL: { meaning: '`postgres://…`', standard: 'a libsql file in the data folder' },
    S3_BUCKET: { meaning: 'bucket of the files', standard: 'files on disk in the data folder' },
    S3_REGION: { meaning: 'its region', standard: '`us-east-1`' },
    S3_ENDPOINT: { meaning: "for servers other than Amazon's", standard: "Amazon's of the region" },
    S3_ACCESS_KEY_ID: { meaning: 'who may use it', standard: "the machine's own role" },
    S3_SECRET_ACCESS_KEY: { meaning: 'and proves it', standard: '' },
  },
} as const satisfies Readonly<Record<string, Readonly<Record<string, Setting>>>>

type Groups = typeof SETTING_GROUPS
export type SettingName = { [G in keyof Groups]: keyof Groups[G] }[keyof Groups]

/** Names of all settings. */
export const SETTING_NAMES = Object.values(SETTING_GROUPS).flatMap((group) => Object.keys(group)) as SettingName[]

/** The page's tables, in Markdown. @param config as it is where nobody set anything */
export function settingTables(config: Config): string {
  return Object.entries(SETTING_GROUPS)
    .map(([heading, group]) => {
      const rows = Object.entries<Setting>(group).map(
        ([name, { meaning, standard, option }]) =>
          `| \`${name}\`${option === undefined ? '' : `, \`${option}\``} | ${standardText(standard, config)} | ${meaning} |`,
      )
      return [`## ${heading}`, '', '| variable | default | |', '|---|---|---|', ...rows].join('\n')
    })
    .join('\n\n')
}

function standardText(standard: Setting['standard'], config: Config): string {
  if (typeof standard === 'string') return standard
  const value = standard(config)
  const text = String(typeof value === 'boolean' ? Number(value) : value)
  return /^\d+ /.test(text) ? text : `\`${text}\``
}

/** In the largest unit that divides it: `96 MiB`. */
function bytes(count: number): string {
  if (count % 1024 ** 3 === 0) return `${count / 1024 ** 3} GiB`
  return count % 1024 ** 2 === 0 ? `${count / 1024 ** 2} MiB` : `${count / 1e9} GB`
}
