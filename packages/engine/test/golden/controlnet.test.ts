import { afterAll, expect, test } from 'vitest'
import { parseControlNetConfig } from '../../src/models/controlnet-config.ts'
import { buildControlImageGraph, buildControlNetGraph, residualName } from '../../src/models/controlnet-model.ts'
import type { FloatTensor } from '../../src/tensor/tensor.ts'
import { ModelRunner, readCase, readConfig, relativeError, shapeOf } from './model-case.ts'

const runner = new ModelRunner()
afterAll(() => runner.dispose())

test.each(['controlnet-sd15', 'controlnet-sdxl', 'controlnet-sdxl-small', 'controlnet-pooled'])(
  '%s gives the residuals of ControlNetModel',
  async (name) => {
    const { tensors, weights: folder, tolerance } = await readCase(`${name}-case`, 'conditioning')
    const config = parseControlNetConfig(await readConfig(folder))
    const [batch, , height, width] = shapeOf(tensors, 'sample')
    const [, , imageHeight, imageWidth] = shapeOf(tensors, 'image')
    const image = buildControlImageGraph(config, imageHeight, imageWidth)
    const graph = buildControlNetGraph(config, { batch, height, width })
    const weights = await runner.weights(folder, [image, graph])
    const { embedding } = await runner.run(image, weights, tensors)
    const feeds = new Map([...tensors, ['embedding', embedding as FloatTensor] as const])
    const actual = await runner.run(graph, weights, feeds)
    const names = [...tensors.keys()].filter((key) => key.startsWith('expected.'))
    expect(Object.keys(actual)).toEqual(names.map((_, i) => residualName(i)))
    const errors = names.map((_, i) =>
      relativeError(actual[residualName(i)], tensors.get(`expected.${residualName(i)}`)),
    )
    expect(errors.filter((error) => !(error < tolerance))).toEqual([])
  },
)
