import type { Page } from 'playwright-core'
import { beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { CHROMIUM } from './chromium.ts'
import { useRealPlayground } from './real-playground.ts'

const LCM: string = 'fal-ai/fast-lcm-diffusion'
const DRAWN = { timeout: 60_000 }
const SMALL = { image_size: { width: 128, height: 128 }, num_inference_steps: 1, sync_mode: false }
const LIGHTHOUSE = { prompt: 'a lighthouse at dusk', seed: 11, ...SMALL, guidance_scale: 1.5 }

/** What outlives the server: its requests, and those that pictures carry. */
describe.skipIf(CHROMIUM === undefined)('the playground of a server that was restarted', { timeout: 120_000 }, () => {
  const playground = useRealPlayground()
  let page: Page

  /** Draws through the queue, and says where the picture is. */
  const draw = async (input: object): Promise<string | undefined> => {
    const { data } = await playground.server.fal.subscribe(LCM, { input, pollInterval: 100 })
    return (data as { readonly images?: readonly { readonly url: string }[] }).images?.[0]?.url
  }

  beforeAll(async () => {
    await draw(LIGHTHOUSE)
    await draw({ prompt: 'a fox in the snow', seed: 12, ...SMALL })
    await expect(draw({ prompt: 'too many steps', num_inference_steps: 99 })).rejects.toThrow()
    await playground.server.restart()
  }, 120_000)
  beforeEach(() => {
    page = playground.page
  })

  const past = () => page.locator('.past')

  it('filters the history by outcome and words, and shows the exact input and the picture', async () => {
    await page.goto('/history')
    await expect.poll(() => past().count(), DRAWN).toBe(3)
    await page.getByLabel('Outcome').selectOption('Refused')
    await past().filter({ hasText: 'Refused (422)' }).getByText('num_inference_steps: ensure this value').waitFor()
    await expect.poll(() => past().count(), DRAWN).toBe(1)
    await page.getByLabel('Outcome').selectOption('Succeeded')
    await expect.poll(() => past().count(), DRAWN).toBe(2)
    await page.getByLabel('Words').fill('dusk lighthouse')
    await expect.poll(() => past().count(), DRAWN).toBe(1)
    await past().getByText('Exact input').click()
    expect(JSON.parse((await past().locator('pre').textContent()) ?? '')).toEqual(LIGHTHOUSE)
    const picture = past().getByRole('img', { name: LIGHTHOUSE.prompt })
    const width = await picture.evaluate(async (image) => {
      await (image as unknown as { decode(): Promise<void> }).decode()
      return (image as unknown as { readonly naturalWidth: number }).naturalWidth
    })
    expect(width).toBe(128)
    await page.getByLabel('Words').fill('nothing like it')
    await page.getByText('Nothing fits this filter').waitFor()
  })

  it('runs a past request again as it was', async () => {
    await page.goto('/history')
    await past().filter({ hasText: LIGHTHOUSE.prompt }).getByRole('button', { name: 'Run again' }).click()
    await page.waitForURL(`**/models/${LCM}`)
    await page.getByAltText('What was drawn').waitFor(DRAWN)
    expect(await page.locator('.facts div', { hasText: 'Seed' }).locator('dd').textContent()).toBe('11')
    expect(await page.getByLabel('Prompt required').inputValue()).toBe(LIGHTHOUSE.prompt)
    // Neither a reload nor the way back draws once more.
    await page.reload()
    await page.getByText('Your picture appears here').waitFor()
  })

  it('erases what a request was given', async () => {
    await page.goto('/history')
    const fox = page.locator('.past', { hasText: 'a fox in the snow' })
    const id = await fox.getAttribute('data-request')
    await fox.getByRole('button', { name: 'Forget' }).click()
    await page.locator(`[data-request="${id}"]`, { hasText: 'no longer kept' }).waitFor()
  })

  it.each(['png', 'jpeg'] as const)('takes up the whole request of a dropped %s', async (format) => {
    const input = { ...LIGHTHOUSE, seed: 21, negative_prompt: 'blurry', format }
    const url = await draw(input)
    const bytes = JSON.stringify([...new Uint8Array(await (await fetch(String(url))).arrayBuffer())])
    await page.goto('/server')
    await page.getByRole('heading', { level: 1 }).waitFor()
    await page.evaluate(`(() => {
      const data = new DataTransfer()
      data.items.add(new File([new Uint8Array(${bytes})], 'a.${format}', { type: 'image/${format}' }))
      document.body.dispatchEvent(new DragEvent('drop', { dataTransfer: data, bubbles: true, cancelable: true }))
    })()`)
    await page.waitForURL(`**/models/${LCM}`)
    await page.getByRole('tab', { name: 'JSON' }).click()
    const taken = JSON.parse(await page.getByLabel('Input as JSON').inputValue())
    expect(taken).toMatchObject(input)
  })
})
