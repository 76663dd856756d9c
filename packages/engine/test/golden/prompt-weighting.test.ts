import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { readSafetensors, readTensor } from '../../src/formats/safetensors.ts'
import { openEngine } from '../../src/pipelines/engine.ts'
import { loadStableDiffusion } from '../../src/pipelines/load-stable-diffusion.ts'
import { encodePlainPrompts } from '../../src/pipelines/prompt-embeddings.ts'
import { encodeWeightedPrompts } from '../../src/pipelines/prompt-weighting.ts'
import { relativeError } from '../../src/tensor/relative-error.ts'
import golden from './data/prompt-weighting.json' with { type: 'json' }
import { DATA } from './model-case.ts'

// float32 sums in another order: up to 3e-6 measured.
const TOLERANCE = 2e-5
const LONG = 'red house and sea '.repeat(100).trim()

describe.each(['sd15', 'sdxl'])('prompt weighting of %s', async (family) => {
  const engine = openEngine({ threads: 1 })
  afterAll(() => engine.dispose())
  const { textEncoders } = await loadStableDiffusion(engine, join(DATA, `checkpoints/tiny-${family}`))
  const file = await readSafetensors(join(DATA, 'prompt-weighting.safetensors'))

  test.each(golden.cases)('$name', async ({ name, prompt, negative_prompt, clip_skip }) => {
    const prompts = { prompt, ...(negative_prompt !== null && { negativePrompt: negative_prompt }) }
    const actual = await encodeWeightedPrompts(textEncoders, prompts, { clipSkip: clip_skip })
    expect(actual.negative === undefined).toBe(negative_prompt === null)
    for (const [half, conditioning] of Object.entries(actual)) {
      const key = `${family}.${name}.${half}`
      expect(relativeError(conditioning.embeds, await readTensor(file, key)), half).toBeLessThan(TOLERANCE)
      if (family === 'sd15') continue
      expect(relativeError(conditioning.pooledEmbeds, await readTensor(file, `${key}.pooled`))).toBeLessThan(TOLERANCE)
    }
  })

  test('brackets without end and weights beyond numbers are refused, and many BREAKs end', async () => {
    const encode = (prompt: string) => encodeWeightedPrompts(textEncoders, { prompt }, { clipSkip: 0 })
    await expect(encode(`${'('.repeat(5001)}a`)).rejects.toThrow('prompt: has 5001 brackets')
    await expect(encode(`${'('.repeat(2000)}a`)).rejects.toThrow(
      'prompt: brackets multiply to a weight beyond all numbers',
    )
    const { positive } = await encode('BREAK '.repeat(50_000))
    expect(positive.embeds.shape[1]).toBe((family === 'sd15' ? 3 : 10) * 77)
  })

  test('a prompt that is too long is cut, and the end that is left out is said once', async () => {
    const plain: string[] = []
    const { positive } = await encodePlainPrompts(
      textEncoders,
      { prompt: LONG },
      { clipSkip: 0, onWarning: (m) => plain.push(m) },
    )
    expect(positive.embeds.shape[1]).toBe(77)
    expect(plain).toEqual([
      expect.stringMatching(/^prompt was cut after 75 tokens; this part is not drawn: ".*red house and sea"$/),
    ])
    const kept = LONG.slice(0, LONG.length - JSON.parse(plain[0]?.split(': ')[1] as string).length).trim()
    expect(textEncoders.first.tokenizer.tokenize(kept).length).toBe(75)
    const weighted: string[] = []
    const options = { clipSkip: 0, onWarning: (message: string) => weighted.push(message) }
    const { negative } = await encodeWeightedPrompts(
      textEncoders,
      { prompt: '', negativePrompt: `${LONG} `.repeat(3) },
      options,
    )
    const chunks = family === 'sd15' ? 3 : 10
    expect(negative?.embeds.shape[1]).toBe(chunks * 77)
    expect(weighted).toEqual([expect.stringContaining(`negative_prompt was cut after ${chunks * 75} tokens`)])
  })
})
