import { encodeImage } from '@darkroom/engine'
import type { Browser, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { loraInpaint } from '../../src/endpoints/fal-ai/lora/schema.ts'
import { drawingEndpoints, paintingWithLoras } from '../fakes/drawing-endpoints.ts'
import { startWholeServer, type WholeServer } from '../fakes/whole-server.ts'
import { CHROMIUM, launchBrowser } from './chromium.ts'
import { holdAnswer, holdRequests } from './held-requests.ts'
import { openPage } from './open-page.ts'

const LCM = '/models/fal-ai/fast-lcm-diffusion'
const REDRAW = '/models/fal-ai/lcm-sd15-i2i'
const LORA = '/models/fal-ai/lora'
const UPLOADS = /\/storage\/upload\/initiate/
const STORED = /\/cdn\/files\//
const WAITED = { timeout: 20_000 }

/** What the last step of every picture waits for. */
let held: Promise<void> = Promise.resolve()

/** What a person does while something is under way, against the whole server with endpoints that paint instead of drawing. */
describe.skipIf(CHROMIUM === undefined)('the playground, while something is under way', { timeout: 60_000 }, () => {
  let server: WholeServer
  let browser: Browser
  let page: Page
  let problems: string[]

  beforeAll(async () => {
    const endpoints = [...drawingEndpoints(() => held), paintingWithLoras(loraInpaint)]
    ;[server, browser] = await Promise.all([startWholeServer({ endpoints, auth: 'none' }), launchBrowser()])
  }, 120_000)

  afterAll(async () => {
    await browser?.close()
    await server?.close()
  })

  beforeEach(async () => {
    held = Promise.resolve()
    ;({ page, problems } = await openPage(browser, server.url))
  })

  afterEach(async () => {
    await page.close()
    expect(problems).toEqual([])
  })

  const imageField = () => page.getByLabel('Image Url required')
  const prompt = () => page.getByLabel('Prompt required')
  const draw = () => page.getByRole('button', { name: 'Draw', exact: true }).click()
  const picture = async () => ({
    name: 'picture.png',
    mimeType: 'image/png',
    buffer: Buffer.from(
      await encodeImage({ width: 64, height: 48, data: new Uint8Array(64 * 48 * 3).fill(99) }, 'png'),
    ),
  })
  const choosePicture = async (field = 'image_url') =>
    page.locator(`.field[data-path="${field}"] input[type=file]`).setInputFiles(await picture())

  it('keeps what is typed while a picture is uploaded', async () => {
    const letGo = await holdRequests(page, UPLOADS)
    await page.goto(REDRAW)
    await choosePicture()
    await prompt().fill('a tram')
    letGo()
    await expect.poll(() => imageField().inputValue(), WAITED).toMatch(STORED)
    expect(await prompt().inputValue()).toBe('a tram')
  })

  it('puts an uploaded picture into what has become of the input when its field is no longer there', async () => {
    const letGo = await holdRequests(page, UPLOADS)
    await page.goto(REDRAW)
    await choosePicture()
    await page.getByRole('tab', { name: 'JSON' }).click()
    const json = page.getByLabel('Input as JSON')
    await json.fill('{"prompt": "a tram"}')
    letGo()
    await expect.poll(() => json.inputValue(), WAITED).toMatch(STORED)
    expect(JSON.parse(await json.inputValue())).toMatchObject({ prompt: 'a tram' })
  })

  it('prefers a picture that was named while another was uploaded', async () => {
    const letGo = await holdRequests(page, UPLOADS)
    await page.goto(REDRAW)
    await choosePicture()
    await imageField().fill('https://example.org/a.jpg')
    const stored = page.waitForResponse(STORED)
    letGo()
    await (await stored).finished()
    await page.getByRole('tab', { name: 'JSON' }).click()
    const input = JSON.parse(await page.getByLabel('Input as JSON').inputValue())
    expect(input).toMatchObject({ image_url: 'https://example.org/a.jpg' })
  })

  it('leaves a form that was reset without the picture that was still being uploaded', async () => {
    const letGo = await holdRequests(page, UPLOADS)
    await page.goto(REDRAW)
    await choosePicture()
    await page.getByRole('button', { name: 'Reset', exact: true }).click()
    const stored = page.waitForResponse(STORED)
    letGo()
    await (await stored).finished()
    await page.getByRole('tab', { name: 'JSON' }).click()
    expect(JSON.parse(await page.getByLabel('Input as JSON').inputValue())).not.toHaveProperty('image_url')
  })

  it('draws with a picture that was still being uploaded', async () => {
    const letGo = await holdRequests(page, UPLOADS)
    await page.goto(REDRAW)
    await choosePicture()
    await draw()
    await page.getByText('Sending').waitFor()
    letGo()
    await page.locator('.facts dd', { hasText: /^64 × 48$/ }).waitFor()
  })

  it('gives an uploaded picture to the element of a list for which it was chosen', async () => {
    const letGo = await holdRequests(page, UPLOADS)
    await page.goto(LORA)
    for (const path of ['first', 'second', 'third']) {
      await page.locator('[data-add="controlnets"]').click()
      await page.locator('.field[data-path$=".path"]').last().getByRole('textbox').fill(path)
    }
    await choosePicture('controlnets.1.image_url')
    await page.getByRole('button', { name: 'Move Controlnet 2 down' }).click()
    await page.getByRole('button', { name: 'Remove Controlnet 1' }).click()
    letGo()
    const json = page.getByLabel('Input as JSON')
    await page.getByRole('tab', { name: 'JSON' }).click()
    await expect.poll(() => json.inputValue(), WAITED).toMatch(STORED)
    const { controlnets } = JSON.parse(await json.inputValue())
    expect(controlnets).toMatchObject([{ path: 'third' }, { path: 'second', image_url: expect.stringMatching(STORED) }])
    expect(controlnets[0].image_url ?? '').toBe('')
  })

  it('keeps the strokes of a mask that were made before its picture was there', async () => {
    const run = await fetch(`${server.url}/run/fal-ai/lora`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{"model_name":"x","prompt":"a king"}',
    })
    const { images } = (await run.json()) as { images: [{ url: string; width: number }] }
    // Before the form shows it: a picture that is known is there at once.
    const letGo = await holdRequests(page, STORED)
    await page.goto('/models/fal-ai/lora/inpaint')
    await imageField().fill(images[0].url)
    await page.getByRole('button', { name: 'Paint mask' }).click()
    const canvas = page.getByLabel('Mask: white is drawn anew')
    await canvas.click({ position: { x: 10, y: 10 } })
    const isWhite = `(() => {
      const canvas = document.querySelector('.mask-canvas')
      const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height)
      return [canvas.width, data.some((value, index) => index % 4 === 0 && value > 127)]
    })()`
    expect(await page.evaluate(isWhite)).toEqual([512, true])
    letGo()
    await expect.poll(() => page.evaluate('document.querySelector(".mask-canvas").width'), WAITED).toBe(images[0].width)
    expect(await page.evaluate(isWhite)).toEqual([images[0].width, true])
  })

  it('takes no picture with a camera that is not on yet', async () => {
    await page.addInitScript(`{
      const start = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices)
      const isAllowed = new Promise((resolve) => { globalThis.allowCamera = resolve })
      navigator.mediaDevices.getUserMedia = (wish) => isAllowed.then(() => start(wish))
    }`)
    await page.goto(REDRAW)
    await page.getByRole('button', { name: 'Camera' }).click()
    const take = page.getByRole('button', { name: 'Take picture' })
    expect(await take.isDisabled()).toBe(true)
    await page.evaluate('allowCamera()')
    await take.click()
    await expect.poll(() => imageField().inputValue(), WAITED).toMatch(STORED)
  })

  it('sends the last stroke on a canvas, also when it was made while an earlier one was encoded', async () => {
    await page.addInitScript(`{
      const { toBlob } = HTMLCanvasElement.prototype
      HTMLCanvasElement.prototype.toBlob = function (done, ...rest) {
        toBlob.call(this, (blob) => globalThis.encoded === undefined ? done(blob) : encoded.push(() => done(blob)), ...rest)
      }
    }`)
    await page.goto('/realtime?endpoint=fal-ai/lcm-sd15-i2i')
    const pictures = page.locator('[data-testid=live-rate] div', { hasText: /^Pictures\d/ }).locator('dd')
    await expect.poll(() => pictures.textContent(), WAITED).toBe('1')
    await page.evaluate('globalThis.encoded = []')
    const canvas = page.getByLabel('What the picture is made from')
    for (const at of [60, 160]) await canvas.click({ position: { x: at, y: at } })
    await expect.poll(() => page.evaluate('encoded.length'), WAITED).toBe(1)
    await page.evaluate(`{
      const [first] = encoded
      encoded = undefined
      first()
    }`)
    // One for what was encoded, and one for what was painted meanwhile.
    await expect.poll(() => pictures.textContent(), WAITED).toBe('3')
  })

  it('cancels a request whose id it does not know yet', async () => {
    let letGoOfPicture = () => {}
    held = new Promise((resolve) => {
      letGoOfPicture = resolve
    })
    const submitted = await holdAnswer(page, /\/queue\/fal-ai\//)
    await page.goto(LCM)
    await draw()
    await submitted.isThere
    await page.getByRole('button', { name: 'Cancel' }).click()
    submitted.letGo()
    await page.getByRole('link', { name: 'History' }).click()
    await page.locator('.past .pill', { hasText: 'Cancelled' }).waitFor()
    letGoOfPicture()
  })

  it('draws what was on its way to the queue when its page was left', async () => {
    const letGo = await holdRequests(page, /\/queue\/fal-ai\//)
    await page.goto(LCM)
    await prompt().fill('a ship that leaves')
    await draw()
    await page.getByRole('link', { name: 'Server' }).click()
    await page.getByRole('heading', { level: 1, name: 'Server' }).waitFor()
    const submitted = page.waitForResponse(/\/queue\/fal-ai\//)
    letGo()
    await submitted
    await page.getByRole('link', { name: 'History' }).click()
    await page.locator('.past', { hasText: 'a ship that leaves' }).getByText('Succeeded').waitFor()
  })

  it('says that a request could not be forgotten', async () => {
    await page.goto(LCM)
    await prompt().fill('a fox to forget')
    await draw()
    await page.locator('.facts').waitFor()
    await page.getByRole('link', { name: 'History' }).click()
    await page.route(/\/payloads$/, (route) => route.fulfill({ status: 500, json: { error: { message: 'no disk' } } }))
    const past = page.locator('.past', { hasText: 'a fox to forget' })
    await past.getByRole('button', { name: 'Forget' }).click()
    await past.getByRole('alert').filter({ hasText: 'no disk' }).waitFor()
  })
})
