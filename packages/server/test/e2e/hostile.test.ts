import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { runHostile } from '../../../../bench/hostile/run.ts'
import { SMALL } from '../../../../bench/hostile/target.ts'

let folder: string

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'darkroom-hostile-'))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** The bench of hostile clients on a small scale: `bench/hostile` has the full one, and the times. */
it('answers honest clients while others attack, ends no process and keeps nothing of theirs', {
  timeout: 180_000,
}, async () => {
  const { attacked, ended, disk } = await runHostile(folder, {
    scale: SMALL,
    clients: 4,
    pauseMs: 100,
    quietSeconds: 2,
    attackerYields: false,
    attacks: ['all together'],
  })
  const [phase] = attacked
  expect(phase?.failures).toEqual([])
  expect(phase?.answered).toBeGreaterThanOrEqual(4)
  expect(phase?.outcomes).toMatchObject({ 422: expect.any(Number), 400: expect.any(Number), left: expect.any(Number) })
  expect(ended).toEqual([])
  expect(disk.leftovers).toEqual([])
  // Files of uploads that were sent in full, and none of honest clients, whose pictures come in their answers.
  expect(disk.files).toBe(SMALL.uploads)
})
