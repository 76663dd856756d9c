import { describe, expect, it } from 'vitest'
import { WaitingLine } from './waiting-line.ts'

interface Waiter {
  readonly client: string
  readonly name: string
}

const ALICE = ['a1', 'a2', 'a3'].map((name) => ({ client: 'alice', name }))
const BOB = ['b1', 'b2'].map((name) => ({ client: 'bob', name }))

function lineOf(waiters: readonly Waiter[]): WaitingLine<Waiter> {
  const line = new WaitingLine<Waiter>(({ client }) => client)
  for (const waiter of waiters) line.join(waiter)
  return line
}

function admitAll(line: WaitingLine<Waiter>, mayEnter?: (waiter: Waiter) => boolean): string[] {
  const names: string[] = []
  for (let next = line.admit(mayEnter); next !== undefined; next = line.admit(mayEnter)) names.push(next.name)
  return names
}

describe('WaitingLine', () => {
  it('lets clients take turns, and each of them come in its order', () => {
    const line = lineOf([...ALICE, ...BOB])
    expect(line.first?.name).toBe('a1')
    expect(admitAll(line)).toEqual(['a1', 'b1', 'a2', 'b2', 'a3'])
    expect(line.length).toBe(0)
  })

  it('is one line where nobody is told apart', () => {
    const line = new WaitingLine<string>()
    for (const name of ['c', 'a', 'b']) line.join(name)
    expect([line.admit(), line.admit(), line.admit(), line.admit()]).toEqual(['c', 'a', 'b', undefined])
  })

  it('passes over those who may not enter yet, who keep their turn', () => {
    const line = lineOf([...ALICE, ...BOB])
    expect(admitAll(line, ({ name }) => name === 'a2' || name === 'b1')).toEqual(['a2', 'b1'])
    expect(line.length).toBe(3)
    expect(admitAll(line)).toEqual(['a1', 'b2', 'a3'])
  })

  it('lets in who is admitted and nobody else, and forgets who leaves', async () => {
    const line = new WaitingLine<string>()
    const controller = new AbortController()
    const leaving = line.join('leaving', controller.signal)
    let entered = false
    const staying = line.join('staying', new AbortController().signal).then(() => {
      entered = true
    })
    controller.abort(new Error('the client left'))
    await expect(leaving).rejects.toThrow('the client left')
    expect({ entered, length: line.length }).toEqual({ entered: false, length: 1 })
    expect(line.admit()).toBe('staying')
    await staying
    expect(entered).toBe(true)
  })

  it('does not take in who has left already, and an abort after the turn changes nothing', async () => {
    const line = new WaitingLine<string>()
    await expect(line.join('gone', AbortSignal.abort(new Error('left before')))).rejects.toThrow('left before')
    const controller = new AbortController()
    const turn = line.join('served', controller.signal)
    line.admit()
    controller.abort()
    await turn
    expect(line.length).toBe(0)
  })
})
