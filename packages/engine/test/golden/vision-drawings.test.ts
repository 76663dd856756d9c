import { join } from 'node:path'
import { expect, test } from 'vitest'
import { DATA } from './model-case.ts'
import { drawingDifferences } from './vision-drawings.ts'

test('faces, bodies, hands, edges and resampled pictures are OpenCV’s to the pixel', async () => {
  const { counts, differing } = await drawingDifferences(join(DATA, 'vision', 'drawings.json'))
  const none = { body: [], hands: [], whole: [], masks: [], key_points: [], polygons: [], canny: [] }
  expect(differing).toEqual({ ...none, resized: [], warped: [] })
  expect(counts).toEqual({ drawings: 1000, polygons: 12, canny: 50, sampling: 12 })
}, 60_000)
