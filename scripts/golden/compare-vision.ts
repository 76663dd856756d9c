/**
 * Counts the drawings and edges that differ from OpenCV's in a folder that `vision.py --many` wrote.
 *
 *     npx tsx scripts/golden/compare-vision.ts FOLDER
 */
import { join } from 'node:path'
import { drawingDifferences } from '../../packages/engine/test/golden/vision-drawings.ts'

const { counts, ...differing } = await drawingDifferences(join(process.argv[2] ?? '.', 'drawings.json'))
for (const [i, [kind, indices]] of Object.entries(differing).entries()) {
  console.log(`${kind}: ${indices.length} of ${counts[i]} differ ${indices.slice(0, 10).join(' ')}`)
}
process.exitCode = Object.values(differing).some((indices) => indices.length > 0) ? 1 : 0
