import {
  type DepthEstimator,
  type DepthNetwork,
  type Engine,
  type FaceDetector,
  type FaceEmbedder,
  openArcFace,
  openDepthEstimator,
  openDwPose,
  openMoveNet,
  openMtcnn,
  openScrfd,
  type PoseDetector,
} from '@darkroom/engine'
import type { HandlerContext } from '../endpoints/endpoint.ts'
import { WireError } from '../errors/errors.ts'
import { ModelError } from '../models/model-error.ts'
import type { ModelRegistry } from '../models/model-registry.ts'
import type { ModelStore } from '../models/model-store.ts'
import {
  BUNDLED_FACE_DETECTOR,
  BUNDLED_POSE_DETECTOR,
  DEPTH_NETWORKS,
  FACE_PACKS,
  POSE_NETWORKS,
  PULLED_FACE_PACK,
} from '../models/vision-models.ts'
import { toWireError } from './engine-errors.ts'
import { findWeights, pathOf } from './find-weights.ts'
import { LeastRecentlyUsed } from './least-recently-used.ts'

export interface VisionOptions {
  readonly engine: Engine
  readonly registry: ModelRegistry
  readonly store: ModelStore
}

const WISH = { kind: 'detector' } as const

/** Networks that stay open; their sessions have the engine's budget. */
const LIMIT = 8

/** The networks that see faces, poses and depth, each opened on first use. Models are looked for each time, so one added later is found. */
export class Vision {
  readonly #options: VisionOptions
  readonly #open = new LeastRecentlyUsed<unknown>(LIMIT)

  constructor(options: VisionOptions) {
    this.#options = options
  }

  /** insightface's detector where a pack is on this machine, else the bundled one, which sees less. */
  async faceDetector(context: HandlerContext): Promise<FaceDetector> {
    const pack = await this.#facePack('detector')
    const { engine, registry } = this.#options
    if (pack) return this.#once(pack.path, () => openScrfd(engine.sessions, pack.path), licenceNote(pack, context))
    const folder = registry.bundled(BUNDLED_FACE_DETECTOR)
    return this.#once(folder, () => openMtcnn(engine.sessions, folder))
  }

  /**
   * Tells faces apart; there is none that may be bundled.
   * @throws WireError 422 that says what to fetch
   */
  async faceEmbedder(context: HandlerContext): Promise<FaceEmbedder> {
    const pack = await this.#facePack('embedder')
    if (!pack) {
      const { folder, detector, embedder } = PULLED_FACE_PACK
      throw new WireError(
        422,
        'No network that tells faces apart is on this server; its operator can fetch one, for non-commercial research, with: ' +
          `darkroom pull ${folder}/${detector} ${folder}/${embedder}`,
      )
    }
    const { sessions } = this.#options.engine
    return this.#once(pack.path, () => openArcFace(sessions, pack.path), licenceNote(pack, context))
  }

  /** DWPose where it is on this machine or may be fetched, else the bundled network, which sees one person. */
  async poseDetector(context: HandlerContext): Promise<PoseDetector> {
    const { engine, registry } = this.#options
    try {
      const detector = await this.#find(POSE_NETWORKS.detector, context)
      const poser = await this.#find(POSE_NETWORKS.poser, context)
      return await this.#once(`${detector}\n${poser}`, () => openDwPose(engine.sessions, detector, poser))
    } catch (error) {
      if (!isMissing(error)) throw error
      context.log(`The bundled MoveNet looks for one person, because DWPose is not to be had: ${error.message}`, 'WARN')
      const bundled = registry.bundled(BUNDLED_POSE_DETECTOR)
      return this.#once(bundled, () => openMoveNet(engine.sessions, bundled))
    }
  }

  /**
   * The wanted depth network, or another one where only that is on this machine.
   * @throws WireError 422 that says what to fetch
   */
  async depthEstimator(wanted: DepthNetwork, context: HandlerContext): Promise<DepthEstimator> {
    const { sessions } = this.#options.engine
    const networks = [...DEPTH_NETWORKS].sort((a, b) => Number(b.kind === wanted) - Number(a.kind === wanted))
    for (const { kind, reference } of networks) {
      const path = await this.#findLocal(reference)
      if (path !== undefined) return this.#once(path, () => openDepthEstimator(sessions, path, kind))
    }
    const [first] = networks
    const path = await this.#find(first?.reference ?? '', context)
    return this.#once(path, () => openDepthEstimator(sessions, path, wanted))
  }

  async #facePack(part: 'detector' | 'embedder'): Promise<{ path: string; name: string } | undefined> {
    for (const pack of FACE_PACKS) {
      const path = await this.#findLocal(`${pack.folder}/${pack[part]}`)
      if (path !== undefined) return { path, name: pack.folder }
    }
    return undefined
  }

  async #findLocal(reference: string): Promise<string | undefined> {
    try {
      const found = await this.#options.store.findLocal(reference, WISH)
      return found && pathOf(found)
    } catch (error) {
      // A folder of that name without that file is as good as none.
      if (error instanceof ModelError && error.reason === 'not-found') return undefined
      throw error instanceof ModelError ? new WireError(422, error.message, { cause: error }) : error
    }
  }

  async #find(reference: string, context: HandlerContext): Promise<string> {
    return pathOf(await findWeights(this.#options.store, reference, WISH, context))
  }

  async #once<T>(key: string, open: () => Promise<T>, onOpen: () => void = () => {}): Promise<T> {
    try {
      return (await this.#open.get(key, () => {
        onOpen()
        return open()
      })) as T
    } catch (error) {
      throw toWireError(error)
    }
  }
}

/** Not on this machine and not to be fetched, for whatever reason; what is here and cannot be used is another matter. */
function isMissing(error: unknown): error is WireError {
  const cause = error instanceof WireError ? error.cause : undefined
  return cause instanceof ModelError && !['not-weights', 'wrong-kind', 'corrupt'].includes(cause.reason)
}

function licenceNote({ name }: { readonly name: string }, context: HandlerContext): () => void {
  return () => context.log(`${name} is licensed for non-commercial research only`, 'WARN')
}
