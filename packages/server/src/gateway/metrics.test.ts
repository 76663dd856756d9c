import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { createGatewayMetrics } from './metrics.ts'

test('the page for operators names every metric, with its labels', async () => {
  const page = readFileSync(new URL('../../../../docs/guide/operations.md', import.meta.url), 'utf8')
  const rows = [...page.matchAll(/^\| (`darkroom_.*?) \| (.*?) ?\|/gm)].flatMap(([, names = '', labels = '']) =>
    ticked(names).map((name) => [name, ticked(labels)] as const),
  )
  const metrics = createGatewayMetrics().registry.getMetricsAsArray()
  expect(rows.map(([name]) => name).sort()).toEqual(metrics.map(({ name }) => name).sort())
  for (const [name, labels] of rows) {
    const metric = metrics.find((each) => each.name === name)
    expect(metric && 'labelNames' in metric ? metric.labelNames : undefined, name).toEqual(labels)
  }
})

const ticked = (text: string) => [...text.matchAll(/`(\w+)`/g)].map(([, word = '']) => word)
