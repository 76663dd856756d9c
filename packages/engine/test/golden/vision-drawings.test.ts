import { join } from 'node:path'
import { expect, test } from 'vitest'
import { DATA } from './model-case.ts'
import { drawingDifferences } from './vision-drawings.ts'

test('faces, bodies, edges and resampled pictures are OpenCV’s to the pixel', async () => {
  const { counts, ...differing } = await drawingDifferences(join(DATA, 'vision', 'drawings.json'))
  expect(differing).toEqual({ faces: [], bodies: [], polygons: [], canny: [], resized: [], warped: [] })
  expect(counts).toEqual([12, 12, 12, 12, 12, 12])
})
