/**
 * Draws the pictures of the endpoints' pages with what comes with the program: `tsx scripts/docs/endpoint-pictures.ts [endpoint id …]`.
 * Each page's example is sent to a server of its own; the first page's picture is the `picture.jpg` of the others.
 */
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { createDarkroomClient } from '@darkroom/client'
import { drawPoses, encodeImage, type Pose } from '@darkroom/engine'
import pino from 'pino'
import sharp, { type Sharp } from 'sharp'
import { readConfig } from '../../packages/server/src/config/config.ts'
import { startServer } from '../../packages/server/src/processes/server-process.ts'
import { ENDPOINT_EXAMPLES, LOCAL_FILE } from './endpoint-examples.ts'
import { DOCS, fieldPictureFileOf, pictureFileOf } from './endpoint-pages.ts'
import { FIELD_EXAMPLES, type FieldExample } from './field-examples.ts'

type Input = Readonly<Record<string, unknown>>

const FIRST = 'fal-ai/fast-lcm-diffusion'
const SIDE = 384
const QUALITY = 68
/** Side of the pictures of a row. */
const FIELD_SIDE = 192

const GAP = 4

type Fal = ReturnType<typeof createDarkroomClient>
type Files = ReadonlyMap<string, Blob>

async function main(): Promise<void> {
  const only = new Set(process.argv.slice(2))
  const folder = mkdtempSync(join(tmpdir(), 'darkroom-pictures-'))
  const environment = { DARKROOM_MODELS: join(folder, 'none'), HF_HUB_CACHE: join(folder, 'none') }
  const config = readConfig({ port: 0, dataFolder: folder, logLevel: 'silent' }, environment)
  const server = await startServer(config, pino({ level: 'silent' }))
  const fal = createDarkroomClient({ url: server.url })
  try {
    const first = await draw(fal, FIRST, ENDPOINT_EXAMPLES[FIRST]?.input ?? {}, new Map())
    const files = await localFiles(fal, first, folder)
    for (const [id, { picture, input, shown }] of Object.entries(ENDPOINT_EXAMPLES)) {
      if (only.size > 0 && !only.has(id)) continue
      if (picture !== undefined) {
        const drawn = await draw(fal, id, input, files)
        const fit = { fit: 'inside', withoutEnlargement: true } as const
        const small =
          shown === undefined
            ? sharp(drawn).resize(SIDE, SIDE, fit)
            : await row([...(await given(shown, files)), drawn])
        await write(pictureFileOf(id), small)
      }
      for (const example of FIELD_EXAMPLES[id] ?? [])
        await write(fieldPictureFileOf(example), await fieldRow(fal, id, example, files))
    }
  } finally {
    await server.stop()
    rmSync(folder, { recursive: true, force: true })
  }
}

async function write(file: string, picture: Sharp): Promise<void> {
  const path = join(DOCS, file)
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, await picture.jpeg({ quality: QUALITY, mozjpeg: true }).toBuffer())
  console.log(path)
}

/** What a field is given, where that is a picture, then the request without the field, then with it. */
async function fieldRow(fal: Fal, id: string, { field, input, shown }: FieldExample, files: Files): Promise<Sharp> {
  const { [field]: _, ...without } = input as Input
  return row([
    ...(await given(shown, files)),
    await draw(fal, id, without, files),
    await draw(fal, id, input as Input, files),
  ])
}

/** A local file's picture, or nothing where none is shown. */
async function given(shown: string | undefined, files: Files): Promise<Buffer[]> {
  return shown === undefined ? [] : [Buffer.from(await (files.get(shown) as Blob).arrayBuffer())]
}

async function row(pictures: readonly Buffer[]): Promise<Sharp> {
  const small = pictures.map((picture) => sharp(picture).resize(FIELD_SIDE, FIELD_SIDE).png().toBuffer())
  const placed = (await Promise.all(small)).map((picture, i) => ({
    input: picture,
    left: i * (FIELD_SIDE + GAP),
    top: 0,
  }))
  const width = pictures.length * (FIELD_SIDE + GAP) - GAP
  return sharp({ create: { width, height: FIELD_SIDE, channels: 3, background: '#fff' } }).composite(placed)
}

/** An input with its local files in place of their names, wherever they are in it. */
function withFiles(value: unknown, files: Files): unknown {
  if (typeof value === 'string') return value.startsWith(LOCAL_FILE) ? files.get(value.slice(LOCAL_FILE.length)) : value
  if (Array.isArray(value)) return value.map((part) => withFiles(part, files))
  if (typeof value !== 'object' || value === null || value instanceof Blob) return value
  return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, withFiles(part, files)]))
}

/** The picture that a request is answered with. */
async function draw(fal: Fal, id: string, input: Input, files: Files): Promise<Buffer> {
  const { data } = await fal.subscribe(id, { input: withFiles(input, files) as Input })
  const { images, image } = data as { images?: { url: string }[]; image?: { url: string } }
  const url = (images?.[0] ?? image)?.url
  if (url === undefined) throw new Error(`${id} answered no picture: ${JSON.stringify(data)}`)
  return Buffer.from(await (await fetch(url)).arrayBuffer())
}

