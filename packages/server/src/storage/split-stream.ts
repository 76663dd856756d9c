/** Cuts a stream into pieces of exactly `size` bytes and a last one that may be shorter, one in memory at a time. */
export async function* splitStream(stream: ReadableStream<Uint8Array>, size: number): AsyncGenerator<Uint8Array> {
  let chunks: Uint8Array[] = []
  let length = 0
  for await (let chunk of stream) {
    while (length + chunk.byteLength >= size) {
      const taken = size - length
      yield Buffer.concat([...chunks, chunk.subarray(0, taken)])
      chunks = []
      length = 0
      chunk = chunk.subarray(taken)
    }
    if (chunk.byteLength === 0) continue
    chunks.push(chunk)
    length += chunk.byteLength
  }
  if (length > 0) yield Buffer.concat(chunks)
}

export async function readWhole(stream: ReadableStream<Uint8Array>): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  for await (const chunk of stream) chunks.push(chunk)
  return Buffer.concat(chunks)
}
