import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { REQUEST_ERROR_STATUS } from './errors.ts'

test('the page of error types names every one, with its status, and no other', () => {
  const page = readFileSync(new URL('../../../../docs/guide/troubleshooting.md', import.meta.url), 'utf8')
  const [, section = ''] = page.split('## Error types')
  const rows = [...section.matchAll(/^\| `(\w+)` \| (\d{3}) \|/gm)].map(([, type, status]) => [type, Number(status)])
  expect(Object.fromEntries(rows)).toEqual(REQUEST_ERROR_STATUS)
  expect(rows).toHaveLength(Object.keys(REQUEST_ERROR_STATUS).length)
})
