/**
 * Pictures of the playground's pages, to be looked at: `tsx scripts/docs/screenshots.ts FOLDER URL [word …]` opens every page of a running server at
 * the width of a phone, of a laptop and of a 4K screen, dark and light; with words only pages whose name holds one.
 */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Browser, Page } from 'playwright-core'
import { launchBrowser } from '../../packages/server/test/browser/chromium.ts'

const SIZES = [
  { width: 390, height: 844 },
  { width: 1280, height: 800 },
  { width: 2560, height: 1440 },
]
const SCHEMES = ['dark', 'light'] as const
const LCM = '/models/fal-ai/fast-lcm-diffusion'
const DRAWN = { timeout: 120_000 }

/** What a page is opened at, and what is done there before it is looked at. */
interface Shot {
  readonly path: string
  readonly prepare?: (page: Page) => Promise<unknown>
  /** The whole page rather than what fits the window. */
  readonly isWhole?: boolean
}

const draw = async (page: Page) => {
  await page.getByRole('button', { name: 'Draw', exact: true }).click()
  await page.getByAltText('What was drawn').first().waitFor(DRAWN)
}

const SHOTS: Readonly<Record<string, Shot>> = {
  start: { path: '/', isWhole: true },
  'endpoint-empty': { path: LCM },
  'endpoint-drawn': { path: LCM, prepare: draw },
  'endpoint-whole': { path: LCM, prepare: draw, isWhole: true },
  // The README's picture, at 1280 in dark colours.
  readme: {
    path: LCM,
    async prepare(page) {
      const json = page.getByLabel('Input as JSON')
      await page.getByRole('tab', { name: 'JSON' }).click()
      await json.fill(
        '{"prompt": "a king with a golden crown", "image_size": "square", "num_inference_steps": 8, "seed": 2, "sync_mode": false}',
      )
      await page.getByRole('tab', { name: 'Form' }).click()
      await draw(page)
    },
  },
  'endpoint-code': { path: LCM, prepare: (page) => page.getByRole('tab', { name: 'Code' }).click() },
  'endpoint-json': { path: LCM, prepare: (page) => page.getByRole('tab', { name: 'JSON' }).click() },
  'endpoint-errors': {
    path: LCM,
    async prepare(page) {
      await page.getByRole('spinbutton', { name: 'Num Inference Steps' }).fill('99')
      await page.getByRole('button', { name: 'Draw', exact: true }).click()
      await page.getByText('Some fields are not valid.').waitFor(DRAWN)
    },
  },
  'endpoint-redraw': { path: '/models/fal-ai/lcm-sd15-i2i', isWhole: true },
  'endpoint-lora': {
    path: '/models/fal-ai/lora',
    isWhole: true,
    async prepare(page) {
      await page.locator('[data-add="loras"]').click()
      await page.locator('details.more summary').click()
    },
  },
  realtime: {
    path: '/realtime?endpoint=fal-ai/fast-lcm-diffusion',
    prepare: (page) => page.locator('[data-testid=live-rate] dd', { hasText: /ms$/ }).waitFor(DRAWN),
  },
  'realtime-paint': { path: '/realtime?endpoint=fal-ai/lcm-sd15-i2i' },
  history: { path: '/history' },
  models: { path: '/models' },
  server: { path: '/server' },
  key: { path: '/', prepare: (page) => page.getByRole('button', { name: 'Enter a key' }).click() },
  paint: {
    path: '/models/fal-ai/lcm-sd15-i2i',
    prepare: (page) => page.getByRole('button', { name: 'Paint', exact: true }).click(),
  },
  missing: { path: '/models/fal-ai/none' },
  docs: { path: '/docs' },
  'docs-endpoint': { path: '/docs/endpoints/lora' },
  'docs-guide': { path: '/docs/guide/from-fal' },
  'docs-limits': { path: '/docs/guide/limits' },
}

async function main(): Promise<void> {
  const [folder, url, ...words] = process.argv.slice(2)
  if (folder === undefined || url === undefined) throw new Error('usage: screenshots.ts FOLDER URL [word …]')
  mkdirSync(folder, { recursive: true })
  const browser = await launchBrowser()
  try {
    const chosen = Object.entries(SHOTS).filter(
      ([name]) => words.length === 0 || words.some((word) => name.includes(word)),
    )
    for (const [name, shot] of chosen) {
      for (const size of SIZES) for (const scheme of SCHEMES) await take(browser, url, folder, name, shot, size, scheme)
    }
  } finally {
    await browser.close()
  }
}

async function take(
  browser: Browser,
  url: string,
  folder: string,
  name: string,
  { path, prepare, isWhole = false }: Shot,
  viewport: (typeof SIZES)[number],
  colorScheme: (typeof SCHEMES)[number],
): Promise<void> {
  const page = await browser.newPage({ baseURL: url, viewport, colorScheme })
  try {
    await page.goto(path)
    await page.waitForLoadState('networkidle')
    await prepare?.(page)
    const file = join(folder, `${name}-${viewport.width}-${colorScheme}.png`)
    await page.screenshot({ path: file, fullPage: isWhole })
    console.log(file)
  } finally {
    await page.close()
  }
}

await main()
