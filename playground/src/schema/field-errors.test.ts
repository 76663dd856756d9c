import { describe, expect, it } from 'vitest'
import { errorsAt, fieldErrorsOf } from './field-errors.ts'

const body = {
  detail: [
    { loc: ['body', 'loras', 0, 'path'], msg: 'field required', type: 'value_error.missing' },
    { loc: ['body', 'image_size', 'width'], msg: 'too small', type: 'value_error' },
    { loc: ['body', 'image_size'], msg: 'unexpected value', type: 'value_error.const' },
    { loc: ['body'], msg: 'not this way', type: 'value_error' },
  ],
}

describe('field errors of a 422', () => {
  const errors = fieldErrorsOf(body)

  it('stand at their fields', () => {
    expect(errorsAt(errors, 'loras.0.path', false)).toEqual(['field required'])
    expect(errorsAt(errors, 'loras', false)).toEqual([])
    expect(errorsAt(errors, '', false)).toEqual(['not this way'])
  })

  it('of a union’s branches stand at the union', () => {
    expect(errorsAt(errors, 'image_size', true)).toEqual(['unexpected value', 'too small'])
  })

  it('are none where the detail is a sentence', () => {
    expect(fieldErrorsOf({ detail: 'No such model' }).size).toBe(0)
  })
})
