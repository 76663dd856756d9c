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
  openOpenPose,
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
  OPENPOSE_BODY,
  POSE_NETWORKS,
  PULL_FACE_PACK,
} from '../models/vision-models.ts'
import { toWireError } from './engine-errors.ts'
import { type FacePack, findFacePack, findLocalDetector, findNamedFacePack } from './face-pack.ts'
import { findWeights, pathOf } from './find-weights.ts'
import { LeastRecentlyUsed } from './least-recently-used.ts'

export interface VisionOptions {
  readonly engine: Engine
  readonly registry: ModelRegistry
  readonly store: ModelStore
}

const WISH = { kind: 'detector' } as const

/** What finds faces and tells them apart. */
export interface FaceNetworks {
  readonly detector: FaceDetector
  readonly embedder: FaceEmbedder
  /** Tells these networks from others. */
  readonly key: string
}

/** Networks that stay open; their sessions have the engine's budget. */
const LIMIT = 8

/** The networks that see faces, poses and depth, each opened on first use. Models are looked for each time, so one added later is found. */
export class Vision {
  readonly #options: VisionOptions
  readonly #open = new LeastRecentlyUsed<unknown>(LIMIT)

  constructor(options: VisionOptions) {
    this.#options = options
  }

  /**
   * What finds faces and tells them apart: insightface's networks where they are on this machine. The bundled detector finds faces of
   * photographs without them, but nothing that may be bundled tells these apart: the demo's pack knows drawn portraits alone, and is
   * used where it is named.
   * @param reference the networks that a request names; the server's own when absent
   * @throws WireError 422 that says what to fetch
   */
  async faceNetworks(context: HandlerContext, reference?: string): Promise<FaceNetworks> {
    const { engine, store } = this.#options
    const { detector, embedder } =
      reference === undefined ? await findFacePack(store) : await findNamedFacePack(store, reference, context)
    if (!embedder) {
      throw new WireError(
        422,
        `No network that tells faces apart is on this server; its operator can fetch one, for non-commercial research, with: ${PULL_FACE_PACK}`,
      )
    }
    const { sessions } = engine
    return {
      detector: await this.#faceDetector(detector, context),
      embedder: await this.#once(
        embedder.path,
        () => openArcFace(sessions, embedder.path),
        licenceNote(embedder, context),
      ),
      key: `${detector?.path} ${embedder.path}`,
    }
  }

  /** insightface's detector where a pack is on this machine, else the bundled one, which sees less. */
  async faceDetector(context: HandlerContext): Promise<FaceDetector> {
    const { detector } = await findFacePack(this.#options.store)
    return this.#faceDetector(detector, context)
  }

  #faceDetector(file: FacePack['detector'], context: HandlerContext): Promise<FaceDetector> {
    const { engine, registry } = this.#options
    if (file) return this.#once(file.path, () => openScrfd(engine.sessions, file.path), licenceNote(file, context))
    const folder = registry.bundled(BUNDLED_FACE_DETECTOR)
    return this.#once(folder, () => openMtcnn(engine.sessions, folder))
  }

  /** DWPose where it is on this machine, else OpenPose's body network, else DWPose fetched where that is allowed, else the bundled network. */
  async poseDetector(context: HandlerContext): Promise<PoseDetector> {
    const own = await this.#ownPoseDetector(context)
    if (own !== undefined) return own
    try {
      const detector = await this.#find(POSE_NETWORKS.detector, context)
      return await this.#dwPose(detector, await this.#find(POSE_NETWORKS.poser, context))
    } catch (error) {
      if (!isMissing(error)) throw error
      context.log(`The bundled MoveNet looks for one person, because DWPose is not to be had: ${error.message}`, 'WARN')
      return this.#bundledPoseDetector()
    }
  }

  /** The same without fetching anything. */
  async localPoseDetector(context: HandlerContext): Promise<PoseDetector> {
    return (await this.#ownPoseDetector(context)) ?? this.#bundledPoseDetector()
  }

  /** DWPose or OpenPose's body network, where one of them is on this machine. */
  async #ownPoseDetector(context: HandlerContext): Promise<PoseDetector | undefined> {
    const { engine, store } = this.#options
    const [people, poses] = [
      await findLocalDetector(store, POSE_NETWORKS.detector),
      await findLocalDetector(store, POSE_NETWORKS.poser),
    ]
    if (people !== undefined && poses !== undefined) return this.#dwPose(people, poses)
    for (const reference of OPENPOSE_BODY) {
      const path = await findLocalDetector(store, reference)
      const note = licenceNote({ name: reference }, context)
      if (path !== undefined) return this.#once(path, () => openOpenPose(engine, path), note)
    }
    return undefined
  }

  #bundledPoseDetector(): Promise<PoseDetector> {
    const { engine, registry } = this.#options
    const bundled = registry.bundled(BUNDLED_POSE_DETECTOR)
    return this.#once(bundled, () => openMoveNet(engine.sessions, bundled))
  }

  #dwPose(people: string, poses: string): Promise<PoseDetector> {
    return this.#once(`${people}\n${poses}`, () => openDwPose(this.#options.engine.sessions, people, poses))
  }

  /**
   * The wanted depth network, or another one where only that is on this machine.
   * @throws WireError 422 that says what to fetch
   */
  async depthEstimator(wanted: DepthNetwork, context: HandlerContext): Promise<DepthEstimator> {
    const { sessions } = this.#options.engine
    const networks = [...DEPTH_NETWORKS].sort((a, b) => Number(b.kind === wanted) - Number(a.kind === wanted))
    for (const { kind, reference } of networks) {
      const path = await findLocalDetector(this.#options.store, reference)
      if (path !== undefined) return this.#once(path, () => openDepthEstimator(sessions, path, kind))
    }
    const [first] = networks
    const path = await this.#find(first?.reference ?? '', context)
    return this.#once(path, () => openDepthEstimator(sessions, path, wanted))
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

function licenceNote(
  { name, isFree = false }: { readonly name: string; readonly isFree?: boolean },
  context: HandlerContext,
): () => void {
  return () => isFree || context.log(`${name} is licensed for non-commercial research only`, 'WARN')
}
