import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type ConnectProxy, startFalConnectProxy } from '../fakes/fal-connect-proxy.ts'
import { runCommand } from '../fakes/run-command.ts'
import { startWholeServer, type WholeServer } from '../fakes/whole-server.ts'

// fal_client and huggingface_hub, where an interpreter that has both is named.

const PYTHON = process.env.DARKROOM_TEST_PYTHON

describe.skipIf(PYTHON === undefined)('Python', () => {
  let server: WholeServer
  let proxy: ConnectProxy

  beforeAll(async () => {
    server = await startWholeServer({ tls: true })
    proxy = await startFalConnectProxy(server.port)
  })

  afterAll(async () => {
    await proxy.close()
    await server.close()
  })

  /** Runs a script of `python/` and reads the JSON that it prints. */
  async function run(script: string, environment: Record<string, string>): Promise<unknown> {
    const path = fileURLToPath(new URL(`python/${script}`, import.meta.url))
    const trusting = { FAL_KEY: server.key, SSL_CERT_FILE: server.authorityFile, ...environment }
    return JSON.parse(await runCommand(PYTHON ?? '', [path], { environment: trusting }))
  }

  test('fal_client told of the server by its environment', async () => {
    const results = await run('configured.py', {
      FAL_RUN_HOST: `localhost:${server.port}/run`,
      FAL_QUEUE_RUN_HOST: `localhost:${server.port}/queue`,
      BASE_URL: `https://localhost:${server.port}`,
    })
    const files = `https://localhost:${server.port}/cdn`
    expect(results).toEqual({
      run: { images: 1, seed: 7, type: 'image/jpeg', start: 'ffd8ff' },
      submit_to_a_path: {
        seed: 42,
        width: 100,
        same_result: true,
        same_handle: true,
        same_status: true,
        without_logs: null,
        with_logs: [1, 2, 3, 4, 5, 6].map((step) => `Step ${step}/6`),
      },
      subscribe: { images: 1, enqueued: 1, last: 'Completed', first_log: 'Step 1/50' },
      cancel: { status: 499, type: 'client_cancelled' },
      stream: { events: 3, last: files },
      realtime_with_the_key: { seeds: [5, 6], ids: ['first', 'second'], start: 'ffd8ff' },
      realtime_with_a_token: { images: 1 },
      upload: { same: true, file: ['text/plain', 'hello'], size: [100, 100] },
      errors: {
        wrong_input: [422, [{ loc: ['body', 'prompt'], msg: 'str type expected', type: 'type_error.str' }]],
        unknown: [404, 'Application "nothing" not found'],
        wrong_key: [401, 'No user found for Key ID and Secret'],
      },
      asynchronous: { images: 1, events: 3, last: 'Completed', seed: 8 },
    })
  })

  test('fal_client and huggingface_hub told of nothing', async () => {
    const results = await run('unconfigured.py', { HTTPS_PROXY: proxy.url })
    expect(results).toEqual({
      fal_client: { uploaded_to: 'https://v3.fal.media', same_handle: true, width: 100, seed: 5 },
      huggingface_hub: { drawn: [128, 64], styled: [16, 8], redrawn: [128, 64] },
    })
  })
})
