import type { DepthNetwork, PictureThread, Pose, RgbImage } from '@darkroom/engine'
import type { z } from 'zod'
import { toWireError } from '../../../drawing/engine-errors.ts'
import type { ImageEngine } from '../../../drawing/image-engine.ts'
import { pictureFrom } from '../../../drawing/input-pictures.ts'
import { type FilePicture, filePicture } from '../../../drawing/picture-output.ts'
import { fieldError } from '../../../errors/errors.ts'
import { PULL_POSE_NETWORKS } from '../../../models/vision-models.ts'
import { type EndpointSchema, type HandlerContext, type RunnableEndpoint, runnable } from '../../endpoint.ts'
import { canny, depthAnything, dwPose, midasDepth } from './schema.ts'

/** What makes a control image of a picture. */
type Preprocessor = (picture: RgbImage) => Promise<RgbImage>

/** Refuses what can be refused without the picture, and finds what looks at it. */
type Preparation<I> = (input: I, context: HandlerContext) => Preprocessor | Promise<Preprocessor>

/** Control images for ControlNets. */
export function createEndpoints(engine: ImageEngine): readonly RunnableEndpoint[] {
  const depth =
    (network: DepthNetwork): Preparation<unknown> =>
    async (_, context) => {
      const estimator = await engine.vision.depthEstimator(network, context)
      return (picture) => estimator.estimate(picture, engine.pictures)
    }
  return [
    preprocessor(
      engine,
      canny,
      ({ low_threshold, high_threshold }) =>
        async (picture) =>
          engine.pictures.canny(picture, low_threshold, high_threshold),
    ),
    preprocessor(engine, depthAnything, depth('depth-anything')),
    preprocessor(engine, midasDepth, depth('dpt')),
    preprocessor(engine, dwPose, async ({ draw_mode }, context) => {
      const detector = await engine.vision.poseDetector(context)
      if (draw_mode !== 'body-pose' && !detector.findsHandsAndFaces) {
        throw fieldError(
          'draw_mode',
          'value_error',
          `hands and faces are found by DWPose, which is not on this server; its operator can fetch it with: ${PULL_POSE_NETWORKS}`,
        )
      }
      return async (picture) => drawMode(engine.pictures, draw_mode, await detector.detect(picture), picture)
    }),
  ]
}

type DrawMode = z.output<typeof dwPose.input>['draw_mode']

function drawMode(pictures: PictureThread, mode: DrawMode, poses: readonly Pose[], size: RgbImage): Promise<RgbImage> {
  switch (mode) {
    case 'full-pose':
      return pictures.drawPoses(poses, size, ['body', 'hands', 'face'])
    case 'body-pose':
      return pictures.drawPoses(poses, size, ['body'])
    case 'face-pose':
      return pictures.drawPoses(poses, size, ['face'])
    case 'hand-pose':
      return pictures.drawPoses(poses, size, ['hands'])
    case 'face-hand-mask':
      return pictures.drawPoseMask(poses, size, ['hands', 'face'])
    case 'face-mask':
      return pictures.drawPoseMask(poses, size, ['face'])
    case 'hand-mask':
      return pictures.drawPoseMask(poses, size, ['hands'])
  }
}

function preprocessor<I extends z.ZodObject<{ image_url: z.ZodString }>>(
  engine: ImageEngine,
  schema: EndpointSchema<I>,
  prepare: Preparation<z.output<I>>,
): RunnableEndpoint {
  return runnable(schema, async (input, context) => {
    const process = await prepare(input, context)
    const picture = await pictureFrom(engine, input.image_url, 'image_url', context)
    return draw(process, picture, context)
  })
}

async function* draw(
  process: Preprocessor,
  picture: RgbImage,
  context: HandlerContext,
): AsyncGenerator<never, { image: FilePicture }> {
  yield* []
  try {
    const image = await process(picture)
    return { image: await filePicture(image, { format: { format: 'png', syncMode: false } }, context) }
  } catch (error) {
    throw toWireError(error)
  }
}
