/**
 * The directory of a zip archive whose members are stored uncompressed, as torch.save writes them (PKWARE APPNOTE 4.3). Nothing is inflated, and
 * nothing that the directory says is believed before it is held against the file.
 */
import type { FileHandle } from 'node:fs/promises'
import { readBytes } from './stored-tensor.ts'

/** A member's bytes in the archive. */
export interface ZipMember {
  readonly name: string
  readonly offset: number
  readonly length: number
}

const END_BYTES = 22
const MAX_COMMENT_BYTES = 0xffff
const LOCATOR_BYTES = 20
const END64_BYTES = 56
const CENTRAL_BYTES = 46
const LOCAL_BYTES = 30
/** 200,000 tensors and their names; a checkpoint has some thousands. */
const MAX_DIRECTORY_BYTES = 32 * 2 ** 20
const MAX_MEMBERS = 200_000

/** What a zip archive says of itself does not hold; the message is half a sentence. */
export class ZipError extends Error {
  override readonly name = 'ZipError'
}

/**
 * Reads an archive's directory: every member is stored, lies inside the file, and overlaps no other.
 * @param size bytes of the file
 * @throws ZipError
 */
export async function readZipDirectory(handle: FileHandle, size: number): Promise<ReadonlyMap<string, ZipMember>> {
  const { offset, length, count } = await findDirectory(handle, size)
  if (count > MAX_MEMBERS || length > MAX_DIRECTORY_BYTES) throw new ZipError(`its directory lists ${count} members`)
  if (offset + length > size) throw truncated()
  const directory = Buffer.from((await readBytes(handle, offset, length)).buffer)
  const members = new Map<string, ZipMember>()
  let position = 0
  for (let i = 0; i < count; i++) {
    const header = centralHeader(directory, position)
    position = header.end
    if (members.has(header.name)) throw new ZipError(`it has two members named ${shortName(header.name)}`)
    members.set(header.name, await locate(handle, header, offset))
  }
  checkOverlaps([...members.values()])
  return members
}

interface DirectoryPlace {
  readonly offset: number
  readonly length: number
  readonly count: number
}

async function findDirectory(handle: FileHandle, size: number): Promise<DirectoryPlace> {
  if (size < END_BYTES) throw truncated()
  const tailBytes = Math.min(size, END_BYTES + MAX_COMMENT_BYTES)
  const tail = Buffer.from((await readBytes(handle, size - tailBytes, tailBytes)).buffer)
  const at = tail.lastIndexOf('PK\x05\x06', tail.length - END_BYTES, 'latin1')
  if (at < 0 || at + END_BYTES > tail.length) throw truncated()
  const place = {
    offset: tail.readUInt32LE(at + 16),
    length: tail.readUInt32LE(at + 12),
    count: tail.readUInt16LE(at + 10),
  }
  const locator = at - LOCATOR_BYTES
  if (locator < 0 || tail.toString('latin1', locator, locator + 4) !== 'PK\x06\x07') return place
  const end64 = Number(tail.readBigUInt64LE(locator + 8))
  if (end64 + END64_BYTES > size) throw truncated()
  const record = Buffer.from((await readBytes(handle, end64, END64_BYTES)).buffer)
  if (record.toString('latin1', 0, 4) !== 'PK\x06\x06') throw new ZipError('its 64-bit directory is damaged')
  return {
    offset: Number(record.readBigUInt64LE(48)),
    length: Number(record.readBigUInt64LE(40)),
    count: Number(record.readBigUInt64LE(32)),
  }
}

interface CentralHeader {
  readonly name: string
  readonly length: number
  readonly localOffset: number
  /** Of this entry in the directory. */
  readonly end: number
}

function centralHeader(directory: Buffer, start: number): CentralHeader {
  if (start + CENTRAL_BYTES > directory.length || directory.toString('latin1', start, start + 4) !== 'PK\x01\x02') {
    throw new ZipError('its directory is damaged')
  }
  const [nameBytes, extraBytes, commentBytes] = [28, 30, 32].map((at) => directory.readUInt16LE(start + at)) as [
    number,
    number,
    number,
  ]
  const extraStart = start + CENTRAL_BYTES + nameBytes
  const end = extraStart + extraBytes + commentBytes
  if (end > directory.length) throw new ZipError('its directory is damaged')
  const name = directory.toString('utf8', start + CENTRAL_BYTES, extraStart)
  const sizes = [
    directory.readUInt32LE(start + 24),
    directory.readUInt32LE(start + 20),
    directory.readUInt32LE(start + 42),
  ]
  const [length, stored, localOffset] = wideSizes(directory.subarray(extraStart, extraStart + extraBytes), sizes)
  const [flags, method] = [directory.readUInt16LE(start + 8), directory.readUInt16LE(start + 10)]
  if ((flags & 1) !== 0) throw new ZipError(`its member ${shortName(name)} is encrypted`)
  if (method !== 0 || length !== stored)
    throw new ZipError(`its member ${shortName(name)} is compressed, which torch.save never does`)
  return { name, length: length as number, localOffset: localOffset as number, end }
}

/** Sizes of 0xffffffff stand, in order, in the zip64 extra field. */
function wideSizes(extra: Buffer, sizes: readonly number[]): number[] {
  if (!sizes.includes(0xffffffff)) return [...sizes]
  for (let at = 0; at + 4 <= extra.length; ) {
    const bytes = extra.readUInt16LE(at + 2)
    if (extra.readUInt16LE(at) === 1 && at + 4 + bytes <= extra.length) {
      let next = at + 4
      return sizes.map((size) => {
        if (size !== 0xffffffff || next + 8 > at + 4 + bytes) return size
        next += 8
        return Number(extra.readBigUInt64LE(next - 8))
      })
    }
    at += 4 + bytes
  }
  return [...sizes]
}

async function locate(handle: FileHandle, header: CentralHeader, directoryStart: number): Promise<ZipMember> {
  const { name, length, localOffset } = header
  if (localOffset + LOCAL_BYTES > directoryStart) throw new ZipError(`its member ${shortName(name)} lies outside`)
  const local = Buffer.from((await readBytes(handle, localOffset, LOCAL_BYTES)).buffer)
  if (local.toString('latin1', 0, 4) !== 'PK\x03\x04')
    throw new ZipError(`its member ${shortName(name)} is not where the directory says`)
  const offset = localOffset + LOCAL_BYTES + local.readUInt16LE(26) + local.readUInt16LE(28)
  if (offset + length > directoryStart) throw new ZipError(`its member ${shortName(name)} lies outside`)
  return { name, offset, length }
}

function checkOverlaps(members: readonly ZipMember[]): void {
  const sorted = members.toSorted((a, b) => a.offset - b.offset || a.length - b.length)
  sorted.forEach(({ name, offset }, i) => {
    const previous = sorted[i - 1]
    if (previous && previous.offset + previous.length > offset) {
      throw new ZipError(`its members ${shortName(previous.name)} and ${shortName(name)} overlap`)
    }
  })
}

function truncated(): ZipError {
  return new ZipError('it ends before its directory: a truncated download')
}

/** Quoted, on one line. */
function shortName(name: string): string {
  return JSON.stringify(name).slice(0, 80)
}
