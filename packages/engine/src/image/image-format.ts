/** The formats that pictures are read from. */
export type InputFormat = 'jpeg' | 'png' | 'webp' | 'gif' | 'tiff' | 'avif'

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
]

/**
 * The format that a file's first bytes announce. SVG, PDF and the like, which could fetch or run things when rendered,
 * are not among them, whatever the codec library could do.
 */
export function imageFormat(file: Uint8Array): InputFormat | undefined {
  return SIGNATURES.find(([, signature]) => startsWith(file, signature))?.[0]
}

function startsWith(file: Uint8Array, signature: string): boolean {
  return [...signature].every((character, i) => character === '?' || file[i] === character.charCodeAt(0))
}
