import { existsSync } from 'node:fs'
import { decodeImage, encodeImage, withPictureText } from '@darkroom/engine'
import type { Browser, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type RunnableEndpoint, runnable } from '../../src/endpoints/endpoint.ts'
import { loraInpaint } from '../../src/endpoints/fal-ai/lora/schema.ts'
import { drawingEndpoints } from '../fakes/drawing-endpoints.ts'
import { FAKE_ENDPOINTS } from '../fakes/fake-endpoints.ts'
import { runCommand } from '../fakes/run-command.ts'
import { startWholeServer, type WholeServer } from '../fakes/whole-server.ts'
import { CHROMIUM, launchBrowser } from './chromium.ts'
import { openPage } from './open-page.ts'

const INPAINT = '/models/fal-ai/lora/inpaint'
const LCM = '/models/fal-ai/fast-lcm-diffusion'
/** In place of how an object is shown to a person. */
const PRINT = 'console.log(JSON.stringify(data))'
const hasPython = ['/usr/bin/python3', '/usr/local/bin/python3'].some((path) => existsSync(path))

const HELD = 'held'
/** What a held request and the last step of every picture wait for. */
let held: Promise<void> = Promise.resolve()

/** The endpoint with the largest schema, which answers without drawing; a held request when the test lets it go. */
const inpaint: RunnableEndpoint = runnable(loraInpaint, async function* ({ seed, prompt }) {
  yield* []
  if (prompt === HELD) await held
  return { images: [], seed: seed ?? 1n, has_nsfw_concepts: [] }
})

const ENDPOINTS = [...drawingEndpoints(() => held), inpaint, ...FAKE_ENDPOINTS]

