import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { FakeHub } from '../fakes/fake-hub.ts'
import { SAMPLE_WEIGHTS } from '../fakes/sample-weights.ts'
import { CHROMIUM } from './chromium.ts'
import { useRealPlayground } from './real-playground.ts'

const hub = new FakeHub()
const CONFIG = new TextEncoder().encode('{"peft_type": "LORA", "r": 4, "lora_alpha": 4}')

/** The page of models, fetching from a hub that holds a file back until the test lets it go. */
describe.skipIf(CHROMIUM === undefined)('the page of models', { timeout: 60_000 }, () => {
  beforeAll(async () => {
    await hub.listen()
    hub.add('owner/lora', { 'adapter_model.safetensors': SAMPLE_WEIGHTS.lora, 'adapter_config.json': CONFIG })
  })
  afterAll(() => hub.close())

  const playground = useRealPlayground(async (folder) => ({
    HF_ENDPOINT: hub.endpoint,
    HF_HUB_CACHE: join(folder, 'hub'),
    DARKROOM_ALLOW_PRIVATE_TARGETS: '1',
  }))

  it('fetches a model with its progress, stops, goes on, and lists it', async () => {
    const { page } = playground
    let letGo = () => {}
    const held = new Promise<void>((resolve) => {
      letGo = resolve
    })
    hub.faults = { delay: ({ host }) => (host === 'bytes' ? held : Promise.resolve()) }
    const pulls: string[] = []
    page.on('request', (request) => {
      if (request.url().endsWith('/models/pull')) pulls.push(request.postData() ?? '')
    })
    await page.goto('/models')
    await page.getByText('Nothing has been fetched yet.').waitFor()
    const status = page.locator('.pull-form [role=status]')
    const fetchIt = page.locator('.pull-form').getByRole('button', { name: 'Fetch', exact: true })
    await page.getByLabel('Fetch a model').fill('owner/lora')
    await fetchIt.click()
    await page.getByRole('progressbar', { name: 'Progress of the download' }).waitFor()
    await status.filter({ hasText: /KiB of \d+ KiB/ }).waitFor()
    // The Enter key does not begin another beside it.
    await page.getByLabel('Fetch a model').press('Enter')
    await page.getByRole('button', { name: 'Stop' }).click()
    await status.filter({ hasText: 'Stopped. Another pull goes on from here.' }).waitFor()
    expect(pulls).toHaveLength(1)
    letGo()
    await fetchIt.click()
    await status.filter({ hasText: 'It is here.' }).waitFor()
    // The table asks again when the download has ended, and shows what it knew until the answer is there.
    const row = page.getByRole('table', { name: 'On this machine' }).getByRole('row', { name: /owner\/lora/ })
    await row.filter({ hasText: /lora.*KiB.*ready/ }).waitFor()
  })

  it('says which named models are not here, and fetches one with one press', async () => {
    const { page } = playground
    await page.goto('/models')
    const row = page.getByRole('row', { name: /stabilityai\/stable-diffusion-xl-base-1\.0/ })
    await row.filter({ hasText: 'not here' }).waitFor()
    await row.getByRole('button', { name: /^Fetch/ }).click()
    // The hub has no such repository.
    await page.locator('.pull-form [role=status].error', { hasText: 'stable-diffusion-xl-base-1.0' }).waitFor()
  })
})
