/** The formats that pictures are read from. */
export type InputFormat = 'jpeg' | 'png' | 'webp' | 'gif' | 'tiff' | 'avif' | 'bmp' | 'ico' | 'pnm'

/** Bytes at the start of a file, one character per byte; `?` is any byte. */
const SIGNATURES: readonly (readonly [InputFormat, string])[] = [
  ['jpeg', '\xff\xd8\xff'],
  ['png', '\x89PNG\r\n\x1a\n'],
  ['webp', 'RIFF????WEBP'],
  ['gif', 'GIF87a'],
  ['gif', 'GIF89a'],
  ['tiff', 'II*\0'],
  ['tiff', 'MM\0*'],
  ['avif', '????ftypavif'],
  ['avif', '????ftypavis'],
  ['avif', '????ftypmif1'],
  ['bmp', 'BM????\0\0\0\0'],
  ['ico', '\0\0\x01\0'],
]

/**
 * The format that a file's first bytes announce. SVG, PDF and the like, which could fetch or run things when rendered,
 * are not among them, whatever the codec library could do.
 */
export function imageFormat(file: Uint8Array): InputFormat | undefined {
  if (isPnm(file)) return 'pnm'
  return SIGNATURES.find(([, signature]) => startsWith(file, signature))?.[0]
}

/** Whether a file announces the pictures of phones, which are not among the formats. */
export function isHeic(file: Uint8Array): boolean {
  return ['heic', 'heix', 'heim', 'heis', 'hevc', 'hevx'].some((brand) => startsWith(file, `????ftyp${brand}`))
}

/** P1 to P6 and a blank. */
function isPnm([letter, kind = 0, blank = 0]: Uint8Array): boolean {
  return letter === 0x50 && kind >= 0x31 && kind <= 0x36 && (blank === 0x20 || (blank >= 9 && blank <= 13))
}

function startsWith(file: Uint8Array, signature: string): boolean {
  return [...signature].every((character, i) => character === '?' || file[i] === character.charCodeAt(0))
}
