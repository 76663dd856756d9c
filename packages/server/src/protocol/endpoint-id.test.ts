import { describe, expect, test } from 'vitest'
import { applicationOf, formatEndpointId, parseEndpointId } from './endpoint-id.ts'

describe('endpoint ids', () => {
  test.each([
    ['fal-ai/fast-lcm-diffusion', 'fal-ai/fast-lcm-diffusion', 'fal-ai/fast-lcm-diffusion'],
    ['/fal-ai/instantid/lcm/', 'fal-ai/instantid', 'fal-ai/instantid/lcm'],
    ['a/b/c/d', 'a/b', 'a/b/c/d'],
    ['workflows/owner/alias/x', 'workflows/owner/alias', 'workflows/owner/alias/x'],
    ['comfy/owner/alias', 'comfy/owner/alias', 'comfy/owner/alias'],
    ['110602490-lcm-sd15-i2i', 'fal-ai/lcm-sd15-i2i', 'fal-ai/lcm-sd15-i2i'],
    ['110602490-lcm-sd15-i2i/realtime', 'fal-ai/lcm-sd15-i2i', 'fal-ai/lcm-sd15-i2i/realtime'],
    ['110602490/lcm-sd15-i2i', 'fal-ai/lcm-sd15-i2i', 'fal-ai/lcm-sd15-i2i'],
    ['12345-my-app', '12345/my-app', '12345/my-app'],
  ])('%s', (text, application, id) => {
    const parsed = parseEndpointId(text)
    expect(parsed && applicationOf(parsed)).toBe(application)
    expect(parsed && formatEndpointId(parsed)).toBe(id)
  })

  test.each(['', '/', 'fal-ai', 'workflows', 'workflows/owner', 'my-app', '-1-x'])('no id: %j', (text) => {
    expect(parseEndpointId(text)).toBeUndefined()
  })
})
