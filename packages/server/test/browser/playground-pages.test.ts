import { readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { CHROMIUM } from './chromium.ts'
import { expectAccessible } from './open-page.ts'
import { useRealPlayground } from './real-playground.ts'

const DOCS = fileURLToPath(new URL('../../../../docs', import.meta.url))
const LCM = '/models/fal-ai/fast-lcm-diffusion'
const LORA = '/models/fal-ai/lora'
const DRAWN = { timeout: 60_000 }

const DOC_PAGES = readdirSync(DOCS, { recursive: true })
  .map(String)
  .filter((file) => file.endsWith('.md') && !file.startsWith('decisions'))
  .map((file) => `/docs/${file.replace(/(README)?\.md$/, '')}`)
const PAGES = [
  '/models/fal-ai/none',
  '/',
  LCM,
  '/models/fal-ai/lcm-sd15-i2i',
  LORA,
  '/realtime',
  '/history',
  '/models',
  '/server',
]

const WATCH_SHIFTS = `
  globalThis.shift = 0
  new PerformanceObserver((list) => {
    for (const { value, hadRecentInput } of list.getEntries()) if (!hadRecentInput) globalThis.shift += value
  }).observe({ type: 'layout-shift', buffered: true })`

/**
 * Every page: nothing of it moves, no other host is asked for anything (as after each test), axe finds nothing, dark and light, and a phone
 * need not scroll sideways.
 */
describe.skipIf(CHROMIUM === undefined)('the pages', { timeout: 120_000 }, () => {
  const playground = useRealPlayground()

  const accessible = () => expectAccessible(playground.page)
  /** axe sees what can be seen. */
  const unfold = () =>
    playground.page.evaluate('for (const each of document.querySelectorAll("details")) each.open = true')

  it.each([...PAGES, ...DOC_PAGES, '/docs/decisions/0001-onnx-graphs-in-typescript'])('%s', async (path) => {
    const { page } = playground
    await page.addInitScript(WATCH_SHIFTS)
    await page.goto(path)
    await page.getByRole('heading', { level: 1 }).waitFor()
    await page.waitForLoadState('networkidle')
    // What counts as good, of Core Web Vitals.
    expect(await page.evaluate('globalThis.shift')).toBeLessThan(0.1)
    await unfold()
    await accessible()
    await page.setViewportSize({ width: 390, height: 844 })
    expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(390)
  })

  it('are accessible with what comes of using them', async () => {
    const { page } = playground
    await page.goto(LORA)
    for (const list of ['loras', 'controlnets']) await page.locator(`[data-add="${list}"]`).click()
    await accessible()
    await page.getByRole('tab', { name: 'Code' }).click()
    await accessible()
    await page.goto(LCM)
    await page.getByRole('spinbutton', { name: 'Num Inference Steps' }).fill('99')
    await page.getByRole('button', { name: 'Draw', exact: true }).click()
    await page.getByText('Some fields are not valid.').waitFor(DRAWN)
    await accessible()
    await page.getByRole('button', { name: 'num_inference_steps' }).click()
    await expect.poll(() => page.evaluate('document.activeElement.id'), DRAWN).toBe('field-num_inference_steps')
    await page.getByRole('spinbutton', { name: 'Num Inference Steps' }).fill('1')
    for (let count = 1; count <= 2; count += 1) {
      await page.getByRole('button', { name: 'Draw', exact: true }).click()
      await page
        .locator('.thumbnail, .facts')
        .nth(count === 1 ? 0 : 2)
        .waitFor(DRAWN)
    }
    await unfold()
    await accessible()
    await page.goto('/history')
    await page.locator('.past', { hasText: 'Succeeded' }).first().waitFor()
    await unfold()
    await accessible()
    await page.getByRole('button', { name: 'Enter a key' }).click()
    await accessible()
    await page.goto('/models/fal-ai/lcm-sd15-i2i')
    for (const name of ['Paint', 'Camera', 'History']) {
      await page.locator('.picture-field').getByRole('button', { name, exact: true }).click()
      await accessible()
      await page.keyboard.press('Escape')
    }
  })
})
