/**
 * Question: does the tokenizer agree with transformers on thousands of random texts (emoji, CJK, control characters,
 * combining marks, special tokens inside words), and how fast is it?
 * Command:  python scripts/golden/tokenizer.py 8000 corpus.json && npx tsx bench/engine/tokenizer-parity.ts corpus.json
 * Last:     2 cores of an AMD EPYC (Zen 4), Node 20.20, against transformers 5.23.0 and tokenizers 0.23.3:
 *           8029 of 8029 equal, 7800 texts/s
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { loadClipTokenizer } from '../../packages/engine/src/tokenizers/clip-tokenizer.ts'

interface Corpus {
  readonly texts: readonly string[]
  /** transformers' ids of each text, without start and end token. */
  readonly ids: readonly (readonly number[])[]
}

const [path] = process.argv.slice(2)
if (path === undefined) throw new Error('give the corpus file that scripts/golden/tokenizer.py wrote')
const { texts, ids } = JSON.parse(readFileSync(path, 'utf8')) as Corpus

loadClipTokenizer(join(import.meta.dirname, '../../models/pinhole-512/tokenizer')).then((tokenizer) => {
  const started = performance.now()
  const ours = texts.map((text) => tokenizer.tokenize(text))
  const seconds = (performance.now() - started) / 1000
  const different = texts.filter((_, index) => ours[index]?.join() !== ids[index]?.join())
  for (const text of different.slice(0, 5)) console.log(`different: ${JSON.stringify(text)}`)
  console.log(
    `${texts.length - different.length} of ${texts.length} equal, ${(texts.length / seconds).toFixed(0)} texts/s`,
  )
  if (different.length > 0) process.exitCode = 1
})
