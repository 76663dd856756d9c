import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { readTokenizerFiles } from './tokenizer-files.ts'

let folder: string

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tokenizer-'))
})

afterEach(() => rm(folder, { recursive: true }))

async function write(files: Readonly<Record<string, string>>): Promise<void> {
  for (const [name, content] of Object.entries(files)) await writeFile(join(folder, name), content)
}

describe('readTokenizerFiles', () => {
  it('reads merges with either line ending and skips the header', async () => {
    await write({ 'vocab.json': '{"a": 0}', 'merges.txt': '#version: 0.2\r\na b\r\nab c</w>\n' })
    expect(await readTokenizerFiles(folder)).toMatchObject({
      vocab: { a: 0 },
      merges: [
        ['a', 'b'],
        ['ab', 'c</w>'],
      ],
    })
  })

  it('names the folder that holds no vocabulary', async () => {
    await write({ 'vocab.json': '{}' })
    await expect(readTokenizerFiles(folder)).rejects.toThrow(`${basename(folder)}: expected vocab.json and merges.txt`)
  })

  it.each([
    ['merges.txt', { 'vocab.json': '{}', 'merges.txt': 'a b c' }, 'expected merges of two tokens, found "a b c"'],
    ['vocab.json', { 'vocab.json': '{', 'merges.txt': '' }, 'not valid JSON'],
    ['tokenizer.json', { 'tokenizer.json': '{"model": {"type": "WordPiece", "vocab": {}}}' }, 'expected a BPE model'],
  ])('names %s where it is damaged', async (name, files, message) => {
    await write(files)
    await expect(readTokenizerFiles(folder)).rejects.toThrow(`${join(basename(folder), name)}: ${message}`)
  })
})
