/** Everything that can be set from outside, read once at start: `readConfig`. Nothing else reads `process.env`. */
export interface Config {
  readonly port: number
  readonly host: string
  /** Absolute path of the folder that holds the embedded database, stored files and prepared weights. */
  readonly dataFolder: string
  /** Folder with models as `owner/name/`, in diffusers layout. */
  readonly modelsFolder: string
  /** JSON file with models and numbers of the endpoints whose pages do not say them. Absent: the built-in ones. */
  readonly recipesFile: string | undefined
  /** The hub cache that is shared with Python's libraries: checkpoints in it are used where they lie, and fetched ones go there. */
  readonly hubCacheFolder: string
  readonly downloads: DownloadsConfig
  /** Prepared weights beyond this are removed, least recently used first. */
  readonly preparedWeightsBytes: number
  /** Whether requests may name weights by absolute paths, wherever these lead. */
  readonly allowModelPaths: boolean
  /** `exact`: float32, the pictures that diffusers draws. `fast`: the fastest arithmetic here whose pictures are close to these. */
  readonly precision: 'exact' | 'fast'
  /** What draws; `auto` is the platform's GPU where it can be had, else the CPU. */
  readonly device: Device
  /** The Python package index that `darkroom accelerate` fetches libraries from. */
  readonly pythonIndex: string
  /** Threads of the engine. Absent: as many as the machine, or its container, runs at once, shared among its runners. */
  readonly threads: number | undefined
  /** `postgres://…`: the scale-out database. Absent: a libsql file in the data folder. */
  readonly databaseUrl: string | undefined
  /** Absent: files on disk in the data folder. */
  readonly s3: S3Config | undefined
  /** Base URL by which clients reach this server, without a trailing slash. Absent: the origin of each request. */
  readonly publicUrl: string | undefined
  /** Whether to serve HTTPS, with a certificate of this server's own authority. */
  readonly tls: boolean
  /** `keys`: every call needs a key. `none`: no call does; only on a loopback address. */
  readonly auth: 'keys' | 'none'
  /** Origins whose pages may call the API, `*` for all. Absent: all with keys, this machine's own without. */
  readonly allowedOrigins: readonly string[] | undefined
  /** Whether webhooks and input URLs may point at private addresses. */
  readonly allowPrivateTargets: boolean
  /** Whether `/metrics` needs no key where calls do. */
  readonly openMetrics: boolean
  /** Whether pictures carry the request that they come from. */
  readonly recordsRequests: boolean
  /** Whether a request that wants its pictures checked is refused where the safety checker is missing. */
  readonly requireSafetyChecker: boolean
  /** Whether the demo checker, which flags neon pictures, looks where no real one is. */
  readonly demoSafetyChecker: boolean
  readonly logLevel: LogLevel
  /** Seconds that a stopping process gives what it is working on before it hands it back or cuts it off. */
  readonly drainSeconds: number
  readonly runners: RunnersConfig
  readonly limits: Limits
  readonly storage: StorageConfig
}

/** The runner processes of this machine. */
export interface RunnersConfig {
  readonly count: number
  /** Which of them this process is, from 0; 0 in a process that is none. Several GPUs are dealt out by it. */
  readonly number: number
  /** Interface on which gateways reach the runners; loopback serves gateways of this machine alone. */
  readonly host: string
  /** Port of the first runner, the others take the next ones. 0: any free port. */
  readonly port: number
  /** Name or address by which gateways reach this machine. Absent: `host`, or an address of this machine for a wildcard. */
  readonly advertisedHost: string | undefined
  /** A runner that holds more memory of its own is replaced. Absent: nine tenths of the machine's, shared among them. */
  readonly memoryBytes: number | undefined
  /** What a runner's models may keep while they are not run. Absent: a quarter of the machine's, shared among the runners. */
  readonly keptBytes: number | undefined
  /** Seconds after which a model that was not run, and within twice as many, gives its memory back. */
  readonly idleSeconds: number
}

/** Where weights come from, and what of them is fetched. */
export interface DownloadsConfig {
  /** What requests may have fetched: adapters, base models as well, or nothing. */
  readonly policy: 'adapters' | 'all' | 'never'
  /** Largest download for one reference of a request. */
  readonly maxBytes: number
  /** What was fetched for requests is removed beyond this, least recently used first. */
  readonly budgetBytes: number
  /** The public hub, or a mirror of it. Without a trailing slash. */
  readonly hubEndpoint: string
  /** Whether the hub is never asked. */
  readonly hubOffline: boolean
  readonly hubToken: string | undefined
  /** Where Python's `hf auth login` puts the token; read when it is needed. */
  readonly hubTokenFile: string
  readonly civitaiToken: string | undefined
}

export const PRECISIONS = ['exact', 'fast'] as const
export const DEVICES = ['auto', 'cpu', 'cuda', 'tensorrt', 'webgpu', 'dml', 'coreml'] as const
export type Device = (typeof DEVICES)[number]

export interface S3Config {
  readonly bucket: string
  readonly region: string
  /** Absent: Amazon's own endpoint of the region. */
  readonly endpoint: string | undefined
  readonly accessKeyId: string | undefined
  readonly secretAccessKey: string | undefined
}

/** How much is kept. */
export interface StorageConfig {
  /** Bodies of finished requests are erased beyond this, the oldest first. */
  readonly payloadBudgetBytes: number
  /** Uploaded and generated files are removed beyond this, the oldest first. */
  readonly fileBudgetBytes: number
  /** While less than this is free, nothing new is taken. */
  readonly diskReserveBytes: number
  /** Largest body, in characters, that is kept of a call that was answered at once. */
  readonly maxRecordedCharacters: number
}

export interface Limits {
  /** Largest JSON request body. A 50 MiB picture as a data URI is 67 MiB of JSON. */
  readonly jsonBodyBytes: number
  /** All JSON bodies of calls that are underway, but for small ones. */
  readonly bodiesBytes: number
  /** Largest file that can be uploaded. */
  readonly uploadBytes: number
  /** Seconds between comment lines of an idle event stream. */
  readonly keepAliveSeconds: number
  /** What a request's body must bring and the reader of an answer must take, on average over half a minute. */
  readonly leastBytesPerSecond: number
}

export const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const
export type LogLevel = (typeof LOG_LEVELS)[number]
