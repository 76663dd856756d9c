import { describe, expect, it } from 'vitest'
import { ClipTokenizer } from './clip-tokenizer.ts'

const START = '<|startoftext|>'
const END = '<|endoftext|>'
const FILES = {
  vocab: { '!': 0, a: 1, b: 2, c: 3, 'a</w>': 4, 'b</w>': 5, 'c</w>': 6, ab: 7, 'abc</w>': 8, [START]: 9, [END]: 10 },
  merges: [
    ['a', 'b'],
    ['ab', 'c</w>'],
  ],
  roles: { bos_token: START, eos_token: END, unk_token: END, pad_token: '!' },
  addedTokens: [
    { content: START, normalized: true },
    { content: END, normalized: true },
    { content: '!', normalized: false },
  ],
} as const

const tokenizer = new ClipTokenizer(FILES)

describe('ClipTokenizer', () => {
  it('merges by rank', () => {
    expect(tokenizer.tokenize('ABC ab  cab')).toEqual([8, 1, 5, 3, 1, 5])
  })

  it('puts start and end around the text and pads with the pad token', () => {
    expect(tokenizer.encode('abc', { maxLength: 5 })).toEqual([9, 8, 10, 0, 0])
  })

  it('cuts a long text before the end token', () => {
    expect(tokenizer.encode('a b c a b c', { maxLength: 4 })).toEqual([9, 4, 5, 10])
  })

  it('reads a long text no further than it is asked to, and its pieces as the whole', () => {
    const text = 'abc ab  cab '.repeat(2_000)
    const whole = [8, 1, 5, 3, 1, 5]
    expect(tokenizer.tokenize(text)).toEqual(Array.from({ length: 2_000 }, () => whole).flat())
    expect(tokenizer.tokenize(text, 8)).toEqual([...whole, 8, 1])
  })

  it('does not cut inside of a learned word that has a blank', () => {
    const word = `${'c'.repeat(1020)} ab`
    const learned = tokenizer.withPlaceholders([{ token: word, vectors: 1 }])
    expect(learned.tokenize(`a ${word} b`)).toEqual([4, 11, 5])
  })

  it('decodes words with blanks between them, whatever bytes they are of', () => {
    expect(tokenizer.decode([8, 1, 5, 99])).toBe('abc ab')
    const bytes = new ClipTokenizer({ ...FILES, vocab: { ...FILES.vocab, Ã: 11, '©</w>': 12, 'Ġ!</w>': 13 } })
    expect(bytes.decode([11, 12, 13, 10])).toBe('é  ! <|endoftext|>')
  })

  it('uses the unknown token for what the vocabulary lacks', () => {
    expect(tokenizer.tokenize('x')).toEqual([10])
  })

  it('takes a lone surrogate for the replacement character', () => {
    expect(tokenizer.tokenize('\ud800')).toEqual(tokenizer.tokenize('\ufffd'))
  })

  it('numbers learned words after all others and stays as it is', () => {
    const more = tokenizer.withPlaceholders([
      { token: '<one>', vectors: 1 },
      { token: '<Two>', vectors: 2 },
    ])
    expect(more.tokenize('a<two>b <ONE>')).toEqual([4, 12, 13, 5, 11])
    expect(more.tokenize('<TWO>_1<two>_2')).toEqual([13, 12, 13, ...tokenizer.tokenize('_2')])
    expect(more.decode([11, 12, 13])).toBe('<one> <two> <two>_1')
    expect(more.vocabSize).toBe(14)
    expect(more.withPlaceholders([{ token: '<three>', vectors: 1 }]).tokenId('<three>')).toBe(14)
    expect(tokenizer.tokenId('<one>')).toBeUndefined()
    expect(tokenizer.vocabSize).toBe(11)
  })

  it.each([
    ['abc</w>', '"abc</w>" is already in the vocabulary'],
    ['!', '"!" is already in the vocabulary'],
    ['<ONE>', '"<ONE>" is already in the vocabulary'],
    [' ', 'an embedding needs a token that is not empty'],
  ])('refuses the learned word %j', (token, message) => {
    const more = tokenizer.withPlaceholders([{ token: '<one>', vectors: 1 }])
    expect(() => more.withPlaceholders([{ token, vectors: 1 }])).toThrow(message)
  })

  it('refuses special tokens without an id', () => {
    expect(() => new ClipTokenizer({ ...FILES, addedTokens: [], vocab: { a: 0 } })).toThrow('bos_token')
  })
})
