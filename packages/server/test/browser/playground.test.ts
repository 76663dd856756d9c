import type { Locator, Page } from 'playwright-core'
import { beforeEach, describe, expect, it } from 'vitest'
import { CHROMIUM } from './chromium.ts'
import { holdRequests } from './held-requests.ts'
import { useRealPlayground } from './real-playground.ts'

const LCM = '/models/fal-ai/fast-lcm-diffusion'
const REDRAW = '/models/fal-ai/lcm-sd15-i2i'
const DRAWN = { timeout: 60_000 }

/** Width of a picture once the browser has decoded it. */
function pixelWidthOf(picture: Locator): Promise<number> {
  return picture.evaluate(async (element) => {
    const image = element as unknown as { decode(): Promise<void>; readonly naturalWidth: number }
    await image.decode()
    return image.naturalWidth
  })
}

function isInView(locator: Locator): Promise<boolean> {
  return locator.evaluate((element) => {
    const { top, bottom } = (
      element as unknown as { getBoundingClientRect(): { readonly top: number; readonly bottom: number } }
    ).getBoundingClientRect()
    return top >= 0 && bottom <= (globalThis as unknown as { readonly innerHeight: number }).innerHeight
  })
}

/** The playground against the whole server, drawing with the bundled demo checkpoint. */
describe.skipIf(CHROMIUM === undefined)('the playground', { timeout: 120_000 }, () => {
  const playground = useRealPlayground()
  let page: Page
  beforeEach(() => {
    page = playground.page
  })

  /** Small and quick: what is tested is the page. */
  async function fillSmall(): Promise<void> {
    await page.goto(LCM)
    await page.getByLabel('Prompt required').fill('a king')
    await page.getByLabel('Num Inference Steps', { exact: true }).fill('1')
    await page.getByRole('radio', { name: 'Custom' }).check()
    for (const side of ['Width', 'Height']) await page.getByLabel(side, { exact: true }).fill('128')
  }

  const draw = () => page.getByRole('button', { name: 'Draw', exact: true }).click()
  const fact = (name: string) => page.locator('.facts div', { hasText: name }).locator('dd')

  it('lists the endpoints and opens one', async () => {
    await page.goto('/')
    await page.getByRole('link', { name: /fal-ai\/lcm-sd15-i2i/ }).click()
    await page.getByRole('heading', { level: 1, name: /Optimized Latent Consistency/ }).waitFor()
    await page.waitForURL(`${playground.server.url}${REDRAW}`)
  })

  it('draws words from the first page', async () => {
    await page.goto('/')
    await page.getByRole('button', { name: 'an island in the ocean at sunset' }).click()
    await page.getByAltText('What was drawn').waitFor(DRAWN)
    expect(await page.getByLabel('Prompt required').inputValue()).toBe('an island in the ocean at sunset')
  })

  it('draws words that were chosen before it knew the endpoints', async () => {
    const letGo = await holdRequests(page, /\/v1\/models\?/)
    await page.goto('/')
    await page.getByRole('button', { name: 'a lighthouse at night' }).click()
    letGo()
    await page.getByAltText('What was drawn').waitFor(DRAWN)
    expect(await page.getByLabel('Prompt required').inputValue()).toBe('a lighthouse at night')
  })

  it('draws through the queue, and says with what, how and how long', async () => {
    await fillSmall()
    await page.getByLabel('Seed', { exact: true }).fill('7')
    await draw()
    const picture = page.getByAltText('What was drawn')
    await picture.waitFor(DRAWN)
    expect(await pixelWidthOf(picture)).toBe(128)
    expect(await fact('Seed').textContent()).toBe('7')
    expect(await fact('Model').textContent()).toBe('pinhole-512')
    expect(await fact('Size').textContent()).toBe('128 × 128')
    expect(await fact('Time').textContent()).toMatch(/^\d+\.\d\d s, of it \d+\.\d\d s drawing$/)
    expect(await fact('Safety').textContent()).toBe('nothing flagged')
    expect(await fact('Request').textContent()).toMatch(/^[0-9a-f-]{36}$/)

    await page.getByRole('button', { name: 'Vary' }).click()
    await page.locator('.facts dd', { hasText: /^8$/ }).waitFor(DRAWN)
    expect(await page.getByLabel('Seed', { exact: true }).inputValue()).toBe('8')
    await expect.poll(() => page.getByRole('button', { name: /^Result \d/ }).count()).toBe(2)
  })

  it('shows each step of a stream', async () => {
    await fillSmall()
    await page.getByLabel('Num Inference Steps', { exact: true }).fill('20')
    await page.getByLabel('Show every step').check()
    // A step is there for some milliseconds: who looks now and then may miss them all.
    await page.evaluate(`new MutationObserver(() => {
      if (document.querySelector('[alt="As far as it is drawn"]')) globalThis.hasShownStep = true
    }).observe(document.body, { subtree: true, childList: true })`)
    await draw()
    await page.getByAltText('What was drawn').waitFor(DRAWN)
    expect(await page.evaluate('globalThis.hasShownStep')).toBe(true)
  })

  it('shows the errors of a 422 at their fields', async () => {
    await page.goto(LCM)
    await page.getByRole('tab', { name: 'JSON' }).click()
    await page
      .getByLabel('Input as JSON')
      .fill('{"prompt": "x", "num_inference_steps": 99, "image_size": {"width": 0}}')
    await draw()
    await page.getByText('Some fields are not valid.').waitFor(DRAWN)
    await page.getByRole('tab', { name: 'Form' }).click()
    const steps = page.locator('.field[data-path="num_inference_steps"]')
    await steps.locator('.error', { hasText: 'less than or equal to 50' }).waitFor()
    await page.locator('.field[data-path="image_size"] .error', { hasText: 'greater than 0' }).first().waitFor()
  })

  it('keeps form and JSON the same, both ways', async () => {
    await fillSmall()
    await page.getByRole('tab', { name: 'JSON' }).click()
    const json = page.getByLabel('Input as JSON')
    expect(JSON.parse(await json.inputValue())).toMatchObject({ prompt: 'a king', image_size: { width: 128 } })
    await json.fill('{"prompt": "a queen", "image_size": {"width": 320, "height": 256}}')
    await page.getByRole('tab', { name: 'Form' }).click()
    expect(await page.getByLabel('Prompt required').inputValue()).toBe('a queen')
    expect(await page.getByLabel('Width', { exact: true }).inputValue()).toBe('320')
  })

  it('redraws a drawn picture, and compares the two', async () => {
    await fillSmall()
    await draw()
    await page.getByAltText('What was drawn').waitFor(DRAWN)
    await page.getByLabel('Use as input of').selectOption('fal-ai/lcm-sd15-i2i')
    await page.waitForURL(`**${REDRAW}`)
    expect(await page.getByLabel('Image Url required').inputValue()).toContain('/cdn/files/')
    await page.getByLabel('Num Inference Steps', { exact: true }).fill('2')
    await draw()
    await page.getByAltText('What was drawn').waitFor(DRAWN)
    await page.getByRole('button', { name: 'Before and after' }).click()
    await page.getByAltText('Before').waitFor()
    await page.getByLabel('How much of the picture before is shown').fill('20')
    expect(await page.getByAltText('Before').getAttribute('style')).toContain('inset(0px 80% 0px 0px)')
  })

  it('finds its requests in the history, and takes one up again', async () => {
    await fillSmall()
    await page.getByLabel('Prompt required').fill('a lighthouse at dusk')
    await draw()
    await page.getByAltText('What was drawn').waitFor(DRAWN)
    await page.getByRole('link', { name: 'History' }).click()
    await page.getByLabel('Words').fill('lighthouse')
    await page.locator('.past', { hasText: 'a lighthouse at dusk' }).getByRole('button', { name: 'Use again' }).click()
    await page.waitForURL(`**${LCM}`)
    expect(await page.getByLabel('Prompt required').inputValue()).toBe('a lighthouse at dusk')
  })

  it('says why a model could not be fetched', async () => {
    await page.goto('/models')
    await page.getByLabel('Fetch a model').fill('no such name at all')
    await page.getByRole('button', { name: 'Fetch', exact: true }).click()
    await page.locator('.pull-form [role=status].error').waitFor()
    expect(await page.locator('.pull-form [role=status]').textContent()).toMatch(/\w+ \w+/)
  })

  it('draws in realtime while one types', async () => {
    await page.goto('/realtime?endpoint=fal-ai/fast-lcm-diffusion')
    await page.getByLabel('Prompt required').fill('a boat')
    await page.locator('[data-testid=live-rate] dd', { hasText: /ms$/ }).waitFor(DRAWN)
    await page.getByLabel('Prompt required').fill('a boat at night')
    await page.locator('[data-testid=live-rate] dd', { hasText: /^[2-9]$/ }).waitFor(DRAWN)
  })

  it('loads at most 250 kB first', async () => {
    await page.goto('/')
    await page.getByRole('link', { name: /fal-ai\/lcm-sd15-i2i/ }).waitFor()
    await page.waitForLoadState('networkidle')
    const bytes = await page.evaluate(() =>
      performance
        .getEntries()
        .map((entry) => ('encodedBodySize' in entry ? Number(entry.encodedBodySize) : 0))
        .reduce((sum, size) => sum + size, 0),
    )
    expect(bytes).toBeGreaterThan(100_000)
    expect(bytes).toBeLessThan(250_000)
  })

  it('shows the documentation, and leads from a page of it to the endpoint and back', async () => {
    await page.goto('/docs')
    await page
      .getByRole('navigation', { name: 'Documentation' })
      .getByRole('link', { name: 'fal-ai/lora', exact: true })
      .click()
    await page.getByRole('heading', { level: 1, name: 'fal-ai/lora' }).waitFor()
    const drawn = page.getByRole('img', { name: /by a style LoRA/ })
    expect(await pixelWidthOf(drawn)).toBe(384)
    await page.getByRole('link', { name: 'Open in the playground' }).click()
    await page.waitForURL('**/models/fal-ai/lora')
    await page.getByRole('link', { name: 'Documentation' }).click()
    await page.waitForURL('**/docs/endpoints/lora')
    // A link to a section of another page.
    await page.goto('/docs/guide/troubleshooting')
    await page.getByRole('link', { name: '@darkroom/client' }).click()
    await page.waitForURL('**/docs/guide/clients#fal-aiclient-with-realtime')
    const section = page.getByRole('heading', { name: '@fal-ai/client with realtime' })
    await expect.poll(() => isInView(section), DRAWN).toBe(true)
    // Once more, when the page is known; and from where one has gone on the page itself.
    await page.goBack()
    await page.getByRole('link', { name: '@darkroom/client' }).click()
    await page.waitForURL('**/docs/guide/clients#fal-aiclient-with-realtime')
    await expect.poll(() => isInView(section), DRAWN).toBe(true)
    await page.getByRole('link', { name: '@darkroom/client' }).first().click()
    await expect.poll(() => isInView(section), DRAWN).toBe(true)
  })
})
