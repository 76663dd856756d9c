import { crc32, deflateRawSync, gzipSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { ArchiveError, readPictureArchive } from './archive.ts'

interface Member {
  readonly name: string
  readonly data?: Uint8Array
  /** Type flag of tar; Unix mode of zip. */
  readonly flag?: string
  readonly mode?: number
  readonly isEncrypted?: boolean
  /** Size that the header announces, where it lies. */
  readonly size?: number
}

const bytes = (text: string) => new Uint8Array(Buffer.from(text, 'utf8'))

function zip(members: readonly Member[]): Uint8Array {
  const parts: Buffer[] = []
  const directory: Buffer[] = []
  let offset = 0
  for (const { name, data = bytes('x'), mode = 0o100644, isEncrypted = false, size = data.length } of members) {
    const [file, path] = [deflateRawSync(data), Buffer.from(name)]
    const common = Buffer.alloc(26)
    common.writeUInt16LE(20, 0)
    common.writeUInt16LE(0x800 | (isEncrypted ? 1 : 0), 2)
    common.writeUInt16LE(8, 4)
    common.writeUInt32LE(crc32(data), 10)
    common.writeUInt32LE(file.length, 14)
    common.writeUInt32LE(size, 18)
    common.writeUInt16LE(path.length, 22)
    const local = Buffer.concat([Buffer.from('PK\x03\x04'), common, path, file])
    const rest = Buffer.alloc(14)
    rest.writeUInt32LE((mode << 16) >>> 0, 6)
    rest.writeUInt32LE(offset, 10)
    directory.push(Buffer.concat([Buffer.from('PK\x01\x02\x14\x03'), common, rest, path]))
    parts.push(local)
    offset += local.length
  }
  const central = Buffer.concat(directory)
  const end = Buffer.alloc(22)
  end.write('PK\x05\x06', 'latin1')
  end.writeUInt16LE(members.length, 8)
  end.writeUInt16LE(members.length, 10)
  end.writeUInt32LE(central.length, 12)
  end.writeUInt32LE(offset, 16)
  return new Uint8Array(Buffer.concat([...parts, central, end]))
}

function tar(members: readonly Member[]): Uint8Array {
  const blocks = members.map(({ name, data = bytes('x'), flag = '0', size = data.length }) => {
    const header = Buffer.alloc(512)
    header.write(name, 0)
    header.write('0000644\0', 100)
    header.write(`${size.toString(8).padStart(11, '0')} `, 124)
    header.write(`        ${flag}`, 148)
    header.write('ustar\x0000', 257)
    const sum = header.reduce((total, byte) => total + byte, 0)
    header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148)
    return Buffer.concat([header, data, Buffer.alloc((512 - (data.length % 512)) % 512)])
  })
  return new Uint8Array(Buffer.concat([...blocks, Buffer.alloc(1024)]))
}

const tarGz = (members: readonly Member[]) => new Uint8Array(gzipSync(tar(members)))

const FORMATS = [
  ['zip', zip],
  ['tar', tar],
  ['tar.gz', tarGz],
] as const

const PICTURES: readonly Member[] = [
  { name: 'b.png', data: bytes('second') },
  { name: 'notes.txt' },
  { name: '__MACOSX/a.jpg' },
  { name: '.hidden.png' },
  { name: 'sub/.git/c.png' },
  { name: 'sub/É.JPEG', data: bytes('third') },
  { name: 'Z.webp', data: bytes('first') },
]

async function refusal(file: Uint8Array, limits = {}): Promise<string> {
  const error = await readPictureArchive(file, limits).catch((e: unknown) => e)
  expect(error).toBeInstanceOf(ArchiveError)
  expect((error as Error).message).toMatch(/^[^\n]+$/)
  return (error as Error).message
}

