import { expect, it } from 'vitest'
import { readLifecycle } from './lifecycle.ts'
import { LifecycleDefaults, type LifecycleSetting } from './lifecycle-defaults.ts'

it('changes the defaults from what another process made of them, not from what this one remembers', async () => {
  let stored: string | undefined
  const setting: LifecycleSetting = {
    read: async () => stored,
    write: async (json) => {
      stored = json
    },
  }
  const [here, there] = [new LifecycleDefaults(setting), new LifecycleDefaults(setting)]
  const change = (process: LifecycleDefaults, body: object) =>
    process.update((before) => readLifecycle('body', JSON.stringify(body), before))
  expect(await here.current()).toEqual({})
  await change(there, { initial_acl: { default: 'forbid' } })
  expect(await change(here, { expiration_duration_seconds: 60 })).toEqual({
    lifetimeSeconds: 60,
    acl: { default: 'forbid' },
  })
  expect(await here.current()).toEqual({ lifetimeSeconds: 60, acl: { default: 'forbid' } })
})
