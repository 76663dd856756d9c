import {
  CheckpointError,
  ImageDecodeError,
  OutOfMemoryError,
  ParameterError,
  SchedulerError,
  SessionLostError,
} from '@darkroom/engine'
import { expect, test } from 'vitest'
import { toWireError } from './engine-errors.ts'

test.each([
  [new ParameterError('width', 'no'), { loc: ['body', 'image_size'], msg: 'no', type: 'value_error' }],
  [new SchedulerError('LCM', 'strength', 'no'), { loc: ['body', 'strength'], msg: 'LCM: no', type: 'value_error' }],
  [new ImageDecodeError('unreadable', 'no'), { loc: ['body', 'image_url'], msg: 'no', type: 'image_load_error' }],
])('$name is the 422 of a field', (error, detail) => {
  expect(toWireError(error, { width: 'image_size' })).toMatchObject({ status: 422, detail: [detail] })
})

test('parameters have the names of their fields', () => {
  const error = new ParameterError('tileStrideWidth', 'must be at most tileWidth 128, and the image as large')
  expect(toWireError(error, { image: 'image_url', tileWidth: 'tile_size' })).toMatchObject({
    detail: [{ loc: ['body', 'tile_stride_width'], msg: 'must be at most tile_size 128, and the image as large' }],
  })
})

test.each([new CheckpointError('no unet'), new OutOfMemoryError('needs 9 GB')])(
  '$name is a 422 with a sentence',
  (error) => {
    expect(toWireError(error)).toMatchObject({ status: 422, message: error.message })
  },
)

test.each([new SessionLostError('gone'), new Error('defect'), 'text'])('%s stays what it is', (error) => {
  expect(toWireError(error)).toBe(error)
})
