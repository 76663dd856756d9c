/**
 * Entry of the thread that checkpoints a database (`wal-checkpoints.ts`). Plain JavaScript: a worker thread has no loader for
 * TypeScript where its process has none in its arguments.
 */
import { parentPort, workerData } from 'node:worker_threads'
import Libsql from 'libsql'

const connection = new Libsql(workerData)
connection.pragma('synchronous = normal')
connection.pragma('fullfsync = on')

parentPort.on('message', (message) => {
  if (message === 'close') {
    connection.close()
    parentPort.close()
    return
  }
  try {
    // Passive: waits for nobody, and nobody for it.
    connection.pragma('wal_checkpoint(passive)')
  } catch {
    // A full or vanished disk: the next write says so, to somebody who can do something about it.
  }
})
