import { describe, expect, it } from 'vitest'
import { CHROMIUM } from './chromium.ts'
import { useRealPlayground } from './real-playground.ts'

const DRAWN = { timeout: 60_000 }
const TEXT = 'a sailing boat on a quiet sea under a full moon, with a lighthouse far away'

/** The realtime page against the demo checkpoint. What goes over its socket is what is looked at: nothing is timed. */
describe.skipIf(CHROMIUM === undefined)('the realtime page', { timeout: 120_000 }, () => {
  const playground = useRealPlayground()

  /** What the page has sent, and how many inputs were on their way at once at most. */
  function watchSocket() {
    const watched = { sent: [] as Buffer[], received: 0, mostOnTheWay: 0 }
    playground.page.on('websocket', (socket) => {
      socket.on('framesent', ({ payload }) => {
        watched.sent.push(Buffer.from(payload))
        watched.mostOnTheWay = Math.max(watched.mostOnTheWay, watched.sent.length - watched.received)
      })
      socket.on('framereceived', () => {
        watched.received += 1
      })
    })
    return watched
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
    const socket = watchSocket()
    await page.goto('/realtime?endpoint=fal-ai/fast-lcm-diffusion')
    await expect.poll(pictures, DRAWN).toBeGreaterThan(0)
    await page.getByLabel('Keep drawing').check()
    await expect.poll(pictures, DRAWN).toBeGreaterThan(2)
    const prompt = page.getByLabel('Prompt required')
    await prompt.focus()
    await page.keyboard.press('Control+a')
    const [before, drawnBefore] = [socket.sent.length, await pictures()]
    await page.keyboard.type(TEXT)
    expect(await prompt.inputValue()).toBe(TEXT)
    // Pictures came while it was typed, or there was nothing to wait for.
    await expect.poll(pictures, DRAWN).toBeGreaterThan(drawnBefore)
    await expect.poll(() => socket.sent.at(-1)?.includes(TEXT), DRAWN).toBe(true)
    const partial = socket.sent.slice(before).filter((frame) => !frame.includes(TEXT))
    expect(partial.length).toBeLessThan(TEXT.length / 2)
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
    const socket = watchSocket()
    await page.goto('/realtime?endpoint=fal-ai/lcm-sd15-i2i')
    await expect.poll(pictures, DRAWN).toBe(1)
    const canvas = page.getByLabel('What the picture is made from')
    await canvas.click({ position: { x: 60, y: 60 } })
    await expect.poll(pictures, DRAWN).toBeGreaterThan(1)
    // The stroke is in what was sent: another picture than the first.
    expect(socket.sent.at(-1)?.equals(socket.sent[0] ?? Buffer.of())).toBe(false)
  })
})
