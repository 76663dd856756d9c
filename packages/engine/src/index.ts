export { CheckpointError } from './checkpoint/checkpoint-error.ts'
export { EngineError, type EngineErrorKind } from './errors/engine-error.ts'
export { type ArchivedFile, ArchiveError, type ArchiveLimits, readPictureArchive } from './formats/archive.ts'
export { OnnxFileError } from './formats/onnx-file.ts'
export { encodeSafetensors, writeSafetensors } from './formats/safetensors.ts'
export { WeightFileError } from './formats/weight-file-error.ts'
export { decodeImage, ImageDecodeError } from './image/decode.ts'
export { encodeImage } from './image/encode.ts'
export { resizeRgb } from './image/resize.ts'
export { blackImage, type RgbImage } from './image/rgb-image.ts'
export { tensorToRgb } from './image/tensor.ts'
export { ModelConfigError } from './models/config-fields.ts'
export { applyEmbeddings, type EmbeddingFile } from './pipelines/apply-embeddings.ts'
export { applyLoras, type LoraFile, type SortedLoras, sortLoras } from './pipelines/apply-loras.ts'
export type {
  Adapters,
  DenoiseStep,
  GeneratedImage,
  GenerationParameters,
} from './pipelines/draw-images.ts'
export { type Engine, type EngineOptions, openEngine } from './pipelines/engine.ts'
export { type ImageToImageParameters, imageToImage } from './pipelines/image-to-image.ts'
export { type InpaintParameters, inpaint } from './pipelines/inpaint.ts'
export { type LoadOptions, loadStableDiffusion } from './pipelines/load-stable-diffusion.ts'
export { ParameterError } from './pipelines/parameter-error.ts'
export { loadPromptExpander, type PromptExpander } from './pipelines/prompt-expansion.ts'
export {
  loadSafetyChecker,
  type SafetyChecker,
  type SafetyCheckerOptions,
  type SafetyCheckerVersion,
} from './pipelines/safety-checker.ts'
export type { SchedulerChoice, StableDiffusion } from './pipelines/stable-diffusion.ts'
export { type TextToImageParameters, textToImage } from './pipelines/text-to-image.ts'
export { OutOfMemoryError, SessionLostError } from './runtime/session.ts'
export { SCHEDULER_NAMES, type SchedulerName } from './schedulers/from-config.ts'
export { SchedulerError } from './schedulers/scheduler.ts'
export { concatenate, type FloatTensor } from './tensor/tensor.ts'
export { TokenizerError } from './tokenizers/tokenizer-error.ts'
export { type FaceEmbedder, normalizeEmbedding, openArcFace } from './vision/arcface.ts'
export { type BodyPose, drawBodyPoses, type PoseDetector } from './vision/body-pose.ts'
export { cannyEdges } from './vision/canny.ts'
export { type DepthEstimator, openDepthEstimator } from './vision/depth.ts'
export { openDwPose } from './vision/dwpose.ts'
export { type Face, type FaceDetector, type FaceKeyPoints, largestFace } from './vision/face.ts'
export { drawFaceKeyPoints } from './vision/face-drawing.ts'
export { openMtcnn } from './vision/mtcnn.ts'
export { openScrfd } from './vision/scrfd.ts'
