/** A part of a prompt and how much it counts. */
export interface PromptFragment {
  readonly text: string
  /** 1 is as written. */
  readonly weight: number
}

const ROUND = 1.1
const SQUARE = 1 / 1.1

/** An escaped character, a bracket, a weight with its closing bracket, text, or a lone colon. */
const PIECES = /\\\(|\\\)|\\\[|\\\]|\\\\|\\|\(|\[|:([+-]?[.\d]+)\)|\)|\]|[^\\()[\]:]+|:/g

/**
 * Reads the attention grammar of AUTOMATIC1111's web UI: `(a)` counts 1.1 times as much, `[a]` as much less, `(a:1.3)` 1.3 times; brackets
 * nest and multiply, those that never close go to the end, and `\(` `\)` `\[` `\]` `\\` are the characters themselves. `BREAK` begins
 * a new chunk of the encoder's length. Neighbours of the same weight are one fragment.
 * @returns for each part between two `BREAK`s its fragments
 */
export function parsePromptAttention(prompt: string): PromptFragment[][] {
  const pieces: Piece[] = []
  const open: Record<'round' | 'square', number[]> = { round: [], square: [] }
  const multiply = (start: number | undefined, factor: number) => {
    for (const piece of pieces.slice(start)) piece.weight *= factor
  }
  for (const [piece, number] of prompt.matchAll(PIECES)) {
    const weight = number === undefined ? Number.NaN : Number(number)
    if (piece.startsWith('\\')) pieces.push({ text: piece.slice(1), weight: 1 })
    else if (piece === '(') open.round.push(pieces.length)
    else if (piece === '[') open.square.push(pieces.length)
    else if (Number.isFinite(weight) && open.round.length > 0) multiply(open.round.pop(), weight)
    else if (piece === ')' && open.round.length > 0) multiply(open.round.pop(), ROUND)
    else if (piece === ']' && open.square.length > 0) multiply(open.square.pop(), SQUARE)
    else pieces.push(...textPieces(piece))
  }
  for (const start of open.round) multiply(start, ROUND)
  for (const start of open.square) multiply(start, SQUARE)
  return mergeParts(pieces)
}

interface Piece {
  /** undefined stands for BREAK. */
  readonly text: string | undefined
  weight: number
}

function textPieces(text: string): Piece[] {
  return partsBetweenBreaks(text).flatMap((part, i) => [
    ...(i > 0 ? [{ text: undefined, weight: 1 }] : []),
    { text: part, weight: 1 },
  ])
}

/** The blanks around a `BREAK` belong to it. */
function partsBetweenBreaks(text: string): string[] {
  const parts = text.split(/\bBREAK\b/)
  return parts.map((part, i) => {
    const begun = i > 0 ? part.trimStart() : part
    return i < parts.length - 1 ? begun.trimEnd() : begun
  })
}

function mergeParts(pieces: readonly Piece[]): PromptFragment[][] {
  let part: PromptFragment[] = []
  const parts = [part]
  for (const { text, weight } of pieces) {
    const last = part.at(-1)
    if (text === undefined) {
      part = []
      parts.push(part)
    } else if (last?.weight === weight) part[part.length - 1] = { text: last.text + text, weight }
    else part.push({ text, weight })
  }
  return parts
}
