/** The networks that see: where each is to be had, best first. Names are references of the model store, or in a models folder. */

/** Face detectors with their recognition networks: packs of insightface, for non-commercial research, which are never fetched unasked. */
export const FACE_PACKS = [
  { folder: 'insightface/antelopev2', detector: 'scrfd_10g_bnkps.onnx', embedder: 'glintr100.onnx' },
  { folder: 'DIAMONIK7777/antelopev2', detector: 'scrfd_10g_bnkps.onnx', embedder: 'glintr100.onnx' },
  { folder: 'insightface/buffalo_l', detector: 'det_10g.onnx', embedder: 'w600k_r50.onnx' },
  { folder: 'public-data/insightface/models/buffalo_l', detector: 'det_10g.onnx', embedder: 'w600k_r50.onnx' },
] as const

/** The pack that a message tells to fetch, file by file. */
export const PULLED_FACE_PACK = FACE_PACKS[1]

/** What fetches it. */
export const PULL_FACE_PACK = `darkroom pull ${PULLED_FACE_PACK.folder}/${PULLED_FACE_PACK.detector} ${PULLED_FACE_PACK.folder}/${PULLED_FACE_PACK.embedder}`

/** What finds and tells apart drawn portraits; it comes with the repository, was trained on the demo checkpoint's scenes and knows no photograph. */
export const DEMO_FACE_PACK = { folder: 'pinhole/face', detector: 'detector.onnx', embedder: 'embedder.onnx' } as const

/** DWPose, Apache-2.0. */
export const POSE_NETWORKS = {
  detector: 'yzd-v/DWPose/yolox_l.onnx',
  poser: 'yzd-v/DWPose/dw-ll_ucoco_384.onnx',
} as const

/** OpenPose's body network, for non-commercial research, which is never fetched unasked. */
export const OPENPOSE_BODY = [
  'lllyasviel/Annotators/body_pose_model.pth',
  'lllyasviel/ControlNet/annotator/ckpts/body_pose_model.pth',
] as const

/** What fetches both. */
export const PULL_POSE_NETWORKS = `darkroom pull ${POSE_NETWORKS.detector} ${POSE_NETWORKS.poser}`

/** Depth networks: both Apache-2.0. */
export const DEPTH_NETWORKS = [
  { kind: 'depth-anything', reference: 'onnx-community/depth-anything-v2-small/onnx/model.onnx' },
  { kind: 'dpt', reference: 'Xenova/dpt-hybrid-midas/onnx/model.onnx' },
] as const

/** What comes with the repository: a folder of networks that find faces, and a file that finds one person's pose. */
export const BUNDLED_FACE_DETECTOR = 'mtcnn'
export const BUNDLED_POSE_DETECTOR = 'movenet/lightning.onnx'
