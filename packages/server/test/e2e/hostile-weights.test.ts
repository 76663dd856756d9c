/** Weights that are broken or mean harm, named by requests: each is one sentence, and the server goes on. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { crc32, deflateRawSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { encodeSafetensors } from '../../../engine/src/formats/safetensors.ts'
import { type FloatTensor, float32, type Shape } from '../../../engine/src/tensor/tensor.ts'
import { GOLDEN, type LoraServer, startLoraServer } from './lora-server.ts'

const PIXEL =
  'data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAIAAAABCAIAAAB7QOjdAAAAD0lEQVR4nGP4z8DAwPAfAAcAAf9+CLHQAAAAAElFTkSuQmCC'
const LAYER = 'down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q'

/** A LoRA of one layer whose factors are of these shapes. */
function loraFile(down: Shape, up: Shape, value = 0.1): Buffer {
  const filled = (shape: Shape): FloatTensor => {
    const tensor = float32(shape)
    tensor.data.fill(value)
    return tensor
  }
  const tensors = { [`unet.${LAYER}.lora_A.weight`]: filled(down), [`unet.${LAYER}.lora_B.weight`]: filled(up) }
  return Buffer.from(encodeSafetensors(tensors))
}

/** A safetensors file with this header, and a length of it that may lie. */
function withHeader(header: string, length = BigInt(Buffer.byteLength(header)), data = 64): Buffer {
  const size = Buffer.alloc(8)
  size.writeBigUInt64LE(length)
  return Buffer.concat([size, Buffer.from(header), Buffer.alloc(data)])
}

/** A zip archive of one member, packed where `packed` says so. */
function zipped(name: string, data: Buffer, packed?: Buffer): Buffer {
  const stored = packed ?? data
  const fields = Buffer.alloc(26)
  fields.writeUInt16LE(20, 0)
  fields.writeUInt16LE(packed ? 8 : 0, 4)
  fields.writeUInt32LE(crc32(data), 10)
  fields.writeUInt32LE(stored.length, 14)
  fields.writeUInt32LE(data.length, 18)
  fields.writeUInt16LE(name.length, 22)
  const local = Buffer.concat([Buffer.from('PK\x03\x04'), fields, Buffer.from(name), stored])
  const entry = Buffer.concat([
    Buffer.from('PK\x01\x02'),
    Buffer.from([20, 0]),
    fields,
    Buffer.alloc(14),
    Buffer.from(name),
  ])
  const end = Buffer.alloc(18)
  end.writeUInt16LE(1, 4)
  end.writeUInt16LE(1, 6)
  end.writeUInt32LE(entry.length, 8)
  end.writeUInt32LE(local.length, 12)
  return Buffer.concat([local, entry, Buffer.from('PK\x05\x06'), end])
}

/** Peak memory of the processes below this one, where the system tells. */
function peakOfChildren(): number {
  if (!existsSync('/proc/self/status')) return 0
  const peaks = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((id) => {
      try {
        return readFileSync(`/proc/${id}/status`, 'utf8')
      } catch {
        return ''
      }
    })
    .filter((status) => Number(/PPid:\s+(\d+)/.exec(status)?.[1]) === process.pid)
    .map((status) => Number(/VmHWM:\s+(\d+)/.exec(status)?.[1] ?? 0) * 1024)
  return Math.max(0, ...peaks)
}

const MEGABYTE = 1024 * 1024
const BOMB_SIZE = 300 * MEGABYTE

