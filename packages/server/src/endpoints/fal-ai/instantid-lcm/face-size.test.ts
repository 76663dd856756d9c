import { blackImage, PictureThread } from '@darkroom/engine'
import { afterAll, expect, it } from 'vitest'
import { resizeFacePicture } from '../../../drawing/face-size.ts'
import { applyStyle, STYLES, type Style } from './styles.ts'

const SIDES = { shorter: 1024, longer: 1280 }

const pictures = new PictureThread()
afterAll(() => pictures.dispose())

// The rule of the demo of InstantID, computed by hand: 1280 on the longer side, whole multiples of 64.
it.each([
  [600, 800, 960, 1280],
  [50, 50, 1280, 1280],
  [800, 600, 1280, 960],
  [1000, 3000, 384, 1280],
  [1920, 1080, 1280, 704],
])('%i×%i is drawn at %i×%i', async (width, height, drawnWidth, drawnHeight) => {
  const drawn = await resizeFacePicture(blackImage(width, height), SIDES, pictures)
  expect(drawn).toMatchObject({ width: drawnWidth, height: drawnHeight })
})

it('every style has room for the prompt, and a prompt is taken as it is', () => {
  for (const style of Object.keys(STYLES) as Style[]) {
    const { prompt, negativePrompt } = applyStyle(style, 'a $& {prompt}', 'grain')
    expect(prompt).toContain('a $& {prompt}')
    expect(negativePrompt).toMatch(/grain$/)
  }
  expect(applyStyle('(No style)', 'a king', '')).toEqual({ prompt: 'a king', negativePrompt: '' })
})