/** Forms, pictures and keys, against the whole server with endpoints that paint instead of drawing. */
describe.skipIf(CHROMIUM === undefined)('the forms of the playground', { timeout: 60_000 }, () => {
  let server: WholeServer
  let browser: Browser
  let page: Page
  let problems: string[]

  beforeAll(async () => {
    ;[server, browser] = await Promise.all([startWholeServer({ endpoints: ENDPOINTS, auth: 'none' }), launchBrowser()])
  }, 120_000)

  afterAll(async () => {
    await browser?.close()
    await server?.close()
  })

  beforeEach(async () => {
    ;({ page, problems } = await openPage(browser, server.url))
  })

  afterEach(async () => {
    await page.close()
    expect(problems).toEqual([])
  })

  async function inputAsJson(): Promise<Record<string, unknown>> {
    await page.getByRole('tab', { name: 'JSON' }).click()
    const text = await page.getByLabel('Input as JSON').inputValue()
    await page.getByRole('tab', { name: 'Form' }).click()
    return JSON.parse(text)
  }

  /** Holds until the function it returns is called. */
  function hold(): () => void {
    let letGo = () => {}
    held = new Promise((resolve) => {
      letGo = resolve
    })
    return letGo
  }

  /** The page's policy forbids what `page.waitForFunction` does. */
  const until = (test: string) => expect.poll(() => page.evaluate(test), { timeout: 10_000 }).toBe(true)
  const imageUrl = 'document.querySelector("#field-image_url").value'
  const fieldAt = (path: string) => page.locator(`.field[data-path="${path}"]`)
  const picture = async () => ({
    name: 'picture.png',
    mimeType: 'image/png',
    buffer: Buffer.from(
      await encodeImage({ width: 64, height: 48, data: new Uint8Array(64 * 48 * 3).fill(99) }, 'png'),
    ),
  })

  it('adds, fills, moves and removes the elements of nested lists', async () => {
    await page.goto(INPAINT)
    const add = page.locator('[data-add="loras"]')
    await add.click()
    await fieldAt('loras.0.path').getByRole('textbox').fill('first')
    await add.click()
    await fieldAt('loras.1.path').getByRole('textbox').fill('second')
    await fieldAt('loras.1.scale').getByRole('spinbutton').fill('0.5')
    expect((await inputAsJson()).loras).toMatchObject([{ path: 'first' }, { path: 'second', scale: 0.5 }])
    await page.getByRole('button', { name: 'Move Lora 2 up' }).click()
    await page.getByRole('button', { name: 'Remove Lora 2' }).click()
    expect((await inputAsJson()).loras).toMatchObject([{ path: 'second', scale: 0.5 }])
    await page.getByRole('button', { name: 'Remove Lora 1' }).click()
    expect(await inputAsJson()).not.toHaveProperty('loras')
  })

  it('shows the error of a nested field at that field, opening what hides it', async () => {
    await page.goto(INPAINT)
    await page.getByRole('tab', { name: 'JSON' }).click()
    const input = {
      model_name: 'a/b',
      prompt: 'x',
      image_url: 'data:,',
      mask_url: 'data:,',
      clip_skip: 9,
      loras: [{ path: 1, scale: 'x' }],
    }
    await page.getByLabel('Input as JSON').fill(JSON.stringify(input))
    await page.getByRole('button', { name: 'Draw', exact: true }).click()
    await page.getByText('Some fields are not valid.').waitFor()
    await page.getByRole('tab', { name: 'Form' }).click()
    expect(await fieldAt('loras.0.scale').locator('.error').textContent()).toContain('float')
    await fieldAt('clip_skip').locator('.error').waitFor()
    // It stays open with the person in it when the error goes.
    const clipSkip = fieldAt('clip_skip').getByRole('spinbutton')
    await clipSkip.fill('1')
    await page.getByRole('button', { name: 'Draw', exact: true }).click()
    await fieldAt('loras.0.scale').locator('.error').waitFor()
    await fieldAt('clip_skip').locator('.error').waitFor({ state: 'detached' })
    expect(await clipSkip.isVisible()).toBe(true)
  })

  it('paints a mask on the picture, white on black at the picture’s size', async () => {
    await page.goto(INPAINT)
    await fieldAt('image_url')
      .locator('input[type=file]')
      .setInputFiles(await picture())
    await until('document.querySelector("#field-image_url").value.includes("/cdn/files/")')
    await page.getByRole('button', { name: 'Paint mask' }).click()
    const canvas = page.getByLabel('Mask: white is drawn anew')
    await until('document.querySelector(".mask-canvas").width === 64')
    // In the picture's proportions, or strokes would lie beside the pointer.
    const { width = 0, height = 1 } = (await canvas.boundingBox()) ?? {}
    expect(width / height).toBeCloseTo(64 / 48, 2)
    await canvas.click({ position: { x: 10, y: 10 } })
    await page.getByLabel('Brush').fill('2')
    const box = (await canvas.boundingBox()) ?? { x: 0, y: 0, width: 0, height: 0 }
    const bottom = box.y + box.height * 0.95
    await page.mouse.move(box.x + box.width * 0.9, bottom)
    await page.mouse.down()
    // As when a second finger takes the pointer: the stroke ends, though no pointer is lifted.
    await canvas.dispatchEvent('pointercancel')
    await page.mouse.move(box.x + box.width * 0.99, bottom)
    await page.mouse.up()
    await page.getByRole('button', { name: 'Use it' }).click()
    await until('document.querySelector("#field-mask_url").value.includes("/cdn/files/")')
    const { mask_url: url } = await inputAsJson()
    const mask = await decodeImage(new Uint8Array(await (await fetch(String(url))).arrayBuffer()))
    expect([mask.width, mask.height]).toEqual([64, 48])
    expect([Math.min(...mask.data), Math.max(...mask.data)]).toEqual([0, 255])
    const redAt = (x: number, y: number) => mask.data[(y * mask.width + x) * 3]
    expect([redAt(57, 45), redAt(62, 45)]).toEqual([255, 0])
  })

  it('takes a picture that is pasted, photographed or painted', async () => {
    await page.goto('/models/fal-ai/lcm-sd15-i2i')
    const url = () => page.getByLabel('Image Url required').inputValue()
    await page.locator('.picture-field').first().waitFor()
    await page.evaluate(`(async () => {
      const canvas = document.createElement('canvas')
      const blob = await new Promise((resolve) => canvas.toBlob(resolve))
      const data = new DataTransfer()
      data.items.add(new File([blob], 'a.png', { type: 'image/png' }))
      const event = new ClipboardEvent('paste', { clipboardData: data, bubbles: true, cancelable: true })
      document.querySelector('.picture-field').dispatchEvent(event)
    })()`)
    await until(`${imageUrl}.includes("/cdn/files/")`)
    const pasted = await url()
    await page.getByRole('button', { name: 'Camera' }).click()
    await page.getByRole('button', { name: 'Take picture' }).click()
    await until(`${imageUrl} !== ${JSON.stringify(pasted)}`)
    const photographed = await url()
    await page.getByRole('button', { name: 'Paint', exact: true }).click()
    await page.getByRole('button', { name: 'Use it' }).click()
    await until(`${imageUrl} !== ${JSON.stringify(photographed)}`)
    await page.getByRole('button', { name: 'Clear' }).first().click()
    await until(`${imageUrl} === ""`)
  })

  it('takes a picture that is dropped, named by its URL, or chosen from the history', async () => {
    const run = await fetch(`${server.url}/run/fal-ai/lora`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{"model_name":"x","prompt":"a king"}',
    })
    const drawn = ((await run.json()) as { images: [{ url: string }] }).images[0].url
    // A run is answered first and listed then.
    const listing = `${server.url}/v1/models/requests/by-endpoint?endpoint_id=fal-ai/lora&expand=payloads`
    await expect.poll(async () => (await fetch(listing)).text(), { timeout: 10_000 }).toContain(drawn)
    await page.goto('/models/fal-ai/lcm-sd15-i2i')
    const field = fieldAt('image_url')
    await field.waitFor()
    const bytes = JSON.stringify([...(await picture()).buffer])
    await page.evaluate(`(() => {
      const data = new DataTransfer()
      data.items.add(new File([new Uint8Array(${bytes})], 'a.png', { type: 'image/png' }))
      document.querySelector('.picture-field').dispatchEvent(
        new DragEvent('drop', { dataTransfer: data, bubbles: true, cancelable: true }))
    })()`)
    await until(`${imageUrl}.includes("/cdn/files/")`)
    await page.getByLabel('Image Url required').fill('https://example.org/a.jpg')
    // These pages ask no other host for anything; the server does.
    await field.getByText('Fetched by the server when it draws').waitFor()
    expect((await inputAsJson()).image_url).toBe('https://example.org/a.jpg')
    await field.getByRole('button', { name: 'History' }).click()
    await page.getByRole('button', { name: 'Number 1, newest first' }).click()
    await until(`${imageUrl} === ${JSON.stringify(drawn)}`)
  })

  it('takes up the request of a dropped picture, and tells one that carries none', async () => {
    await page.goto('/')
    const record =
      '{"endpoint_id": "fal-ai/lcm-sd15-i2i", "input": {"prompt": "a tram", "seed": 5}, "omitted": ["image_url"]}'
    const plain = await picture()
    const file = { ...plain, buffer: Buffer.from(withPictureText(plain.buffer, 'png', record)) }
    const chooser = page.getByLabel('Take up a picture’s request')
    await chooser.setInputFiles(plain)
    await page.getByText('carries no request').waitFor()
    const bytes = JSON.stringify([...file.buffer])
    await page.evaluate(`(() => {
      const data = new DataTransfer()
      data.items.add(new File([new Uint8Array(${bytes})], 'a.png', { type: 'image/png' }))
      document.body.dispatchEvent(new DragEvent('drop', { dataTransfer: data, bubbles: true, cancelable: true }))
    })()`)
    await page.getByText('Not in the picture: image_url').waitFor()
    await page.waitForURL('**/models/fal-ai/lcm-sd15-i2i')
    expect(await page.getByLabel('Prompt required').inputValue()).toBe('a tram')
    // What a file that was chosen lacks is said as well, though its page is left.
    await page.goto('/')
    await chooser.setInputFiles(file)
    await page.getByLabel('Prompt required').waitFor()
    await page.getByText('Not in the picture: image_url').waitFor()
  })

  it('cancels a request that is being drawn', async () => {
    const letGo = hold()
    await page.goto(LCM)
    await page.getByLabel('Num Inference Steps', { exact: true }).fill('50')
    await page.getByRole('button', { name: 'Draw', exact: true }).click()
    await page.getByText(/Drawing: step/).waitFor()
    await page.getByRole('button', { name: 'Cancel' }).click()
    await page.getByRole('link', { name: 'History' }).click()
    await page.getByText('Cancelled').first().waitFor()
    letGo()
  })

  it('says what a request in the queue waits for, and shows its log while it is drawn', async () => {
    await page.goto(LCM)
    const letGoOfQueue = hold()
    // The runner takes four at a time; these keep it busy until the test lets them go.
    const input = { model_name: 'x', prompt: HELD, image_url: 'data:,', mask_url: 'data:,' }
    await Promise.all(
      Array.from({ length: 6 }, () =>
        fetch(`${server.url}/queue/fal-ai/lora/inpaint`, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify(input),
        }),
      ),
    )
    await page.getByLabel('Num Inference Steps', { exact: true }).fill('50')
    await page.getByRole('button', { name: 'Draw', exact: true }).click()
    await page.getByText(/In the queue behind \d+|Next in the queue/).waitFor()
    const letGoOfPicture = hold()
    letGoOfQueue()
    await page.getByText(/Drawing: step \d+ of 50/).waitFor()
    await page.getByText('Log', { exact: true }).click()
    await page
      .getByText(/Step \d+\/50/)
      .first()
      .waitFor()
    letGoOfPicture()
    await page.locator('.facts').waitFor()
  })

  it('draws by keyboard alone', async () => {
    await page.goto(LCM)
    await page.getByLabel('Prompt required').focus()
    await page.keyboard.press('Control+a')
    await page.keyboard.type('a boat')
    let submitted = 0
    page.on('request', (request) => {
      if (request.method() === 'POST' && request.url().includes('/queue/')) submitted += 1
    })
    // As when the key is held down.
    await page.keyboard.down('Control')
    for (let count = 0; count < 2; count += 1) await page.keyboard.down('Enter')
    for (const key of ['Enter', 'Control']) await page.keyboard.up(key)
    await page.locator('.facts').waitFor()
    expect(submitted).toBe(1)
    expect((await inputAsJson()).prompt).toBe('a boat')
  })

  it('leads by keyboard alone from the first page to a picture, its JSON and its history', async () => {
    const { keyboard } = page
    const focused = (of: string) =>
      expect.poll(() => page.evaluate(`document.activeElement.${of}`), { timeout: 10_000 })
    await page.goto('/')
    await page.getByRole('link', { name: /fal-ai\/lcm-sd15-i2i/ }).waitFor()
    // A page that opens has the focus itself: its own first field is next.
    await focused('localName').toBe('main')
    await keyboard.press('Tab')
    await keyboard.type('a boat')
    await keyboard.press('Enter')
    await page.locator('.facts').waitFor()
    await focused('localName').toBe('main')
    // Past the links to realtime, the history and the documentation.
    for (let count = 0; count < 4; count += 1) await keyboard.press('Tab')
    await focused('textContent').toBe('Form')
    await keyboard.press('ArrowRight')
    expect(JSON.parse(await page.getByLabel('Input as JSON').inputValue()).prompt).toBe('a boat')
    for (let count = 0; count < 2; count += 1) await keyboard.press('Shift+Tab')
    await focused('textContent').toContain('Past requests')
    await keyboard.press('Enter')
    await page.locator('.past', { hasText: 'a boat' }).first().waitFor()
    await page.getByRole('button', { name: 'Enter a key' }).focus()
    await keyboard.press('Enter')
    await page.getByRole('dialog').waitFor()
    await keyboard.press('Escape')
    await focused('ariaLabel').toBe('Enter a key')
  })

  it('opens, copies and downloads what was drawn', async () => {
    await page.context().grantPermissions(['clipboard-read', 'clipboard-write'])
    await page.goto(LCM)
    await page.getByRole('button', { name: 'Draw', exact: true }).click()
    await page.locator('.facts').waitFor()
    const href = await page.getByRole('link', { name: 'Open' }).getAttribute('href')
    expect((await fetch(String(href))).headers.get('content-type')).toBe('image/jpeg')
    const [download] = await Promise.all([
      page.waitForEvent('download'),
      page
        .getByRole('button', { name: 'Download' })
        .or(page.getByRole('link', { name: 'Download' }))
        .click(),
    ])
    expect(download.suggestedFilename()).toMatch(/\.jpe?g$/)
    await page.getByRole('button', { name: 'Copy', exact: true }).click()
    await page.getByText('Copied').waitFor()
  })

  it('shows queue, runners, memory and device of the server', async () => {
    await page.goto('/server')
    await page
      .locator('.tiles div', { hasText: 'State' })
      .locator('dd', { hasText: /^ready$/ })
      .waitFor()
    const runners = page.getByRole('table', { name: 'Runners' }).getByRole('row')
    await runners.filter({ hasText: /cpu.*exact.*MiB.*0 of 4/ }).waitFor()
    await page
      .getByRole('table', { name: 'Queue' })
      .getByRole('row', { name: /fal-ai\/fast-lcm-diffusion\s/ })
      .waitFor()
  })

  /** What a shell makes of the request as code, in the clone: where fal's client is installed. */
  const programs = [
    { language: 'curl', run: (code: string) => runCommand('bash', ['-c', code], { environment: {} }) },
    {
      language: 'JavaScript',
      run: (code: string) =>
        runCommand(process.execPath, ['--input-type=module', '--eval', code.replace('console.log(data)', PRINT)], {
          environment: {},
        }),
    },
    {
      language: 'Python',
      run: (code: string) =>
        runCommand('python3', ['-c', code.replace('print(json.load(response))', 'print(response.read().decode())')], {
          environment: {},
        }),
    },
  ]

  it.each(programs.filter(({ language }) => language !== 'Python' || hasPython))(
    'gives the request as $language that runs',
    async ({ language, run }) => {
      await page.goto(LCM)
      await page.getByLabel('Prompt required').fill(`it's a "king"`)
      await page.getByRole('tab', { name: 'Code' }).click()
      await page.getByLabel('Language').selectOption(language)
      const code = (await page.getByTestId('code').textContent()) ?? ''
      expect(JSON.parse(await run(code))).toMatchObject({ prompt: `it's a "king"`, images: [{ width: 1024 }] })
    },
  )

  it('works below a path of a reverse proxy by the document’s base alone', async () => {
    await page.goto(`${INPAINT}/`)
    await page.getByRole('heading', { level: 1 }).waitFor()
    expect(await page.evaluate('document.baseURI')).toBe(`${server.url}/`)
  })
})
