import { expect, test } from 'vitest'
import { createRequestId, isRequestId } from './request-id.ts'

test('request ids are UUIDs of version 7, in order of time', () => {
  const ids = [1, 2 ** 40, 1_800_000_000_000, 2 ** 41].map((now) => createRequestId(now))
  for (const id of ids) expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
  expect([...ids].sort()).toEqual(ids)
  expect(new Set(Array.from({ length: 1000 }, () => createRequestId(0))).size).toBe(1000)
  expect(ids.every(isRequestId)).toBe(true)
  expect(isRequestId('764cabcf-b745-4b3e-ae38-1200304cf45b')).toBe(true)
  for (const text of ['', 'x', `${ids[0]}x`, `'${ids[0]}`]) expect(isRequestId(text)).toBe(false)
})
