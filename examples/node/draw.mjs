/**
 * Draws a picture, then redraws it: `@fal-ai/client` as it is, told by `proxyUrl` where the server is.
 *
 *   node examples/node/draw.mjs "an island in the ocean at sunset"
 *
 * DARKROOM_URL: http://127.0.0.1:3010 unless set. FAL_KEY: where the server needs a key.
 */
import { writeFile } from 'node:fs/promises'
import { fal } from '@fal-ai/client'

const url = process.env.DARKROOM_URL ?? 'http://127.0.0.1:3010'
const prompt = process.argv[2] ?? 'an island in the ocean at sunset'

fal.config({ proxyUrl: { url: `${url}/api/fal/proxy`, when: 'always' } })

const drawn = await fal.subscribe('fal-ai/fast-lcm-diffusion', {
  input: { prompt, image_size: 'square', sync_mode: false },
  logs: true,
  onQueueUpdate(update) {
    if (update.status === 'IN_PROGRESS') console.log(update.logs.at(-1)?.message ?? 'started')
  },
})
const picture = await download(drawn.data.images[0].url)
await writeFile('drawn.jpg', picture)

// A File or Blob in the input is uploaded first.
const redrawn = await fal.subscribe('fal-ai/lcm-sd15-i2i', {
  input: { prompt: `${prompt}, at night`, image_url: new Blob([picture], { type: 'image/jpeg' }), strength: 0.6 },
})
await writeFile('redrawn.jpg', await download(redrawn.data.images[0].url))
console.log('Wrote drawn.jpg and redrawn.jpg')

/** @param {string} from */
async function download(from) {
  const response = await fetch(from)
  if (!response.ok) throw new Error(`GET ${from} answered ${response.status}`)
  return Buffer.from(await response.arrayBuffer())
}
