import { expect, it } from 'vitest'
import { shownUrl } from './shown-url.ts'

it.each([
  ['http://0.0.0.0:3010', 'http://localhost:3010'],
  ['https://[::]:443', 'https://localhost:443'],
  ['http://0.0.0.0', 'http://localhost'],
  ['http://127.0.0.1:3010', 'http://127.0.0.1:3010'],
  ['http://10.0.0.0:80', 'http://10.0.0.0:80'],
])('shows %s as %s', (url, shown) => {
  expect(shownUrl(url)).toBe(shown)
})
