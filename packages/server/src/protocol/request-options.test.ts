import { describe, expect, test } from 'vitest'
import { isTrue, readRequestOptions } from './request-options.ts'

const read = (headers: Record<string, string>) => readRequestOptions((name) => headers[name])

describe('request headers', () => {
  test('without any', () => {
    expect(read({})).toEqual({
      priority: 'normal',
      startTimeoutSeconds: undefined,
      retry: true,
      storeIo: true,
      runnerHint: undefined,
      objectLifecycle: undefined,
    })
  })

  test.each([
    [{ 'x-fal-request-timeout': '30.0' }, 30],
    [{ 'x-fal-request-timeout': '30', 'x-fal-request-start-timeout': '1.5' }, 1.5],
    [{ 'x-fal-request-timeout': '30', 'x-fal-request-start-timeout': 'soon' }, 30],
    [{ 'x-fal-request-timeout': '0.01' }, undefined],
    [{ 'x-fal-request-timeout': '-5' }, undefined],
    [{ 'x-fal-request-timeout': '' }, undefined],
    [{ 'x-fal-request-timeout': 'Infinity' }, undefined],
  ])('start timeout of %j is %s', (headers, seconds) => {
    expect(read(headers as Record<string, string>).startTimeoutSeconds).toBe(seconds)
  })

  test('flags', () => {
    expect(read({ 'x-fal-no-retry': 'yes', 'x-fal-store-io': '0', 'x-fal-queue-priority': 'LOW' })).toMatchObject({
      retry: false,
      storeIo: false,
      priority: 'low',
    })
    expect(read({ 'x-fal-no-retry': '0', 'x-fal-store-io': '1', 'x-fal-queue-priority': 'high' })).toMatchObject({
      retry: true,
      storeIo: true,
      priority: 'normal',
    })
    expect(['1', 'true', 'True', 'yes'].every(isTrue)).toBe(true)
    expect(['0', 'false', '', 'x', undefined].some(isTrue)).toBe(false)
  })
})
