import { describe, expect, it } from 'vitest'
import { CHROMIUM } from './chromium.ts'
import { useRealPlayground } from './real-playground.ts'

const DRAWN = { timeout: 60_000 }
const TEXT = 'a sailing boat on a quiet sea under a full moon, with a lighthouse far away'
const OTHER_TEXT = 'a cat'

/** The realtime page against the demo checkpoint. What goes over its socket is what is looked at: nothing is timed. */
describe.skipIf(CHROMIUM === undefined)('the realtime page', { timeout: 120_000 }, () => {
  const playground = useRealPlayground()

  /** What the page sends, how many inputs are on their way at once at most, and the answers, which can be held back. */
  async function watchSocket() {
    const watched = { sent: [] as Buffer[], mostOnTheWay: 0 }
    let answered = 0
    let held: (() => void)[] | undefined
    await playground.page.routeWebSocket(/\/realtime/, (socket) => {
      const server = socket.connectToServer()
      socket.onMessage((message) => {
        watched.sent.push(Buffer.from(message))
        watched.mostOnTheWay = Math.max(watched.mostOnTheWay, watched.sent.length - answered)
        server.send(message)
      })
      server.onMessage((message) => {
        const pass = () => {
          answered += 1
          socket.send(message)
        }
        if (held === undefined) pass()
        else held.push(pass)
      })
    })
    return Object.assign(watched, {
      holdAnswers() {
        held = []
      },
      letGo() {
        for (const pass of held ?? []) pass()
        held = undefined
      },
    })
  }

  const pictures = async () =>
    Number(
      await playground.page
        .locator('[data-testid=live-rate] div', { hasText: /^Pictures\d/ })
        .locator('dd')
        .textContent(),
    )

  it('takes every letter while pictures come, sends the newest input only, and draws the last one', async () => {
    const { page } = playground
    const socket = await watchSocket()
    await page.goto('/realtime?endpoint=fal-ai/fast-lcm-diffusion')
    await expect.poll(pictures, DRAWN).toBeGreaterThan(0)
    await page.getByLabel('Keep drawing').check()
    await expect.poll(pictures, DRAWN).toBeGreaterThan(2)
    const prompt = page.getByLabel('Prompt required')
    await prompt.focus()
    await page.keyboard.press('Control+a')
    const drawnBefore = await pictures()
    await page.keyboard.type(TEXT)
    expect(await prompt.inputValue()).toBe(TEXT)
    // Pictures came while it was typed, or there was nothing to wait for.
    await expect.poll(pictures, DRAWN).toBeGreaterThan(drawnBefore)
    await expect.poll(() => socket.sent.at(-1)?.includes(TEXT), DRAWN).toBe(true)
    // While no picture comes, no more goes out than is on its way: of all the letters only the last.
    socket.holdAnswers()
    const before = socket.sent.length
    await page.keyboard.press('Control+a')
    await page.keyboard.type(OTHER_TEXT)
    expect(await prompt.inputValue()).toBe(OTHER_TEXT)
    expect(socket.sent.length - before).toBeLessThanOrEqual(2)
    socket.letGo()
    await expect.poll(() => socket.sent.at(-1)?.includes(OTHER_TEXT), DRAWN).toBe(true)
    expect(socket.mostOnTheWay).toBeLessThanOrEqual(2)
  })

  it('draws when a slider moves, and says how fast', async () => {
    const { page } = playground
    await page.goto('/realtime?endpoint=fal-ai/fast-lcm-diffusion')
    await expect.poll(pictures, DRAWN).toBe(1)
    await page.getByRole('slider', { name: 'Num Inference Steps, slider' }).press('ArrowRight')
    await expect.poll(pictures, DRAWN).toBe(2)
    const facts = await page.locator('[data-testid=live-rate]').textContent()
    expect(facts).toMatch(/Pictures per second\d+\.\d/)
    expect(facts).toMatch(/Latency \(median\)\d+ ms/)
  })

  it('redraws a canvas: what lies on it at first, and each stroke', async () => {
    const { page } = playground
    const socket = await watchSocket()
    await page.goto('/realtime?endpoint=fal-ai/lcm-sd15-i2i')
    await expect.poll(pictures, DRAWN).toBe(1)
    const canvas = page.getByLabel('What the picture is made from')
    await canvas.click({ position: { x: 60, y: 60 } })
    await expect.poll(pictures, DRAWN).toBeGreaterThan(1)
    // The stroke is in what was sent: another picture than the first.
    expect(socket.sent.at(-1)?.equals(socket.sent[0] ?? Buffer.of())).toBe(false)
  })
})
