/**
 * Draws the pictures of the endpoints' pages with what comes with the program: `tsx scripts/docs/endpoint-pictures.ts [endpoint id …]`.
 * Each page's example is sent to a server of its own; the first page's picture is the `picture.jpg` of the others.
 */
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { createDarkroomClient } from '@darkroom/client'
import pino from 'pino'
import sharp from 'sharp'
import { readConfig } from '../../packages/server/src/config/config.ts'
import { startServer } from '../../packages/server/src/processes/server-process.ts'
import { ENDPOINT_EXAMPLES, LOCAL_FILE } from './endpoint-examples.ts'
import { DOCS, pictureFileOf } from './endpoint-pages.ts'

const FIRST = 'fal-ai/fast-lcm-diffusion'
const SIDE = 384
const QUALITY = 68

type Fal = ReturnType<typeof createDarkroomClient>

async function main(): Promise<void> {
  const only = new Set(process.argv.slice(2))
  const folder = mkdtempSync(join(tmpdir(), 'darkroom-pictures-'))
  const environment = { DARKROOM_MODELS: join(folder, 'none'), HF_HUB_CACHE: join(folder, 'none') }
  const config = readConfig({ port: 0, dataFolder: folder, logLevel: 'silent' }, environment)
  const server = await startServer(config, pino({ level: 'silent' }))
  const fal = createDarkroomClient({ url: server.url })
  try {
    const files = await localFiles(await draw(fal, FIRST, new Map()), folder)
    for (const [id, { picture }] of Object.entries(ENDPOINT_EXAMPLES)) {
      if (picture === undefined || (only.size > 0 && !only.has(id))) continue
      const bytes = await draw(fal, id, files)
      const path = join(DOCS, pictureFileOf(id))
      mkdirSync(dirname(path), { recursive: true })
      const small = sharp(bytes).resize(SIDE, SIDE, { fit: 'inside', withoutEnlargement: true })
      writeFileSync(path, await small.jpeg({ quality: QUALITY, mozjpeg: true }).toBuffer())
      console.log(path)
    }
  } finally {
    await server.stop()
    rmSync(folder, { recursive: true, force: true })
  }
}

/** The picture that an example's request is answered with. */
async function draw(fal: Fal, id: string, files: ReadonlyMap<string, Blob>): Promise<Buffer> {
  const input = Object.fromEntries(
    Object.entries(ENDPOINT_EXAMPLES[id]?.input ?? {}).map(([name, value]) => [
      name,
      typeof value === 'string' && value.startsWith(LOCAL_FILE) ? files.get(value.slice(LOCAL_FILE.length)) : value,
    ]),
  )
  const { data } = await fal.subscribe(id, { input })
  const { images, image } = data as { images?: { url: string }[]; image?: { url: string } }
  const url = (images?.[0] ?? image)?.url
  if (url === undefined) throw new Error(`${id} answered no picture: ${JSON.stringify(data)}`)
  return Buffer.from(await (await fetch(url)).arrayBuffer())
}

/** What the examples' readers have of their own: a picture, a mask of its middle, an archive of pictures. */
async function localFiles(picture: Buffer, folder: string): Promise<ReadonlyMap<string, Blob>> {
  const { width = SIDE, height = SIDE } = await sharp(picture).metadata()
  const ellipse = `<svg width="${width}" height="${height}"><rect width="100%" height="100%"/><ellipse cx="50%" cy="55%" rx="30%" ry="26%" fill="#fff"/></svg>`
  const mask = await sharp(Buffer.from(ellipse)).png().toBuffer()
  writeFileSync(join(folder, 'person.jpg'), picture)
  execFileSync('tar', ['-czf', join(folder, 'people.tar.gz'), '-C', folder, 'person.jpg'])
  const archive = execFileSync('cat', [join(folder, 'people.tar.gz')])
  return new Map([
    ['picture.jpg', new Blob([new Uint8Array(picture)], { type: 'image/jpeg' })],
    ['mask.png', new Blob([new Uint8Array(mask)], { type: 'image/png' })],
    ['people.zip', new Blob([new Uint8Array(archive)], { type: 'application/gzip' })],
  ])
}

await main()
