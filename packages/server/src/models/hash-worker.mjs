/**
 * Entry of the thread that hashes a file while it is being written (`growing-file-hash.ts`). Plain JavaScript: a worker thread has
 * no loader for TypeScript where its process has none in its arguments.
 */
import { createHash } from 'node:crypto'
import { readSync } from 'node:fs'
import { parentPort, workerData } from 'node:worker_threads'

const hash = createHash(workerData.algorithm)
if (workerData.prefix !== '') hash.update(workerData.prefix)
const buffer = Buffer.allocUnsafe(1024 * 1024)
let hashed = 0

parentPort.on('message', ({ upTo, end }) => {
  while (hashed < upTo) {
    const read = readSync(workerData.descriptor, buffer, 0, Math.min(buffer.length, upTo - hashed), hashed)
    if (read === 0) throw new Error('the file is shorter than what was written to it')
    hash.update(buffer.subarray(0, read))
    hashed += read
  }
  if (end) {
    parentPort.postMessage(hash.digest('hex'))
    parentPort.close()
  }
})
