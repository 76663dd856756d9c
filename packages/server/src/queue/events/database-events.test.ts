import { expect, it } from 'vitest'
import type { Notifications } from '../../db/database.ts'
import { DatabaseEvents } from './database-events.ts'
import type { QueueEvent } from './queue-events.ts'

it('hears other processes, and passes over what nobody of them said', async () => {
  let hear = (_payload: string) => {}
  const notifications: Notifications = {
    notify: async () => {},
    async listen(_channel, onPayload) {
      hear = onPayload
      return () => {}
    },
  }
  const events = new DatabaseEvents(notifications)
  await events.ready()
  const heard: QueueEvent[] = []
  events.subscribe((event) => heard.push(event))
  const payloads = ['', 'hello', 'null', '[]', '{"events":3}', '{"origin":"a","events":[null]}']
  for (const payload of payloads) expect(() => hear(payload), payload).not.toThrow()
  expect(heard).toEqual([])
  hear('{"origin":"a","events":[{"type":"work","endpointId":"x/y"},{"type":"webhook"}]}')
  expect(heard).toEqual([{ type: 'work', endpointId: 'x/y' }, { type: 'webhook' }])
  await events.close()
})
