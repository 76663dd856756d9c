import { expect, test } from 'vitest'
import { saysOutOfMemory } from './out-of-memory.ts'

test.each([
  'std::bad_alloc',
  'bfc_arena.cc:376 AllocateRawInternal Failed to allocate memory for requested buffer of size 3435973836',
  'CUDA failure 2: out of memory ; GPU=0 ; hostname=host',
  'CUBLAS failure 3: CUBLAS_STATUS_ALLOC_FAILED ; GPU=0',
  'CUDNN failure 4: CUDNN_STATUS_ALLOC_FAILED',
  'Exception(3) tid(1) 8007000E Not enough memory resources are available to complete this operation.',
])('%s', (message) => {
  expect(saysOutOfMemory(message)).toBe(true)
})

test('other failures are none of memory', () => {
  expect(saysOutOfMemory('CUDA failure 100: no CUDA-capable device is detected')).toBe(false)
})
