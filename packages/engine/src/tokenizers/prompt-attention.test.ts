import { describe, expect, test } from 'vitest'
import { parsePromptAttention } from './prompt-attention.ts'

/** One part's fragments as pairs. */
const read = (prompt: string) =>
  parsePromptAttention(prompt).map((part) => part.map(({ text, weight }) => [text, weight]))

describe('attention grammar', () => {
  // The examples in the docstring of AUTOMATIC1111's parse_prompt_attention.
  test.each([
    ['normal text', [['normal text', 1]]],
    [
      'an (important) word',
      [
        ['an ', 1],
        ['important', 1.1],
        [' word', 1],
      ],
    ],
    ['(unbalanced', [['unbalanced', 1.1]]],
    ['\\(literal\\]', [['(literal]', 1]]],
    ['(unnecessary)(parens)', [['unnecessaryparens', 1.1]]],
    [
      'a (((house:1.3)) [on] a (hill:0.5), sun, (((sky))).',
      [
        ['a ', 1],
        ['house', 1.5730000000000004],
        [' ', 1.1],
        ['on', 1],
        [' a ', 1.1],
        ['hill', 0.55],
        [', sun, ', 1.1],
        ['sky', 1.4641000000000006],
        ['.', 1.1],
      ],
    ],
  ])('%s', (prompt, expected) => {
    expect(read(prompt)).toEqual([expected])
  })

  test.each([
    ['[less]', [['less', 1 / 1.1]]],
    ['[[less', [['less', (1 / 1.1) * (1 / 1.1)]]],
    ['a ) b ] c', [['a ) b ] c', 1]]],
    ['ratio 3:4 :2)', [['ratio 3:4 :2)', 1]]],
    ['(away:-0.5)', [['away', -0.5]]],
    ['(dotted:1.2.3)', [['dotted:1.2.3)', 1.1]]],
    ['back\\\\slash \\x', [['back\\slash x', 1]]],
    ['', []],
  ])('%s', (prompt, expected) => {
    expect(read(prompt)).toEqual([expected])
  })

  test('BREAK parts a prompt, with its blanks, also inside brackets, and only as a word of its own', () => {
    expect(read('a\n BREAK  b')).toEqual([[['a', 1]], [['b', 1]]])
    expect(read('(a BREAK b:1.5) c')).toEqual([
      [['a', 1.5]],
      [
        ['b', 1.5],
        [' c', 1],
      ],
    ])
    expect(read('BREAKFAST break')).toEqual([[['BREAKFAST break', 1]]])
    expect(read('a BREAK BREAK b').length).toBe(3)
  })
})
