/**
 * Draws a face with Pinhole's InstantID in the engine, for `training/make.py verify`, and writes what diffusers needs to draw the same:
 * latents and embedding (identity.safetensors) and the picture of the face's points (points.png).
 *
 *     npx tsx scripts/golden/draw-identity.ts MODELS FACE OUT PROMPT SEED STEPS
 */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import {
  applyControlNets,
  applyImagePrompts,
  decodeImage,
  drawFaceKeyPoints,
  encodeImage,
  largestFace,
  loadControlNet,
  loadIPAdapter,
  loadStableDiffusion,
  openArcFace,
  openComponent,
  openEngine,
  openScrfd,
  openWeightFile,
  textToImage,
  writeSafetensors,
} from '../../packages/engine/src/index.ts'
import { finished } from '../../packages/engine/test/golden/finished.ts'

const [models, face, out, prompt, seed, steps] = process.argv.slice(2)
if (!models || !face || !out || !prompt || !seed || !steps)
  throw new Error('name models, face, out, prompt, seed, steps')

const size = { width: 512, height: 512 }
const engine = openEngine({ threads: 1 })
const picture = await decodeImage(await readFile(face))
const detector = await openScrfd(engine.sessions, join(models, 'pinhole-face/detector.onnx'))
const found = largestFace(await detector.detect(picture))
if (!found) throw new Error(`no face in ${face}`)
const embedder = await openArcFace(engine.sessions, join(models, 'pinhole-face/embedder.onnx'))
const embedding = await embedder.embed(picture, found.keyPoints)
const points = drawFaceKeyPoints(found.keyPoints, picture.width, picture.height)

const model = await loadStableDiffusion(engine, join(models, 'pinhole-512'))
const weights = () => openWeightFile('ip_adapter', join(models, 'pinhole-instantid/ip-adapter.safetensors'))
const { adapter } = await loadIPAdapter(engine, model.unet.config, { name: 'ip_adapter', weights })
const prompts = await applyImagePrompts(model, [{ adapter, faceEmbeddings: [embedding], scale: 0.7 }], size)
const component = await openComponent(join(models, 'pinhole-instantid/ControlNetModel'), 'controlnet')
const [tokens] = prompts.tokens
const identityNet = await loadControlNet(engine, component)
const control = { model: identityNet, image: points, conditioningScale: 0.7, ...(tokens && { tokens }) }
const [drawn] = await finished(
  textToImage(model, {
    prompt,
    ...size,
    scheduler: { name: 'LCM' },
    schedule: { numInferenceSteps: Number(steps) },
    guidanceScale: 1,
    seed: BigInt(seed),
    adapters: { unet: [prompts.adapter, applyControlNets(model, [control], size)] },
  }),
)
if (!drawn) throw new Error('nothing was drawn')
await writeSafetensors(join(out, 'identity.safetensors'), { latents: drawn.latents, embedding })
await writeFile(join(out, 'points.png'), await encodeImage(points, 'png'))
await engine.dispose()
