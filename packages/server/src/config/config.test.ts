import { homedir } from 'node:os'
import { join, resolve } from 'node:path'
import { describe, expect, test } from 'vitest'
import { ConfigError, readConfig } from './config.ts'

describe('config', () => {
  test('without anything: loopback, no keys, everything on disk', () => {
    const config = readConfig({}, {})
    expect(config).toMatchObject({
      port: 3010,
      host: '127.0.0.1',
      dataFolder: join(homedir(), '.darkroom'),
      databaseUrl: undefined,
      s3: undefined,
      publicUrl: undefined,
      tls: false,
      auth: 'none',
      allowPrivateTargets: false,
      logLevel: 'info',
      drainSeconds: 30,
      runners: { count: 1, host: '127.0.0.1', port: 0, advertisedHost: undefined, memoryBytes: undefined },
    })
    expect(Object.isFrozen(config) && Object.isFrozen(config.limits)).toBe(true)
  })

  test('from the environment, blank values left out', () => {
    const config = readConfig(
      {},
      {
        DARKROOM_PORT: '0',
        DARKROOM_HOST: '0.0.0.0',
        DARKROOM_DATA: 'data',
        DATABASE_URL: 'postgres://u@h/d',
        S3_BUCKET: 'b',
        S3_ENDPOINT: 'http://s3.test',
        S3_REGION: '',
        DARKROOM_PUBLIC_URL: 'https://images.test/darkroom/',
        DARKROOM_ALLOW_PRIVATE_TARGETS: '1',
        DARKROOM_LOG_LEVEL: 'debug',
        DARKROOM_MAX_JSON_BYTES: '5000',
        DARKROOM_RUNNERS: '3',
        DARKROOM_RUNNER_HOST: '0.0.0.0',
        DARKROOM_RUNNER_PORT: '3100',
        DARKROOM_RUNNER_ADVERTISED_HOST: 'runner-1.test',
        DARKROOM_RUNNER_MEMORY_BYTES: '8000000000',
        DARKROOM_DRAIN_SECONDS: '0',
      },
    )
    expect(config).toMatchObject({
      port: 0,
      host: '0.0.0.0',
      dataFolder: resolve('data'),
      databaseUrl: 'postgres://u@h/d',
      s3: { bucket: 'b', endpoint: 'http://s3.test', region: 'us-east-1' },
      publicUrl: 'https://images.test/darkroom',
      auth: 'keys',
      allowPrivateTargets: true,
      logLevel: 'debug',
      limits: { jsonBodyBytes: 5000 },
      drainSeconds: 0,
      runners: { count: 3, host: '0.0.0.0', port: 3100, advertisedHost: 'runner-1.test', memoryBytes: 8e9 },
    })
  })

  test('where weights come from', () => {
    const home = join(homedir(), '.cache', 'huggingface')
    expect(readConfig({}, {})).toMatchObject({
      hubCacheFolder: join(home, 'hub'),
      allowModelPaths: true,
      downloads: {
        policy: 'adapters',
        hubEndpoint: 'https://huggingface.co',
        hubOffline: false,
        hubToken: undefined,
        hubTokenFile: join(home, 'token'),
      },
    })
    const named = { HF_HOME: '/hf', HF_ENDPOINT: 'http://mirror:80/', HF_TOKEN: 't', HF_HUB_OFFLINE: 'ON' }
    expect(readConfig({ host: '0.0.0.0' }, { ...named, DARKROOM_DOWNLOADS: 'all' })).toMatchObject({
      hubCacheFolder: '/hf/hub',
      allowModelPaths: false,
      downloads: {
        policy: 'all',
        hubEndpoint: 'http://mirror:80',
        hubOffline: true,
        hubToken: 't',
        hubTokenFile: '/hf/token',
      },
    })
    expect(readConfig({}, { XDG_CACHE_HOME: '/xdg' }).hubCacheFolder).toBe('/xdg/huggingface/hub')
    expect(() => readConfig({}, { HF_ENDPOINT: 'mirror' })).toThrow('HF_ENDPOINT: expected https://host, found mirror')
    expect(() => readConfig({}, { DARKROOM_DOWNLOADS: 'yes' })).toThrow('adapters, all, never')
  })

  test('the command line wins', () => {
    expect(readConfig({ port: 1, host: '::1' }, { DARKROOM_PORT: '2', DARKROOM_HOST: '0.0.0.0' })).toMatchObject({
      port: 1,
      host: '::1',
      auth: 'none',
    })
    expect(
      readConfig({ runners: { count: 2 } }, { DARKROOM_RUNNERS: '3', DARKROOM_RUNNER_PORT: '5' }).runners,
    ).toMatchObject({
      count: 2,
      port: 5,
    })
  })

  test.each([
    [{ DARKROOM_PORT: '70000' }, 'DARKROOM_PORT: expected an integer from 0 to 65535, found 70000'],
    [{ DARKROOM_PORT: 'x' }, 'DARKROOM_PORT'],
    [{ DARKROOM_HOST: '0.0.0.0', DARKROOM_AUTH: 'none' }, 'expects a loopback host, found 0.0.0.0'],
    [{ DARKROOM_AUTH: 'maybe' }, 'DARKROOM_AUTH: expected one of keys, none, found maybe'],
    [{ DARKROOM_PUBLIC_URL: 'images.test' }, 'DARKROOM_PUBLIC_URL'],
    [{ DARKROOM_PUBLIC_URL: 'https://images.test?a=1' }, 'DARKROOM_PUBLIC_URL'],
    [{ DARKROOM_ALLOW_PRIVATE_TARGETS: 'yes please' }, 'DARKROOM_ALLOW_PRIVATE_TARGETS'],
    [{ DARKROOM_LOG_LEVEL: 'loud' }, 'DARKROOM_LOG_LEVEL'],
    [{ DARKROOM_MAX_JSON_BYTES: '1' }, 'DARKROOM_MAX_JSON_BYTES'],
    [{ DARKROOM_RUNNERS: '0' }, 'DARKROOM_RUNNERS: expected an integer from 1 to 256, found 0'],
    [{ DARKROOM_DRAIN_SECONDS: 'soon' }, 'DARKROOM_DRAIN_SECONDS'],
  ])('refuses %j', (environment, message) => {
    expect(() => readConfig({}, environment as Record<string, string>)).toThrow(ConfigError)
    expect(() => readConfig({}, environment as Record<string, string>)).toThrow(message)
  })

  test('a database URL that is refused is not repeated, for it may hold a password', () => {
    const read = () => readConfig({}, { DATABASE_URL: 'mysql://u:secret@h/d' })
    expect(read).toThrow('DATABASE_URL')
    expect(read).not.toThrow('secret')
  })

  test('origins are taken as browsers spell them', () => {
    const read = (origins: string) => readConfig({}, { DARKROOM_ALLOWED_ORIGINS: origins }).allowedOrigins
    expect(read(' HTTPS://App.example.com/, http://lan:3000,*, ')).toEqual([
      'https://app.example.com',
      'http://lan:3000',
      '*',
    ])
    for (const bad of ['app.example.com', 'https://app.example.com/page', 'ftp://a', 'https://'])
      expect(() => read(bad)).toThrow(ConfigError)
  })

  test('the ports of all runners exist', () => {
    expect(readConfig({ runners: { count: 2, port: 65_534 } }, {}).runners.port).toBe(65_534)
    expect(() => readConfig({ runners: { count: 2, port: 65_535 } }, {})).toThrow(/DARKROOM_RUNNER_PORT/)
  })
})
