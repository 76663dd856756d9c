import { expect, it } from 'vitest'
import { DatabaseError } from '../db/database-error.ts'
import { StorageError } from '../storage/storage-error.ts'
import { toErrorAnswer } from './error-answer.ts'

it('answers an outage of a store with 503 and without its whereabouts', () => {
  const outages = [
    new DatabaseError('unavailable', 'Database postgres://secret.host/d: ECONNREFUSED'),
    new DatabaseError('full', 'Database /secret/place: disk is full'),
    new DatabaseError('readonly', 'Database /secret/place'),
    new StorageError('no_space', '/secret/place'),
    new StorageError('unavailable', 'bucket secret'),
  ]
  for (const outage of outages) {
    const { status, headers, body } = toErrorAnswer(outage)
    expect([status, headers]).toEqual([503, { 'retry-after': '5' }])
    expect(body.detail).toMatch(/server|storage/)
    expect(body.message).toBe(body.detail)
    expect(JSON.stringify(body)).not.toContain('secret')
  }
})

it('answers a defect with 500 and nothing else', () => {
  for (const defect of [new Error('secret'), new DatabaseError('constraint', 'secret'), 'secret', undefined])
    expect(toErrorAnswer(defect)).toEqual({
      status: 500,
      headers: {},
      body: { detail: 'Internal Server Error', message: 'Internal Server Error' },
    })
})
