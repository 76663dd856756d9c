/**
 * Whether a native library's message says that memory ran out: the machine's (an allocator, C++'s bad_alloc), or a device's in the words of CUDA,
 * cuBLAS, cuDNN and DirectML.
 */
export function saysOutOfMemory(message: string): boolean {
  return /failed to allocate|bad_alloc|cannot allocate memory|out of ?memory|_ALLOC_FAILED|8007000E|not enough memory/i.test(
    message,
  )
}
