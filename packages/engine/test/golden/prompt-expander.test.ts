import { cp, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { openWeightFile } from '../../src/checkpoint/component-weights.ts'
import { GPT2_RENAMES } from '../../src/models/gpt2.ts'
import { parseGpt2Config } from '../../src/models/gpt2-config.ts'
import { openEngine } from '../../src/pipelines/engine.ts'
import { drawToken, Gpt2, loadPromptExpander } from '../../src/pipelines/prompt-expander.ts'
import { TorchGenerator } from '../../src/random/torch-generator.ts'
import { loadGpt2Tokenizer } from '../../src/tokenizers/gpt2-tokenizer.ts'
import { DATA, readConfig } from './model-case.ts'

/** Written by scripts/golden/prompt_expansion.py. */
interface PromptCase {
  readonly prompt: string
  readonly ids: readonly number[]
  readonly decoded: string
  readonly logits: readonly number[]
}

const { cases }: { cases: readonly PromptCase[] } = JSON.parse(await readFile(join(DATA, 'gpt2.json'), 'utf8'))
const named = cases.map((one) => [one.prompt, one] as const)
const FOLDER = join(DATA, 'checkpoints', 'tiny-gpt2')
const WITH_WORDS = join(DATA, 'checkpoints', 'tiny-gpt2-old')
const engine = openEngine({ threads: 1 })
afterAll(() => engine.dispose())

describe('the tokenizer is GPT-2’s', async () => {
  const tokenizer = await loadGpt2Tokenizer(FOLDER)

  test.each(named)('%j', (_, { prompt, ids, decoded }) => {
    expect(tokenizer.encode(prompt)).toEqual(ids)
    expect(tokenizer.decode(ids)).toBe(decoded)
  })
})

describe.each([
  ['tiny-gpt2', 'model.safetensors'],
  ['tiny-gpt2-old', 'pytorch_model.bin'],
])('%s', async (name, file) => {
  const config = parseGpt2Config(await readConfig(`checkpoints/${name}`))
  const stored = await openWeightFile('gpt2', join(DATA, 'checkpoints', name, file), GPT2_RENAMES)
  const model = new Gpt2(config, await engine.weightCache.prepare(stored), engine.sessions)

  test.each(named)('scores what follows %j as transformers does', async (_, { ids, logits }) => {
    const sequence = await model.start(75)
    // In two parts, so that the second goes on from what the first left.
    if (ids.length > 1) await sequence.take(ids.slice(0, 1))
    const actual = await sequence.take(ids.length > 1 ? ids.slice(1) : ids)
    const errors = logits.map((value, i) => Math.abs(value - (actual[i] as number)))
    expect(actual).toHaveLength(logits.length)
    expect(Math.max(...errors)).toBeLessThan(1e-4)
  })
})

describe('expansion', async () => {
  const free = await loadPromptExpander(engine, FOLDER)
  const listed = await loadPromptExpander(engine, WITH_WORDS)
  const tokenizer = await loadGpt2Tokenizer(FOLDER)

  test('goes on from the prompt, by the seed', async () => {
    const first = await free.expand('a castle', 7)
    expect(first).toMatch(/^a castle,/)
    expect(first.length).toBeGreaterThan('a castle,'.length + 20)
    expect(await free.expand('a castle', 7)).toBe(first)
    expect(await free.expand('a castle', 8)).not.toBe(first)
  })

  test('adds only words of a word list, each once', async () => {
    const expanded = await listed.expand('a castle at night', 1)
    const added = expanded.slice('a castle at night,'.length).split(/[ ,]+/).filter(Boolean)
    const words = ['detailed', 'smooth', 'sharp', 'focus', 'neon', 'digital', 'painting', 'light']
    const known = words.filter((word) => `Ġ${word}` in tokenizer.vocab)
    expect(known.length).toBeGreaterThan(2)
    expect([...added].sort()).toEqual([...known].sort())
  })

  test.each([
    ['', ''],
    [' ,. ', ''],
    [`${'cat '.repeat(400)}`, 'cat '.repeat(400).trim()],
  ])('has nothing to add to %j', async (prompt, expected) => {
    expect(await free.expand(prompt, 0)).toBe(expected)
  })

  test('a folder of another model is refused by name', async () => {
    await expect(loadPromptExpander(engine, join(DATA, 'safety', 'clip-vision'))).rejects.toThrow(
      /GPT2LMHeadModel config: model_type: expected "gpt2"/,
    )
    const folder = await mkdtemp(join(tmpdir(), 'expander-'))
    try {
      await cp(FOLDER, folder, { recursive: true })
      await rm(join(folder, 'vocab.json'))
      await expect(loadPromptExpander(engine, folder)).rejects.toThrow(/expected vocab.json and merges.txt/)
    } finally {
      await rm(folder, { recursive: true })
    }
  })
})

test('tokens are drawn by their probabilities among the likeliest', () => {
  const generator = new TorchGenerator(3)
  const logits = Float32Array.from([0, Math.log(6), Math.log(3), -1, Math.log(1.5)])
  const drawn = Array.from({ length: 3000 }, () => drawToken(logits, 3, generator))
  const shares = [...logits.keys()].map((id) => drawn.filter((one) => one === id).length / drawn.length)
  for (const [id, weight] of [0, 6, 3, 0, 1.5].entries()) expect(shares[id]).toBeCloseTo(weight / 10.5, 1)
  expect([shares[0], shares[3]]).toEqual([0, 0])
})
