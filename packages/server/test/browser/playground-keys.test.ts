import { fileURLToPath } from 'node:url'
import { beforeAll, describe, expect, it } from 'vitest'
import { runCommand } from '../fakes/run-command.ts'
import { CHROMIUM } from './chromium.ts'
import { holdAnswer } from './held-requests.ts'
import { openPage } from './open-page.ts'
import { useRealPlayground } from './real-playground.ts'

const BIN = fileURLToPath(new URL('../../bin/darkroom.js', import.meta.url))
const LCM = '/models/fal-ai/fast-lcm-diffusion'
const PAGES = ['/', LCM, '/realtime', '/history', '/models', '/server', '/docs', '/docs/guide/from-fal']
const DRAWN = { timeout: 60_000 }
const STORED = '[localStorage.getItem("darkroom-key"), sessionStorage.getItem("darkroom-key")]'

/** Against the whole server with the demo checkpoint, which takes keys alone. */
describe.skipIf(CHROMIUM === undefined)('the playground of a server with keys', { timeout: 120_000 }, () => {
  const playground = useRealPlayground(async () => ({ DARKROOM_AUTH: 'keys' }))
  let key: string

  beforeAll(async () => {
    const data = `${playground.server.folder}/data`
    const printed = await runCommand(
      process.execPath,
      [BIN, 'keys', 'create', '--alias', 'tests', '--scope', 'ADMIN', '--data', data],
      { environment: {} },
    )
    key = /[0-9a-f-]{36}:\S+/.exec(printed)?.[0] ?? ''
    expect(key).not.toBe('')
  }, 60_000)

  it('asks for a key, says that a wrong one is wrong, and draws with a right one, which it forgets with the tab', async () => {
    const { page } = playground
    await page.goto(LCM)
    const draw = page.getByRole('button', { name: 'Draw', exact: true })
    await draw.click()
    await page.getByText('This server wants a key.').waitFor()
    await page.getByLabel('Key, as id:secret').fill('wrong:key')
    await page.getByRole('button', { name: 'Use this key' }).click()
    await draw.click()
    await page.getByText('knows no such key').waitFor()
    await page.getByLabel('Key, as id:secret').fill(key)
    await page.getByRole('button', { name: 'Use this key' }).click()
    await draw.click()
    await page.getByAltText('What was drawn').waitFor(DRAWN)
    expect(await page.evaluate(STORED)).toEqual([null, key])
    await page.goto('/realtime')
    await page.locator('[data-testid=live-rate] dd', { hasText: /ms$/ }).waitFor(DRAWN)
  })

  it('takes no refusal of an earlier key for one of the key that was entered since', async () => {
    const { page } = playground
    const refusal = await holdAnswer(page, /\/by-endpoint\?endpoint_id=fal-ai%2Flora&/)
    await page.goto('/history')
    await page.getByLabel('Key, as id:secret').fill(key)
    await refusal.isThere
    await page.getByRole('button', { name: 'Use this key' }).click()
    const refused = page.waitForResponse((response) => response.status() === 401)
    refusal.letGo()
    await (await refused).finished()
    // A dialog would lie over it.
    await page.getByRole('link', { name: 'Server' }).click()
    await page.getByRole('heading', { level: 1, name: 'Server' }).waitFor()
    expect(await page.getByRole('dialog').count()).toBe(0)
  })

  it('keeps what was drawn, and draws what is asked for, when another key is entered', async () => {
    const { page } = await openWithKey(key, LCM)
    const draw = page.getByRole('button', { name: 'Draw', exact: true })
    await draw.click()
    await page.getByAltText('What was drawn').waitFor(DRAWN)
    await page.getByRole('button', { name: 'Change the key' }).click()
    await page.getByRole('button', { name: 'Use this key' }).click()
    await draw.click()
    await page.getByRole('button', { name: 'Result 2' }).waitFor(DRAWN)
    await page.close()
  })

  it('asks for a key once on a page that reads again and again', async () => {
    const { page } = playground
    let asked = 0
    page.on('request', (request) => {
      if (request.url().endsWith('/metrics')) asked += 1
    })
    await page.clock.install()
    await page.goto('/server')
    await page.getByText('This server wants a key.').waitFor()
    await page.getByRole('button', { name: 'Close' }).click()
    await page.clock.runFor(10_000)
    expect([asked, await page.getByRole('dialog').count()]).toEqual([1, 0])
  })

  it('draws in realtime once a key is entered', async () => {
    const { page } = playground
    await page.goto('/realtime')
    await page.getByLabel('Key, as id:secret').fill(key)
    await page.getByRole('button', { name: 'Use this key' }).click()
    await page.locator('[data-testid=live-rate] dd', { hasText: /ms$/ }).waitFor(DRAWN)
  })

  it('keeps a key beyond the tab where the person asks for it, until they have it forgotten', async () => {
    // Two tabs of one browser.
    const browser = await playground.browser.newContext({ baseURL: playground.server.url })
    const [page, other] = [await browser.newPage(), await browser.newPage()]
    await page.goto('/history')
    await page.getByText('This server wants a key.').waitFor()
    await page.getByLabel('Key, as id:secret').fill(key)
    await page.getByLabel('Remember it in this browser').check()
    await page.getByRole('button', { name: 'Use this key' }).click()
    expect(await page.evaluate(STORED)).toEqual([key, null])
    await other.goto('/history')
    await other.getByRole('button', { name: 'Change the key' }).click()
    await other.getByRole('button', { name: 'Forget it' }).click()
    expect(await other.evaluate(STORED)).toEqual([null, null])
    await browser.close()
  })

  /** A page of a tab in which a key was entered before. */
  async function openWithKey(entered: string, path: string) {
    const opened = await openPage(playground.browser, playground.server.url)
    await opened.page.addInitScript(`sessionStorage.setItem('darkroom-key', ${JSON.stringify(entered)})`)
    await opened.page.goto(path)
    return opened
  }

  it.each(PAGES)('says at %s that a key is wrong', async (path) => {
    const { page } = await openWithKey('wrong:key', path)
    await page.getByText('knows no such key').waitFor()
    await page.close()
  })

  it.each(PAGES)('works at %s with a right key', async (path) => {
    const { page, problems } = await openWithKey(key, path)
    await page.getByRole('heading', { level: 1 }).waitFor()
    await page.waitForLoadState('networkidle')
    expect(await page.getByRole('dialog').count()).toBe(0)
    expect(await page.getByRole('alert').allTextContents()).toEqual([])
    await page.close()
    expect(problems).toEqual([])
  })

  it('says to a key of another scope that it may not manage models', async () => {
    const data = `${playground.server.folder}/data`
    const printed = await runCommand(process.execPath, [BIN, 'keys', 'create', '--data', data], { environment: {} })
    const { page } = await openWithKey(/[0-9a-f-]{36}:\S+/.exec(printed)?.[0] ?? '', '/models')
    await page.getByText('expected a key of scope ADMIN').waitFor()
    await page.close()
  })
})