describe('hostile weights', { timeout: 120_000 }, () => {
  let models: string
  let marker: string
  let server: LoraServer
  /** Memory that drawing took before anything hostile came. */
  let peak: number

  beforeAll(async () => {
    models = await mkdtemp(join(tmpdir(), 'darkroom-hostile-'))
    marker = join(models, 'executed')
    await cp(join(GOLDEN, 'checkpoints/tiny-sd15'), join(models, 'tiny'), { recursive: true })
    await cp(join(GOLDEN, 'conditioning'), join(models, 'conditioning'), { recursive: true })
    const whole = await readFile(join(GOLDEN, 'lora/plain-kohya.safetensors'))
    const executing = Buffer.from(`\x80\x02cos\nsystem\n(S'touch ${marker}'\ntR.`, 'latin1')
    const bomb = Buffer.alloc(BOMB_SIZE)
    const spread = (shape: string, offsets: string) =>
      `{"unet.${LAYER}.lora_A.weight":{"dtype":"F32","shape":${shape},"data_offsets":${offsets}}}`
    const files: Record<string, Buffer> = {
      'empty.safetensors': Buffer.alloc(0),
      'truncated.safetensors': whole.subarray(0, whole.length / 2),
      'half-a-header.safetensors': whole.subarray(0, 200),
      'header-of-4-GB.safetensors': withHeader('{}', 4_294_967_295n),
      'header-of-2-to-63.safetensors': withHeader('{}', 2n ** 63n - 1n),
      'header-is-no-JSON.safetensors': withHeader('{"a": '),
      'deep-header.safetensors': withHeader('['.repeat(100_000)),
      'beyond-the-end.safetensors': withHeader(spread('[4,1000000]', '[0,16000000]')),
      'huge-shape.safetensors': withHeader(spread('[1099511627776,1099511627776]', '[0,64]')),
      'negative-offsets.safetensors': withHeader(spread('[4,4]', '[-64,0]')),
      'misshapen.safetensors': loraFile([4, 7], [9, 4]),
      'ranks-differ.safetensors': loraFile([4, 8], [8, 5]),
      'no-numbers.safetensors': loraFile([4, 8], [8, 4], Number.NaN),
      'infinite.safetensors': loraFile([4, 8], [8, 4], Number.POSITIVE_INFINITY),
      'executes.bin': executing,
      'executes.pt': zipped('archive/data.pkl', executing),
      'bomb.bin': zipped('archive/data.pkl', bomb, deflateRawSync(bomb)),
      'text.safetensors': Buffer.from('<html><body>not found</body></html>'),
    }
    for (const [name, data] of Object.entries(files)) await writeFile(join(models, name), data)
    server = await startLoraServer(models)
    expect((await draw({})).status).toBe(200)
    peak = peakOfChildren()
  })

  afterAll(async () => {
    await server.stop()
    await rm(models, { recursive: true, force: true })
  })

  async function draw(adapters: object) {
    const response = await fetch(`${server.url}/run/fal-ai/lora`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        model_name: 'tiny',
        prompt: 'a house',
        num_inference_steps: 1,
        guidance_scale: 1,
        image_size: { width: 64, height: 64 },
        ...adapters,
      }),
    })
    return { status: response.status, ...((await response.json()) as { detail?: unknown; images?: object[] }) }
  }

  /** One line that names no place of the server's disk. */
  async function expectSentence(adapters: object, message: RegExp): Promise<void> {
    const { status, detail } = await draw(adapters)
    expect({ status, detail }).toEqual({ status: 422, detail: expect.stringMatching(message) })
    expect(detail).not.toContain(models)
    expect(String(detail)).toMatch(/^[^\n]{10,500}$/)
    expect(existsSync(marker)).toBe(false)
  }

  const FILES: readonly (readonly [file: string, message: RegExp])[] = [
    ['empty.safetensors', /is an empty file, not weights/],
    ['truncated.safetensors', /this looks like a truncated download/],
    ['half-a-header.safetensors', /this looks like a truncated download/],
    ['header-of-4-GB.safetensors', /no safetensors file: its header has no length/],
    ['header-of-2-to-63.safetensors', /no safetensors file: its header has no length/],
    ['header-is-no-JSON.safetensors', /the header is not JSON/],
    ['deep-header.safetensors', /is a file of another kind, not weights/],
    ['beyond-the-end.safetensors', /this looks like a truncated download/],
    ['huge-shape.safetensors', /takes 4.8\d*e\+24 bytes, the header gives it 64/],
    ['negative-offsets.safetensors', /its offsets \[-64,0\] are no pair of numbers/],
    [
      'misshapen.safetensors',
      /^Target modules of .* not found .* factors \[9,4\] and \[4,7\] do not fit the weight \[8,8\]/,
    ],
    [
      'ranks-differ.safetensors',
      /^Target modules of .* not found .* factors \[8,5\] and \[4,8\] do not fit the weight \[8,8\]/,
    ],
    ['no-numbers.safetensors', /has values that are no finite numbers/],
    ['infinite.safetensors', /has values that are no finite numbers/],
    ['executes.bin', /refused `os.system`: a weights file holds numbers/],
    ['executes.pt', /refused `os.system`: a weights file holds numbers/],
    ['bomb.bin', /is compressed, which torch.save never does/],
    ['text.safetensors', /is a web page, not weights/],
  ]

  it.each(FILES)('a LoRA: %s', async (path, message) => {
    await expectSentence({ loras: [{ path }] }, message)
  })

  /** Those that are no file of weights at all. */
  const broken = FILES.filter(([file]) => !/misshapen|ranks-differ|no-numbers|infinite/.test(file))

  it.each(broken)('as anything else: %s', async (path, message) => {
    const uses: Record<string, object> = {
      embedding: { embeddings: [{ path }] },
      ControlNet: { controlnets: [{ path, image_url: PIXEL }] },
      'IP-Adapter': {
        ip_adapter: [{ path, ip_adapter_image_url: PIXEL }],
        image_encoder_path: 'conditioning/image-encoder',
      },
      'IC-Light': { ic_light_model_url: path, ic_light_image_url: PIXEL },
      UNet: { unet_name: path },
      'base model': { model_name: path },
    }
    for (const use of Object.values(uses)) await expectSentence(use, message)
  })

  it('and draws as before, in no more memory', async () => {
    expect(peakOfChildren() - peak).toBeLessThan(BOMB_SIZE / 2)
    const { status, images } = await draw({})
    expect({ status, images: images?.length }).toEqual({ status: 200, images: 1 })
    await writeFile(join(models, 'sound.safetensors'), loraFile([4, 8], [8, 4]))
    expect((await draw({ loras: [{ path: 'sound.safetensors' }] })).status).toBe(200)
  })
})
