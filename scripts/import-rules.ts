/**
 * Which layer may import which, as data: the design's picture of the code. A layer is a folder under a package's src; a file
 * of its own (`cli.ts`) is a layer too. A layer may always import itself.
 */
export interface PackageRules {
  /** Folder of the package's sources. */
  readonly root: string
  /** Layers each layer may import; `*` means all of the package, and in place of the record a package without layers. */
  readonly layers: Readonly<Record<string, readonly string[] | '*'>> | '*'
  /** Names of files that belong to another layer than the folder they lie in: an endpoint is one folder, and its handler draws. */
  readonly filesOfLayers?: Readonly<Record<string, string>>
}

/** What nearly every layer of the engine stands on. */
const BASE = ['errors', 'tensor']

export const PACKAGE_RULES: readonly PackageRules[] = [
  {
    root: 'packages/engine/src',
    layers: {
      errors: [],
      tensor: [],
      config: ['errors'],
      random: ['tensor'],
      image: BASE,
      formats: BASE,
      schedulers: ['config', ...BASE],
      tokenizers: ['errors'],
      graph: ['formats', 'tensor'],
      models: ['config', 'graph', 'tensor'],
      checkpoint: ['formats', ...BASE],
      adapters: ['checkpoint', 'formats', 'graph', 'models', 'tensor'],
      runtime: ['checkpoint', 'formats', 'graph', ...BASE],
      vision: ['checkpoint', 'config', 'formats', 'image', 'models', 'runtime', 'tensor'],
      pipelines: [
        'adapters',
        'checkpoint',
        'config',
        'graph',
        'image',
        'models',
        'random',
        'runtime',
        'schedulers',
        'tokenizers',
        ...BASE,
      ],
      'index.ts': '*',
    },
  },
  {
    root: 'packages/server/src',
    layers: {
      protocol: [],
      errors: [],
      config: [],
      tls: [],
      log: [],
      waiting: [],
      validation: ['protocol', 'errors'],
      db: ['errors'],
      security: ['errors', 'waiting'],
      storage: ['errors'],
      queue: ['db', 'errors'],
      webhooks: ['db', 'log', 'security'],
      channel: ['errors', 'protocol', 'queue'],
      endpoints: ['protocol', 'queue'],
      models: ['security'],
      acceleration: ['models', 'security'],
      drawing: ['endpoints', 'models', 'errors', 'protocol'],
      gateway: [
        'protocol',
        'errors',
        'log',
        'config',
        'validation',
        'db',
        'security',
        'storage',
        'queue',
        'channel',
        'endpoints',
        'models',
        'waiting',
      ],
      runner: ['protocol', 'errors', 'log', 'validation', 'queue', 'channel', 'endpoints', 'waiting'],
      web: ['channel', 'config', 'errors', 'gateway', 'log', 'tls'],
      processes: '*',
      cli: '*',
      'cli.ts': '*',
      'runner-main.ts': '*',
      'trial-main.ts': '*',
    },
    filesOfLayers: { 'handler.ts': 'drawing' },
  },
  // A handful of files of one layer.
  { root: 'packages/client/src', layers: '*' },
  {
    root: 'playground/src',
    layers: {
      schema: [],
      api: ['schema'],
      parts: ['api', 'inputs', 'schema'],
      form: ['api', 'parts', 'schema'],
      run: ['api', 'inputs', 'schema'],
      inputs: ['api', 'schema'],
      realtime: ['api', 'form', 'schema'],
      docs: ['parts'],
      pages: ['api', 'docs', 'form', 'inputs', 'parts', 'realtime', 'run', 'schema'],
      'app.tsx': ['pages', 'parts'],
      'main.tsx': '*',
      'vite.d.ts': [],
    },
  },
]

/** Modules that only these layers or files may import: each is an interface to the outside world, or heavy to load. */
export const EXCLUSIVE_MODULES: Readonly<Record<string, readonly string[]>> = {
  '@darkroom/engine': [
    'packages/server/src/drawing',
    'packages/server/src/processes',
    'packages/server/src/cli',
    'packages/server/src/cli.ts',
  ],
  'onnxruntime-node': ['packages/engine/src/runtime'],
  koffi: ['packages/engine/src/runtime'],
  sharp: ['packages/engine/src/image'],
  undici: ['packages/server/src/security'],
  pino: ['packages/server/src/log'],
  libsql: ['packages/server/src/db'],
  pg: ['packages/server/src/db'],
  '@aws-sdk/client-s3': ['packages/server/src/storage'],
  '@peculiar/x509': ['packages/server/src/tls'],
}

/** Only these may read the process's environment. */
export const ENVIRONMENT_READERS: readonly string[] = ['packages/server/src/config']