describe.each(FORMATS)('%s', (_, pack) => {
  test('gives its pictures sorted by name, without junk', async () => {
    const files = await readPictureArchive(pack(PICTURES))
    expect(files.map(({ name, data }) => [name, Buffer.from(data).toString()])).toEqual([
      ['Z.webp', 'first'],
      ['b.png', 'second'],
      ['sub/É.JPEG', 'third'],
    ])
  })

  test.each(['../a.png', '/etc/a.png', 'C:/a.png', 'x/../../a.png', '..\\a.png', 'x\\a.png'])(
    'refuses the path %j',
    async (name) => {
      expect(await refusal(pack([{ name }]))).toBe(
        `the archive holds the path ${JSON.stringify(name)}, which leads out of it`,
      )
    },
  )

  test('refuses links', async () => {
    const message = await refusal(pack([{ name: 'a.png', flag: '2', mode: 0o120777 }]))
    expect(message).toBe('the archive holds the link "a.png"; only ordinary files are read')
  })

  test('refuses one entry more than the limit, junk included', async () => {
    expect(await readPictureArchive(pack(PICTURES), { entries: 7 })).toHaveLength(3)
    expect(await refusal(pack(PICTURES), { entries: 6 })).toBe('the archive holds more than 6 entries')
  })

  test('refuses what unpacks to more than the limit', async () => {
    const members = [{ name: 'a.png', data: new Uint8Array(3_000_000) }]
    expect(await refusal(pack(members), { bytes: 2_000_000 })).toBe('the archive unpacks to more than 2 MB')
  })

  test('refuses an archive without pictures', async () => {
    expect(await refusal(pack([{ name: 'readme.md' }]))).toBe('the archive holds no pictures')
  })

  test('refuses what is cut off at any place', async () => {
    const whole = pack([{ name: 'a.png', data: Uint8Array.from({ length: 1500 }, (_, i) => (i * i) % 251) }])
    for (let length = 30; length < whole.length - 1030; length += 97) {
      expect(await refusal(whole.subarray(0, length))).toMatch(/damaged or incomplete|is no zip, tar or tar.gz/)
    }
  })
})

test('an encrypted zip is refused', async () => {
  const message = await refusal(zip([{ name: 'a.png', isEncrypted: true }]))
  expect(message).toBe('the archive is encrypted ("a.png" needs a password)')
})

test('a zip whose entry is longer than it says is refused', async () => {
  const message = await refusal(zip([{ name: 'a.png', data: new Uint8Array(1_000_000), size: 10 }]))
  expect(message).toMatch(/^the archive is damaged or incomplete \(/)
})

test('devices in a tar are refused, long names are read', async () => {
  expect(await refusal(tar([{ name: 'a.png', flag: '3' }]))).toBe(
    'the archive holds "a.png", which is no ordinary file',
  )
  const long = `${'folder/'.repeat(20)}a.png`
  const record = (length: number) => `${length} path=${long}\n`
  const pax = record(record(100).length)
  const names = async (header: Member) =>
    (await readPictureArchive(tar([header, { name: 'short.png' }, { name: 'z.png' }]))).map(({ name }) => name)
  expect(await names({ name: 'long', flag: 'L', data: bytes(`${long}\0`) })).toEqual([long, 'z.png'])
  expect(await names({ name: 'pax', flag: 'x', data: bytes(pax) })).toEqual([long, 'z.png'])
})

test.each([
  ['nothing', ''],
  ['text', 'no archive'.repeat(100)],
  ['gzip of text', undefined],
  ['a zip’s signature alone', 'PK\x03\x04'],
  ['an empty zip', Buffer.from(zip([])).toString('latin1')],
])('%s is refused', async (_, content) => {
  const file = content === undefined ? gzipSync('text') : Buffer.from(content, 'latin1')
  expect(await refusal(new Uint8Array(file))).toMatch(
    /^(the file is no zip|the archive (is damaged|holds no pictures))/,
  )
})

test('a long name is cut in the message', async () => {
  expect((await refusal(zip([{ name: `/${'x'.repeat(5000)}.png` }]))).length).toBeLessThan(200)
})
