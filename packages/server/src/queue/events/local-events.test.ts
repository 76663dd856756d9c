import { EventEmitter } from 'node:events'
import { expect, it } from 'vitest'
import { type EventPort, LocalEvents } from './local-events.ts'
import type { QueueEvent } from './queue-events.ts'

const WORK: QueueEvent = { type: 'work', endpointId: 'fal-ai/lora' }

/** Two ends of a channel that copies messages as IPC does. */
function channel(): [EventPort, EventPort] {
  const ends = [new EventEmitter(), new EventEmitter()] as const
  const port = (own: EventEmitter, other: EventEmitter): EventPort => ({
    send: (message) => other.emit('message', structuredClone(message)),
    on: (event, listener) => own.on(event, listener),
    off: (event, listener) => own.off(event, listener),
  })
  return [port(ends[0], ends[1]), port(ends[1], ends[0])]
}

function heardBy(events: LocalEvents): QueueEvent[] {
  const heard: QueueEvent[] = []
  events.subscribe((event) => heard.push(event))
  return heard
}

it('reaches this process, its children and, through it, their siblings, once each', () => {
  const gateway = new LocalEvents()
  const runners = [new LocalEvents(), new LocalEvents()] as const
  for (const runner of runners) {
    const [parentEnd, childEnd] = channel()
    gateway.bridge(parentEnd)
    runner.bridge(childEnd)
  }
  const heard = [gateway, ...runners].map(heardBy)
  gateway.publish(WORK)
  expect(heard).toEqual([[WORK], [WORK], [WORK]])
  runners[0].publish(WORK)
  expect(heard).toEqual([
    [WORK, WORK],
    [WORK, WORK],
    [WORK, WORK],
  ])
})

it('ignores other messages, and everything after a bridge or subscription ended', () => {
  const [parentEnd, childEnd] = channel()
  const events = new LocalEvents()
  const detach = events.bridge(parentEnd)
  const heard: QueueEvent[] = []
  const unsubscribe = events.subscribe((event) => heard.push(event))
  childEnd.send?.('ready')
  childEnd.send?.({ queueEvent: WORK })
  detach()
  childEnd.send?.({ queueEvent: WORK })
  events.publish(WORK)
  unsubscribe()
  events.publish(WORK)
  expect(heard).toEqual([WORK, WORK])
})
