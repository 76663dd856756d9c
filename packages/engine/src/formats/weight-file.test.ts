import { tmpdir } from 'node:os'
import { expect, test } from 'vitest'
import { readWeightFile } from './weight-file.ts'
import { WeightFileError } from './weight-file-error.ts'

test('a folder is an error of one sentence', async () => {
  const reading = readWeightFile(tmpdir())
  await expect(reading).rejects.toThrow(WeightFileError)
  await expect(reading).rejects.toThrow(/: a folder, where a file of weights is wanted$/)
})