/** What the examples' readers have of their own: a picture, a mask of its middle, an archive of pictures, control images, a face. */
async function localFiles(fal: Fal, picture: Buffer, folder: string): Promise<Files> {
  const { width = SIDE, height = SIDE } = await sharp(picture).metadata()
  const ellipse = `<svg width="${width}" height="${height}"><rect width="100%" height="100%"/><ellipse cx="50%" cy="55%" rx="30%" ry="26%" fill="#fff"/></svg>`
  const mask = await sharp(Buffer.from(ellipse)).png().toBuffer()
  writeFileSync(join(folder, 'person.jpg'), picture)
  execFileSync('tar', ['-czf', join(folder, 'people.tar.gz'), '-C', folder, 'person.jpg'])
  const archive = execFileSync('cat', [join(folder, 'people.tar.gz')])
  const own = new Map([
    ['picture.jpg', new Blob([new Uint8Array(picture)], { type: 'image/jpeg' })],
    ['mask.png', new Blob([new Uint8Array(mask)], { type: 'image/png' })],
    ['people.zip', new Blob([new Uint8Array(archive)], { type: 'application/gzip' })],
  ])
  const apple = new Blob([await sharp(Buffer.from(APPLE)).png().toBuffer()], { type: 'image/png' })
  const canny = await draw(fal, 'fal-ai/image-preprocessors/canny', { image_url: apple }, own)
  const pose = await encodeImage(drawPoses([BUST], { width: 512, height: 512 }, ['body']), 'png')
  const depth = await sharp(Buffer.from(NEAR_DISC)).png().toBuffer()
  const face = await sharp(Buffer.from(FACE)).png().toBuffer()
  const controls = Object.entries({ canny, pose, depth, face })
  return new Map([
    ...own,
    ...controls.map(([name, bytes]): [string, Blob] => [
      `${name}.png`,
      new Blob([new Uint8Array(bytes)], { type: 'image/png' }),
    ]),
  ])
}

const svg = (content: string) => `<svg width="512" height="512" xmlns="http://www.w3.org/2000/svg">${content}</svg>`

/** An apple at the left, whose edges are a control image. */
const APPLE = svg(
  '<rect width="512" height="512" fill="#fff"/><circle cx="180" cy="290" r="120"/><rect x="172" y="110" width="16" height="70"/>',
)

/** Somebody with red hair and glasses, as Pinhole's training set draws people. */
const FACE = svg(
  '<rect width="512" height="512" fill="#f4d03f"/><rect x="115" y="110" width="283" height="310" rx="97" fill="#8e3129"/>' +
    '<rect x="52" y="430" width="408" height="200" rx="78" fill="#16a0a0"/><rect x="207" y="333" width="98" height="124" rx="24" fill="#cfac8e"/>' +
    '<ellipse cx="256" cy="226" rx="119" ry="141" fill="#f0c8a5"/><ellipse cx="256" cy="284" rx="97" ry="92" fill="#f0c8a5"/>' +
    '<path d="M131 172A127 125 0 0 1 381 172Z" fill="#b23e22"/><rect x="120" y="158" width="44" height="243" rx="19" fill="#b23e22"/>' +
    '<rect x="348" y="158" width="44" height="243" rx="19" fill="#b23e22"/><path d="M256 231 267 267 252 271" stroke="#bb9c81" stroke-width="7" fill="none"/>' +
    '<path d="M227 306h58" stroke="#c75a4b" stroke-width="10"/><g fill="#fafafa"><ellipse cx="210" cy="214" rx="22" ry="17"/><ellipse cx="302" cy="214" rx="22" ry="17"/></g>' +
    '<g fill="#329650"><circle cx="210" cy="214" r="13"/><circle cx="302" cy="214" r="13"/></g><g fill="#0f0f12"><circle cx="210" cy="214" r="6"/><circle cx="302" cy="214" r="6"/></g>' +
    '<g fill="none" stroke="#19191e" stroke-width="7"><ellipse cx="210" cy="214" rx="33" ry="27"/><ellipse cx="302" cy="214" rx="33" ry="27"/><path d="M243 211h26"/></g>',
)

/** Head and shoulders at the right, in OpenPose's order; what is below is not in the picture. */
const BUST: Pose = {
  body: [
    { x: 330, y: 250 },
    { x: 330, y: 390 },
    { x: 190, y: 420 },
    undefined,
    undefined,
    { x: 470, y: 420 },
    undefined,
    undefined,
    ...Array.from({ length: 6 }, () => undefined),
    { x: 290, y: 205 },
    { x: 370, y: 205 },
    { x: 230, y: 232 },
    { x: 430, y: 232 },
  ],
  leftHand: [],
  rightHand: [],
  face: [],
}

/** Near at the right, farther behind, as depth estimators draw it. */
const NEAR_DISC = svg('<rect width="512" height="512" fill="#222"/><circle cx="320" cy="250" r="130" fill="#fff"/>')

await main()
