import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { PROXY_SETUPS, type RunningProxy, startProxy } from '../fakes/reverse-proxy.ts'
import { CHROMIUM } from './chromium.ts'
import { openPage } from './open-page.ts'
import { useRealPlayground } from './real-playground.ts'

const DRAWN = { timeout: 60_000 }
const BELOW_A_PATH = PROXY_SETUPS.filter(({ path }) => path !== '')

describe.each(BELOW_A_PATH)('the playground behind $name', (setup) => {
  describe.skipIf(CHROMIUM === undefined || setup.program === undefined)('in Chromium', { timeout: 120_000 }, () => {
    const playground = useRealPlayground()
    let proxy: RunningProxy

    beforeAll(async () => {
      proxy = await startProxy(setup, Number(new URL(playground.server.url).port))
    }, 60_000)
    afterAll(() => proxy?.stop())

    it('draws, draws in realtime, uploads, and keeps every page and link below the path', async () => {
      // Whatever is asked for above the path is a problem.
      const { page, problems } = await openPage(playground.browser, `${proxy.url}/`)
      await page.goto('')
      await page.getByLabel('What to draw').fill('a king')
      await page.getByRole('button', { name: 'Draw', exact: true }).click()
      await page.waitForURL(`${proxy.url}/models/fal-ai/fast-lcm-diffusion`)
      const drawn = page.getByAltText('What was drawn')
      await drawn.waitFor(DRAWN)
      expect(await drawn.getAttribute('src')).toContain(`${proxy.url}/cdn/files/`)
      await page.getByRole('link', { name: 'Realtime', exact: true }).click()
      await page.waitForURL(`${proxy.url}/realtime`)
      await page.locator('[data-testid=live-rate] dd', { hasText: /ms$/ }).waitFor(DRAWN)
      await page.goto('models/fal-ai/lcm-sd15-i2i')
      await page.getByRole('button', { name: 'Paint', exact: true }).click()
      await page.getByRole('button', { name: 'Use it' }).click()
      const field = page.getByLabel('Image Url required')
      await expect.poll(() => field.inputValue(), DRAWN).toContain(`${proxy.url}/cdn/files/`)
      for (const name of ['History', 'Models', 'Server', 'Docs']) {
        await page.getByRole('navigation', { name: 'Pages' }).getByRole('link', { name }).click()
        await page.getByRole('heading', { level: 1 }).waitFor()
        expect(page.url().startsWith(`${proxy.url}/`)).toBe(true)
        await page.reload()
        await page.getByRole('heading', { level: 1 }).waitFor()
      }
      await page.close()
      expect(problems).toEqual([])
    })
  })
})
