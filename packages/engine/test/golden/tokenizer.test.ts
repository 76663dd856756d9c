import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type ClipTokenizer, loadClipTokenizer } from '../../src/tokenizers/clip-tokenizer.ts'
import golden from './data/tokenizer.json' with { type: 'json' }

const FOLDER = join(import.meta.dirname, '../../../../models/pinhole-512/tokenizer')

let tokenizer: ClipTokenizer
const temporaryFolders: string[] = []

beforeAll(async () => {
  tokenizer = await loadClipTokenizer(FOLDER)
})

afterAll(async () => {
  for (const folder of temporaryFolders) await rm(folder, { recursive: true })
})

/** A copy of the demo checkpoint's tokenizer folder with other files; null leaves a file out. */
async function folderWith(files: Readonly<Record<string, unknown>>): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'tokenizer-'))
  temporaryFolders.push(folder)
  await cp(FOLDER, folder, { recursive: true })
  for (const [name, content] of Object.entries(files)) {
    if (content === null) await rm(join(folder, name))
    else await writeFile(join(folder, name), JSON.stringify(content))
  }
  return folder
}

/** vocab.json and merges.txt as one tokenizer.json. */
async function asTokenizerJson() {
  const vocab = JSON.parse(await readFile(join(FOLDER, 'vocab.json'), 'utf8'))
  const lines = (await readFile(join(FOLDER, 'merges.txt'), 'utf8')).split('\n').filter((line) => line !== '')
  const merges = lines.slice(1).map((line) => line.split(' '))
  return { added_tokens: [], model: { type: 'BPE', vocab, merges } }
}

describe('CLIPTokenizer', () => {
  it.each(golden.texts.map((text, index) => ({ text, index })))(
    'encodes $text like transformers',
    ({ text, index }) => {
      expect(tokenizer.tokenize(text).join(' ')).toBe(golden.ids[index])
      const padded = tokenizer.encode(text)
      expect(padded).toHaveLength(77)
      expect(padded.reduce((sum, id, place) => sum + id * (place + 1), 0)).toBe(golden.padded_sums[index])
    },
  )

  it.each(golden.folders)('reads the special tokens of a folder with $name', async ({ files, ids }) => {
    const other = await loadClipTokenizer(await folderWith(files))
    ids.forEach((expected, index) => {
      expect(other.encode(golden.texts[index] as string, { maxLength: 20 }).join(' ')).toBe(expected)
    })
  })

  it('reads tokenizer.json where it is the only vocabulary', async () => {
    const files = { 'vocab.json': null, 'merges.txt': null, 'tokenizer.json': await asTokenizerJson() }
    const other = await loadClipTokenizer(await folderWith(files))
    for (const [index, text] of golden.texts.entries()) {
      expect(other.tokenize(text).join(' ')).toBe(golden.ids[index])
    }
  })

  it('adds tokens like transformers', () => {
    const { tokens, texts, ids } = golden.added_tokens
    const more = tokenizer.withPlaceholders(tokens.map((token) => ({ token, vectors: 1 })))
    expect(texts.map((text) => more.tokenize(text).join(' '))).toEqual(ids)
  })
})
