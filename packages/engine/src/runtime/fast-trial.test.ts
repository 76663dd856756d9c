import { expect, test } from 'vitest'
import { type FastForm, OPENVINO_ARITHMETIC } from './fast-form.ts'
import { type FormTrial, fastestForm, tryFastForms } from './fast-trial.ts'

const folders = { libraries: '/nowhere', work: '/nowhere' }
const bfloat16: FastForm = { kind: 'openvino', precision: 'bf16', convolutions: 'direct', linears: 'plain', folders }
const int8: FastForm = { kind: 'int8' }
const exact: FormTrial = { form: undefined, seconds: 1, error: 0 }

test('the fastest form that computes rightly and gains enough is taken', () => {
  const trial = (form: FastForm, seconds: number, error = 0.01) => ({ form, seconds, error })
  expect(fastestForm([exact, trial(int8, 0.6), trial(bfloat16, 0.4)])).toBe(bfloat16)
  expect(fastestForm([exact, trial(int8, 0.6), trial(bfloat16, 0.59)])).toBe(int8)
  expect(fastestForm([exact, trial(int8, 0.6), trial(bfloat16, 0.1, 0.3)])).toBe(int8)
  expect(fastestForm([exact, trial(int8, 0.97), { form: bfloat16, problem: 'it failed' }])).toBeUndefined()
})

test('float16 is taken where it computes rightly, however long the trial took', () => {
  const float16: FastForm = { kind: 'float16' }
  expect(fastestForm([exact, { form: float16, seconds: 1.2, error: 0.001 }])).toBe(float16)
  expect(fastestForm([exact, { form: float16, seconds: 0.5, error: 0.1 }])).toBeUndefined()
  expect(fastestForm([exact, { form: float16, problem: 'the adapter has no shader-f16' }])).toBeUndefined()
})

test('every form is tried; one that fails is a line', async () => {
  const trials = await tryFastForms({ threads: 1, openVino: folders })
  expect(trials.map(({ form }) => form?.kind)).toEqual([
    undefined,
    'int8',
    ...OPENVINO_ARITHMETIC.map(() => 'openvino'),
  ])
  const [reference, quantized, library] = trials
  expect(reference).toMatchObject({ error: 0 })
  expect(quantized?.error).toBeGreaterThan(0)
  expect(quantized?.error).toBeLessThan(0.05)
  expect(library?.seconds).toBeUndefined()
  expect(library?.problem).toMatch(/^cannot load trial: .*(lacks lib|there is no OpenVINO)/)
})
