import { expect, it } from 'vitest'
import { OutageGrace } from './outage-grace.ts'

/** A clock that only moves when told to, watched once a second as a gateway does. */
function watched() {
  let wall = 1_000_000
  let monotonic = 0
  const trust = new OutageGrace(6, { wall: () => wall, monotonic: () => monotonic })
  const pass = (seconds: number) => {
    wall += seconds * 1000
    monotonic += seconds * 1000
  }
  return {
    trust,
    setClock(seconds: number) {
      wall += seconds * 1000
    },
    pass,
    /** Looks once a second, and says how many looks in a row found that leases hold. */
    looks(count: number): number {
      let held = 0
      for (let i = 0; i < count; i++) {
        if (trust.leasesHold()) held += 1
        pass(1)
      }
      return held
    },
  }
}

it('believes leases while it looks regularly, and when it has just begun', () => {
  expect(watched().looks(100)).toBe(0)
})

it('believes leases after a database that only restarted', () => {
  const { looks, pass } = watched()
  looks(3)
  pass(1.9)
  expect(looks(20)).toBe(0)
})

it('gives leases half a lease time more after an outage or a hang, a suspended machine, a clock set forward', () => {
  const hung = watched()
  hung.looks(3)
  hung.pass(30)
  expect(hung.looks(20)).toBe(3)
  for (const seconds of [30, 86_400]) {
    const jumped = watched()
    jumped.looks(3)
    jumped.setClock(seconds)
    expect(jumped.looks(20)).toBe(3)
  }
})

it('gives leases as much when the machine was suspended before the first look', () => {
  const { pass, looks } = watched()
  pass(30)
  expect(looks(20)).toBe(3)
})

it('does not mind a clock set back', () => {
  const { setClock, looks } = watched()
  looks(3)
  setClock(-86_400)
  expect(looks(20)).toBe(0)
})
