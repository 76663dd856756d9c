/** Reads Windows icons: a directory of pictures, each a PNG file or a bitmap. */

/** One picture of an icon. */
export interface IconPicture {
  readonly kind: 'png' | 'bitmap'
  readonly data: Uint8Array
}

const ENTRY = 16
const PNG = [0x89, 0x50, 0x4e, 0x47]

/**
 * The largest picture of an icon, the one of more colours among equals, as Pillow chooses.
 * @throws RangeError or Error when the file is damaged
 */
export function largestIconPicture(file: Uint8Array): IconPicture {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength)
  const entries = Array.from({ length: view.getUint16(4, true) }, (_, i) => {
    const at = 6 + i * ENTRY
    // 0 stands for 256.
    const side = (offset: number) => view.getUint8(at + offset) || 256
    return {
      pixels: side(0) * side(1),
      bits: view.getUint16(at + 6, true),
      length: view.getUint32(at + 8, true),
      start: view.getUint32(at + 12, true),
    }
  })
  const [best] = entries.sort((a, b) => b.pixels - a.pixels || b.bits - a.bits)
  if (!best) throw new Error('it holds no picture')
  if (best.start + best.length > file.length) throw new RangeError('its end is missing')
  const data = file.subarray(best.start, best.start + best.length)
  return { kind: PNG.every((byte, i) => data[i] === byte) ? 'png' : 'bitmap', data }
}
