import { cannyEdges, type DepthNetwork, drawBodyPoses, greyToRgb, type RgbImage } from '@darkroom/engine'
import type { z } from 'zod'
import { toWireError } from '../../../drawing/engine-errors.ts'
import type { ImageEngine } from '../../../drawing/image-engine.ts'
import { pictureFrom } from '../../../drawing/input-picture.ts'
import { type FilePicture, filePicture } from '../../../drawing/picture-output.ts'
import { fieldError } from '../../../errors/errors.ts'
import { type EndpointSchema, type HandlerContext, type RunnableEndpoint, runnable } from '../../endpoint.ts'
import { canny, depthAnything, dwPose, midasDepth } from './schema.ts'

/** What makes a control image of a picture. */
type Preprocessor<I> = (picture: RgbImage, input: I, context: HandlerContext) => Promise<RgbImage>

/** Control images for ControlNets. */
export function createEndpoints(engine: ImageEngine): readonly RunnableEndpoint[] {
  const depth = (network: DepthNetwork) => async (picture: RgbImage, _: unknown, context: HandlerContext) => {
    const estimator = await engine.vision.depthEstimator(network, context)
    return greyToRgb(await estimator.estimate(picture))
  }
  return [
    preprocessor(canny, async (picture, { low_threshold, high_threshold }) =>
      greyToRgb(cannyEdges(picture, low_threshold, high_threshold)),
    ),
    preprocessor(depthAnything, depth('depth-anything')),
    preprocessor(midasDepth, depth('dpt')),
    preprocessor(dwPose, async (picture, { draw_mode }, context) => {
      if (draw_mode !== 'body-pose') {
        throw fieldError('draw_mode', 'value_error', `this server draws bodies alone: body-pose, not ${draw_mode}`)
      }
      const detector = await engine.vision.poseDetector(context)
      return drawBodyPoses(await detector.detect(picture), picture.width, picture.height)
    }),
  ]
}

function preprocessor<I extends z.ZodObject<{ image_url: z.ZodString }>>(
  schema: EndpointSchema<I>,
  process: Preprocessor<z.output<I>>,
): RunnableEndpoint {
  return runnable(schema, async function* (input, context): AsyncGenerator<never, { image: FilePicture }> {
    const picture = await pictureFrom(input.image_url, ['image_url'], context)
    const image = await process(picture, input, context).catch((error: unknown) => {
      throw toWireError(error)
    })
    return { image: await filePicture(image, { format: { format: 'png', syncMode: false } }, context) }
  })
}
