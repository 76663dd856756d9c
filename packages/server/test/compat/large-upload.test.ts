import { createHash } from 'node:crypto'
import { openAsBlob } from 'node:fs'
import { mkdtemp, open, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createFalClient } from '@fal-ai/client'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { answerForFal } from '../fakes/fal-hosts.ts'
import { startWholeServer, type WholeServer } from '../fakes/whole-server.ts'

// Above 90 MiB the client uploads in parts of 10 MiB.

const MEBIBYTE = 1024 * 1024
const FILE_BYTES = 120 * MEBIBYTE + 3

let folder: string
let server: WholeServer
let restore: () => Promise<void>

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'darkroom-upload-'))
  server = await startWholeServer({ tls: true })
  restore = answerForFal(server)
})

afterAll(async () => {
  await restore()
  await server.close()
  await rm(folder, { recursive: true, force: true })
})

/** A file of holes, with a mark in every mebibyte that says which one it is. */
async function writeSparseFile(path: string): Promise<void> {
  const file = await open(path, 'w')
  await file.truncate(FILE_BYTES)
  for (let at = 0; at < FILE_BYTES; at += MEBIBYTE) {
    const mark = Buffer.from(`${at};`)
    await file.write(mark, 0, Math.min(mark.length, FILE_BYTES - at), at)
  }
  await file.close()
}

async function sha256(stream: ReadableStream<Uint8Array> | null): Promise<string> {
  const hash = createHash('sha256')
  for await (const chunk of stream ?? []) hash.update(chunk)
  return hash.digest('hex')
}

test('storage.upload of 120 MB arrives whole, part by part', async () => {
  const path = join(folder, 'video.mp4')
  await writeSparseFile(path)
  const blob = await openAsBlob(path, { type: 'video/mp4' })
  const fal = createFalClient({ credentials: server.key })
  const url = await fal.storage.upload(blob, { lifecycle: { expiresIn: '1h' } })
  const response = await fetch(url)
  expect(response.headers.get('content-type')).toBe('video/mp4')
  expect(response.headers.get('content-length')).toBe(String(FILE_BYTES))
  expect(await sha256(response.body)).toBe(await sha256(blob.stream()))
  const last = await fetch(url, { headers: { range: `bytes=${120 * MEBIBYTE}-` } })
  expect([last.status, await last.text()]).toEqual([206, '125'])
})
