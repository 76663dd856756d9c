import { expect, it } from 'vitest'
import { headingIds } from './heading-ids.ts'

it('names headings as code hosts do', () => {
  const idOf = headingIds()
  expect(idOf('@fal-ai/client with realtime')).toBe('fal-aiclient-with-realtime')
  expect(idOf('What breaks first')).toBe('what-breaks-first')
  expect(idOf('nginx, below a path')).toBe('nginx-below-a-path')
  expect(idOf('422: `image_size`')).toBe('422-image_size')
  expect(idOf('What breaks first')).toBe('what-breaks-first-1')
})
