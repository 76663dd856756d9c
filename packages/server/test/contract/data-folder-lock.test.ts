import { fork } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { dataFolderIsServed, lockDataFolder } from '../../src/db/data-folder-lock.ts'

let folder: string

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'darkroom-'))
})

afterEach(() => rmSync(folder, { recursive: true }))

it('lets one server of this process in at a time', () => {
  const lock = lockDataFolder(folder)
  expect(() => lockDataFolder(folder)).toThrow(new RegExp(`process ${process.pid}\\) serves the data folder ${folder}`))
  lock.release()
  lock.release()
  lockDataFolder(folder).release()
})

it('keeps other processes out, and takes over from one that was killed', async () => {
  const holder = fork(new URL('./lock-holder.ts', import.meta.url), [folder], { execArgv: ['--import', 'tsx'] })
  await once(holder, 'message')
  expect(() => lockDataFolder(folder)).toThrow(`process ${holder.pid})`)
  holder.kill('SIGKILL')
  await once(holder, 'exit')
  lockDataFolder(folder).release()
})

it('says whether a folder is served, and leaves it as it was', () => {
  const nowhere = join(folder, 'nowhere')
  expect([dataFolderIsServed(folder), dataFolderIsServed(nowhere)]).toEqual([false, false])
  const lock = lockDataFolder(folder)
  expect(dataFolderIsServed(folder)).toBe(true)
  lock.release()
  expect(dataFolderIsServed(folder)).toBe(false)
  lockDataFolder(folder).release()
  expect(existsSync(nowhere)).toBe(false)
})

it('names a folder that it cannot use', () => {
  const file = join(folder, 'file')
  writeFileSync(file, '')
  expect(() => lockDataFolder(file)).toThrow(
    /^Cannot use the data folder .* There is a file of that name: choose a folder/,
  )
})
