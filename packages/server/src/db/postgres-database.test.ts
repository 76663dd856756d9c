import { expect, it } from 'vitest'
import { WireError } from '../errors/errors.ts'
import type { Query } from './database.ts'
import { PostgresDatabase } from './postgres-database.ts'

/** A database whose driver is not reached: each work says what it fails with. */
function unreached(): PostgresDatabase {
  const query = {} as Query
  return new PostgresDatabase({
    name: 'postgres://host/name',
    queries: { synced: query, relaxed: query },
    notifications: { notify: async () => {}, listen: async () => () => {} },
    close: async () => {},
  })
}

const failing = (error: Error) => unreached().execute('synced', () => Promise.reject(error))

it.each([
  'Query read timeout',
  'timeout exceeded when trying to connect',
  'timeout expired',
  'Connection terminated unexpectedly',
  'Connection terminated due to connection timeout',
  'Client has encountered a connection error and is not queryable',
])('knows a server that does not answer from “%s”, which comes without a code', async (message) => {
  await expect(failing(new Error(message))).rejects.toMatchObject({ name: 'DatabaseError', failure: 'unavailable' })
})

it('lets errors pass that are not the driver’s', async () => {
  const refused = new WireError(429, 'the queue is full')
  await expect(failing(refused)).rejects.toBe(refused)
  const defect = new TypeError('x is not a function')
  await expect(failing(defect)).rejects.toBe(defect)
})

it('knows failures by their SQLSTATE', async () => {
  const coded = (code: string) => failing(Object.assign(new Error('refused'), { code }))
  for (const [code, failure] of [
    ['53100', 'full'],
    ['25006', 'readonly'],
    ['57P01', 'unavailable'],
    ['ECONNREFUSED', 'unavailable'],
    ['23505', 'constraint'],
    ['42601', 'other'],
  ] as const)
    await expect(coded(code)).rejects.toMatchObject({ failure })
})
