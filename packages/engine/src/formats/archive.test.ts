import { gzipSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { type Member, tarOf, zipOf } from '../../test/fixtures/archives.ts'
import { ArchiveError, readPictureArchive } from './archive.ts'

const bytes = (text: string) => new Uint8Array(Buffer.from(text, 'utf8'))

const zip = (members: readonly Member[]) => new Uint8Array(zipOf(members))
const tar = (members: readonly Member[]) => new Uint8Array(tarOf(members))
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
