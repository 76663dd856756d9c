import { tmpdir } from 'node:os'
import { expect, test } from 'vitest'
import type { Trials } from '../processes/arithmetic.ts'
import { generateArithmetic } from './generate-arithmetic.ts'

const CONFIG = { precision: 'exact', device: 'auto', threads: 1, dataFolder: tmpdir() } as const

/** A machine of two cards. */
const twoCards: Partial<Trials> = { chooseDevice: async () => 'cuda', chooseNumber: async (_, number) => number % 2 }
const noCard: Partial<Trials> = { chooseDevice: async () => 'cpu', chooseNumber: async () => 0 }

const choose = (gpu: number | undefined, trials: Partial<Trials>) => generateArithmetic(CONFIG, gpu, () => {}, trials)

test('draws on the GPU that was named, and on the first where none was', async () => {
  expect(await choose(1, twoCards)).toEqual({ threads: 1, executionProvider: 'cuda', deviceNumber: 1 })
  expect(await choose(0, twoCards)).toEqual({ threads: 1, executionProvider: 'cuda' })
  expect(await choose(undefined, twoCards)).toEqual({ threads: 1, executionProvider: 'cuda' })
  expect(await choose(undefined, noCard)).toEqual({ threads: 1, executionProvider: 'cpu' })
})

test('a GPU that is not there is an error, not another one', async () => {
  await expect(choose(2, twoCards)).rejects.toThrow('--gpu 2: no GPU of that number draws here')
  await expect(choose(0, noCard)).rejects.toThrow('--gpu 0: no GPU of that number draws here')
})
