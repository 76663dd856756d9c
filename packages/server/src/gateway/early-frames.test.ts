import { randomBytes } from 'node:crypto'
import { PassThrough } from 'node:stream'
import { describe, expect, it } from 'vitest'
import { SharedSlots } from '../waiting/shared-slots.ts'
import { MaskedFrames, readFramesEarly } from './early-frames.ts'

/** One binary frame of a client, RFC 6455, 5.2. */
function frameOf(payload: Uint8Array, mask: Uint8Array | undefined): Buffer {
  const { length } = payload
  const extended = Buffer.alloc(length < 126 ? 0 : length < 65_536 ? 2 : 8)
  if (extended.length === 2) extended.writeUInt16BE(length)
  if (extended.length === 8) extended.writeBigUInt64BE(BigInt(length))
  const short = extended.length === 0 ? length : extended.length === 2 ? 126 : 127
  const masked = payload.map((byte, i) => byte ^ (mask?.[i % 4] ?? 0))
  return Buffer.concat([Buffer.from([0x82, short | (mask ? 0x80 : 0)]), extended, mask ?? Buffer.alloc(0), masked])
}

/** Of a payload, for these frames. */
const MOST = 150_000
const NO_MASK = new Uint8Array(4)
const LENGTHS = [0, 1, 125, 10, 126, 4099, 65_536, 3, 70_001]

describe('MaskedFrames', () => {
  it.each([1, 2, 3, 5, 64, 997, 1_000_000])('leaves the frames with a mask of zeros, in chunks of %i', (size) => {
    const payloads = LENGTHS.map((length) => randomBytes(length))
    // One of them is not masked, which the protocol forbids and the receiver refuses.
    const masks = LENGTHS.map((length) => (length === 4099 ? undefined : randomBytes(4)))
    const sent = payloads.map((payload, i) => frameOf(payload, masks[i]))
    const wanted = payloads.map((payload, i) => frameOf(payload, masks[i] && NO_MASK))
    for (const offset of [0, 1, 2, 3]) {
      // Chunks lie anywhere in their memory.
      const bytes = Buffer.concat([Buffer.alloc(offset), ...sent]).subarray(offset)
      const frames = new MaskedFrames(MOST)
      const pieces: Buffer[] = []
      for (let at = 0; at < bytes.length; at += size) pieces.push(...frames.take(bytes.subarray(at, at + size)))
      expect(Buffer.concat(pieces).equals(Buffer.concat(wanted))).toBe(true)
    }
  })

  it('hands on a large payload when it is whole, in memory of its own, and what is larger than it may be as it comes', () => {
    const frames = new MaskedFrames(MOST)
    const take = (payload: Uint8Array) => {
      const bytes = frameOf(payload, randomBytes(4))
      return Array.from({ length: Math.ceil(bytes.length / 50_000) }, (_, i) =>
        frames.take(bytes.subarray(i * 50_000, (i + 1) * 50_000)).map((piece) => piece.length),
      )
    }
    expect(take(new Uint8Array(120_000))).toEqual([[14], [], [120_000]])
    expect(take(new Uint8Array(200_000))).toEqual([[50_000], [50_000], [50_000], [50_000], [14]])
    expect(take(new Uint8Array(60_000))).toEqual([[50_000], [10_008]])
    const bytes = frameOf(new Uint8Array(120_000), randomBytes(4))
    expect(frames.take(bytes)[1]?.buffer.byteLength).toBe(120_000)
  })
})

describe('readFramesEarly', () => {
  const LARGE = 2_000_000
  const frame = frameOf(new Uint8Array(LARGE), randomBytes(4))
  const [first, rest] = [frame.subarray(0, 60_000), frame.subarray(60_000)]

  function connect(slots: SharedSlots<'account'>, account: string, patienceMs = 60_000) {
    const connection = new PassThrough()
    const received: number[] = []
    connection.on('data', (piece: Buffer) => received.push(piece.length))
    readFramesEarly(connection, { account, slots, mostBytes: LARGE, isPaused: () => false, patienceMs })
    return { connection, received }
  }

  const oneEach = () => new SharedSlots({ total: 2, shares: { account: 1 }, turnsOf: 'account' })
  const whole = [14, LARGE]

  it('reads one account’s large payloads after one another, and small ones and those of others at once', async () => {
    const slots = oneEach()
    const [a, b, small, other] = [connect(slots, 'A'), connect(slots, 'A'), connect(slots, 'A'), connect(slots, 'B')]
    a.connection.write(first)
    await expect.poll(() => a.received).toEqual([14])
    b.connection.write(first)
    b.connection.write(rest)
    await expect.poll(() => b.connection.isPaused()).toBe(true)
    small.connection.write(frameOf(new Uint8Array(70_000), randomBytes(4)))
    other.connection.write(first)
    other.connection.write(rest)
    await expect.poll(() => small.received).toEqual([14, 70_000])
    await expect.poll(() => other.received).toEqual(whole)
    expect(b.received).toEqual([14])
    a.connection.write(rest)
    await expect.poll(() => a.received).toEqual(whole)
    await expect.poll(() => b.received).toEqual(whole)
  })

  it('lets the next one go on when a connection is gone, and when its sender is slow', async () => {
    for (const patienceMs of [60_000, 1]) {
      const slots = oneEach()
      const [a, b] = [connect(slots, 'A', patienceMs), connect(slots, 'A')]
      a.connection.write(first)
      await expect.poll(() => a.received).toEqual([14])
      b.connection.write(first)
      b.connection.write(rest)
      if (patienceMs > 1) {
        await expect.poll(() => b.connection.isPaused()).toBe(true)
        expect(b.received).toEqual([14])
        a.connection.destroy()
      }
      await expect.poll(() => b.received).toEqual(whole)
    }
  })
})
