import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { holdLock } from '../../db/process-lock.ts'
import { lockForRunner, withdrawDeadRunners } from './runner-locks.ts'

let folder: string
const withdrawn: string[] = []
const queue = { withdraw: async (runnerId: string) => void withdrawn.push(runnerId) }

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'darkroom-lives-'))
  withdrawn.length = 0
})
afterEach(() => rmSync(folder, { recursive: true }))

it('withdraws runners whose process is gone, once, and nobody else', async () => {
  await withdrawDeadRunners(folder, queue)
  const alive = lockForRunner(folder, 'alive')
  lockForRunner(folder, 'left').release()
  // What a kill leaves: the file, without its lock.
  holdLock(join(folder, 'runners', 'killed.lock')).release()
  // One that is just coming up.
  const starting = holdLock(join(folder, 'runners', 'starting.lock.new'))
  await withdrawDeadRunners(folder, queue)
  await withdrawDeadRunners(folder, queue)
  expect(withdrawn).toEqual(['killed'])
  alive.release()
  starting.release()
  expect(readdirSync(join(folder, 'runners'))).toEqual(['starting.lock.new'])
})
