import { mkdtemp, open, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { readEntryBytes } from './stored-tensor.ts'
import { isTorchFile, namedTensors, readTorchFile } from './torch-file.ts'
import { WeightFileError } from './weight-file-error.ts'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'torch-'))
})
afterAll(() => rm(folder, { recursive: true }))

const bytes = (...parts: (string | number | readonly number[] | Buffer)[]): Buffer =>
  Buffer.concat(
    parts.map((part) =>
      typeof part === 'string'
        ? Buffer.from(part, 'latin1')
        : typeof part === 'number'
          ? Buffer.from([part])
          : Buffer.from(part),
    ),
  )
const u16 = (value: number): Buffer => Buffer.from([value & 255, value >> 8])
const u32 = (value: number): Buffer => {
  const out = Buffer.alloc(4)
  out.writeUInt32LE(value)
  return out
}
const i64 = (value: bigint): Buffer => {
  const out = Buffer.alloc(8)
  out.writeBigInt64LE(value)
  return out
}
const text = (value: string): Buffer => bytes('X', u32(value.length), value)
const int = (value: number): Buffer => bytes('J', u32(value >>> 0))
const pickle = (...parts: Parameters<typeof bytes>): Buffer => bytes('\x80\x02', ...parts, '.')
const call = (module: string, name: string, ...args: Parameters<typeof bytes>): Buffer =>
  bytes(`c${module}\n${name}\n(`, ...args, 'tR')

interface Member {
  readonly name: string
  readonly data: Buffer
  readonly method?: number
  readonly flags?: number
  /** What the directory says. */
  readonly listed?: { readonly size?: number; readonly offset?: number; readonly name?: string }
}

/** A zip archive whose directory may lie. */
function zip(members: readonly Member[], count = members.length): Buffer {
  const parts: Buffer[] = []
  const directory: Buffer[] = []
  let offset = 0
  for (const { name, data, method = 0, flags = 0, listed = {} } of members) {
    const local = bytes(
      'PK\x03\x04',
      u16(20),
      u16(flags),
      u16(method),
      Buffer.alloc(8),
      u32(data.length),
      u32(data.length),
      u16(name.length),
      u16(0),
      name,
    )
    const { size = data.length, offset: at = offset, name: listedName = name } = listed
    directory.push(
      bytes(
        'PK\x01\x02',
        u16(20),
        u16(20),
        u16(flags),
        u16(method),
        Buffer.alloc(8),
        u32(size),
        u32(size),
        u16(listedName.length),
        Buffer.alloc(12),
        u32(at),
        listedName,
      ),
    )
    parts.push(local, data)
    offset += local.length + data.length
  }
  const size = directory.reduce((sum, { length }) => sum + length, 0)
  const end = bytes('PK\x05\x06', u32(0), u16(count), u16(count), u32(size), u32(offset), u16(0))
  return Buffer.concat([...parts, ...directory, end])
}

const archive = (data: Buffer, ...members: Member[]): Buffer => zip([{ name: 'm/data.pkl', data }, ...members])
const storage = (key: string, count: number): Buffer =>
  bytes('(', text('storage'), 'ctorch\nFloatStorage\n', text(key), text('cpu'), int(count), 'tQ')
const sizes = (...values: number[]): Buffer => bytes('(', ...values.map(int), 't')
const tensor = (shape: Buffer, strides: Buffer, offset = 0, stored = storage('0', 4)): Buffer =>
  call('torch._utils', '_rebuild_tensor_v2', stored, int(offset), shape, strides, '\x89', ')')
const four: Member = { name: 'm/data/0', data: Buffer.alloc(16, 1) }

let written = 0
async function saved(content: Buffer): Promise<string> {
  const path = join(folder, `${++written}.bin`)
  await writeFile(path, content)
  return path
}

async function problemOf(content: Buffer): Promise<string> {
  const path = await saved(content)
  const problem: unknown = await readTorchFile(path)
    .then((file) => `read ${namedTensors(file).tensors.size} tensors`)
    .catch((error: unknown) => error)
  if (typeof problem === 'string') return problem
  if (!(problem instanceof WeightFileError)) throw problem
  expect(problem.path).toBe(path)
  expect(problem.message).not.toContain(folder)
  expect(problem.message.length).toBeLessThan(300)
  return problem.message
}

const good = archive(pickle('}', text('a'), tensor(sizes(2, 2), sizes(2, 1)), 's'), four)
const legacy = (object: Buffer, keys: Buffer, ...rest: Buffer[]): Buffer =>
  bytes(
    pickle('\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19'),
    pickle('M', u16(1001)),
    pickle('}'),
    object,
    keys,
    ...rest,
  )
const legacyStorage = (count: number, view: Buffer = bytes('N')): Buffer =>
  bytes('(', text('storage'), 'ctorch\nFloatStorage\n', text('0'), text('cpu'), int(count), view, 'tQ')

test('what the builders of this test make is read', async () => {
  expect(await problemOf(good)).toBe('read 1 tensors')
  const object = pickle('}', text('a'), tensor(sizes(2), sizes(1), 0, legacyStorage(2)), 's')
  expect(await problemOf(legacy(object, pickle(']', text('0'), 'a'), i64(2n), Buffer.alloc(8)))).toBe('read 1 tensors')
})

describe('runs nothing', () => {
  test.each([
    ['posix', 'system'],
    ['nt', 'system'],
    ['os', 'execvp'],
    ['subprocess', 'Popen'],
    ['builtins', 'eval'],
    ['builtins', 'getattr'],
    ['__builtin__', 'exec'],
    ['builtins', '__import__'],
    ['runpy', '_run_code'],
    ['webbrowser', 'open'],
    ['socket', 'create_connection'],
    ['pickle', 'loads'],
    ['operator', 'attrgetter'],
    ['functools', 'partial'],
    ['types', 'FunctionType'],
    ['torch.storage', '_load_from_bytes'],
    ['torch.hub', 'load'],
    ['torch', 'load'],
    ['collections', 'OrderedDict.__init__'],
    ['collections', '__proto__'],
    ['torch', 'constructor'],
    ['numpy.testing._private.utils', 'runstring'],
    ['__main__', 'Payload'],
  ])('%s.%s', async (module, name) => {
    const refused = `refused \`${module}.${name}\`: a weights file holds numbers, and this one wants to run code`
    const byName = bytes(`c${module}\n${name}\n`, '(', text('echo ran'), 'tR')
    const byStack = bytes(text(module), text(name), '\x93(', text('echo ran'), 'tR')
    for (const payload of [byName, byStack]) {
      expect(await problemOf(archive(pickle(payload)))).toContain(refused)
      expect(await problemOf(archive(pickle('}', text('a'), payload, 's')))).toContain(refused)
      expect(await problemOf(legacy(pickle(payload), pickle(']')))).toContain(refused)
      expect(await problemOf(pickle(payload))).toContain(refused)
    }
  })

  test.each([
    ['INST', bytes('(', text('echo'), 'iposix\nsystem\n')],
    ['OBJ', bytes('(ccollections\nOrderedDict\no')],
    ['PERSID', bytes('Pname\n')],
    ['EXT1', bytes('\x82\x01')],
  ])('the operation %s', async (name, operation) => {
    expect(await problemOf(archive(pickle(operation)))).toContain(`refused the pickle operation ${name}`)
  })

  test('a second pickle behind a harmless one, and one hidden in a magic number', async () => {
    const payload = call('posix', 'system', text('echo'))
    expect(await problemOf(bytes(pickle(payload), good))).toContain('refused `posix.system`')
    expect(await problemOf(legacy(pickle('}'), pickle(payload)))).toContain('refused `posix.system`')
  })

  test('a name is shown short and on one line', async () => {
    const long = await problemOf(archive(pickle(bytes(text('a\nb'), text('x'.repeat(9000)), '\x93'))))
    expect(long).toMatch(/refused `a\\nb\.x{10,80}`/)
  })
})

describe('calls that make no sense', () => {
  test.each<[string, Buffer, RegExp]>([
    ['of something that is no function', bytes(text('a'), ')R'), /calls something that is no function/],
    ['of a type', call('torch', 'FloatStorage', int(4)), /calls torch.FloatStorage, which is no function/],
    ['a tensor of text', tensor(sizes(1), sizes(1), 0, text('0')), /tensor without a storage/],
    [
      'a storage of a class that is none',
      bytes('(', text('storage'), 'ccollections\nOrderedDict\n', text('0'), text('cpu'), int(1), 'tQ'),
      /storage of collections.OrderedDict/,
    ],
    ['a negative stride', tensor(sizes(2), sizes(-1)), /impossible shape/],
    ['a negative offset', tensor(sizes(2), sizes(1), -1), /impossible shape/],
    ['more sizes than strides', tensor(sizes(2, 2), sizes(1)), /impossible shape/],
    ['a tensor beyond its storage', tensor(sizes(2, 2), sizes(3, 1)), /shape \[2,2\] reaches beyond its storage/],
    ['an offset beyond its storage', tensor(sizes(2), sizes(1), 3), /reaches beyond its storage/],
    ['one element as terabytes', tensor(sizes(1 << 30, 1 << 30), sizes(0, 0)), /repeats the 4 elements/],
    ['nothing on the stack', bytes('a'), /damaged/],
    ['a mark without end', bytes('((((t'), /damaged|no named tensors/],
    ['a memo that is not there', bytes('h\x07'), /damaged/],
    ['an unknown operation', bytes('\xff'), /unknown operation \(255\)/],
    ['a number of a thousand digits', bytes(`L${'9'.repeat(450)}L\n`), /damaged/],
    ['a name without end', bytes(`c${'x'.repeat(600)}`), /damaged/],
    ['a text longer than the file', bytes('X', u32(0xfffffff0), 'abc'), /ends too early/],
    ['bytes longer than memory', bytes('\x8e', i64(2n ** 62n), 'abc'), /ends too early/],
    ['an integer of 4 GB', bytes('\x8b', u32(0xffffffff)), /ends too early/],
  ])('%s', async (_, object, message) => {
    expect(await problemOf(archive(pickle(object), four))).toMatch(message)
  })
})

describe('stays small', () => {
  const repeated = (part: Buffer, times: number) => Buffer.concat(new Array<Buffer>(times).fill(part))

  test('steps are counted', async () => {
    expect(await problemOf(archive(pickle(repeated(bytes('}'), 2 ** 20 + 1))))).toMatch(/more than 1048576 steps/)
  })

  test('copies are steps: a long list made into sets, a long text into bytes', async () => {
    const list = bytes('(', repeated(bytes('N'), 2 ** 16), 'lq\x00')
    const sets = repeated(bytes('c__builtin__\nset\nh\x00\x85R0'), 100)
    expect(await problemOf(archive(pickle(list, sets)))).toMatch(/steps/)
    const encoded = repeated(bytes('c_codecs\nencode\nh\x00\x85R0'), 100)
    expect(await problemOf(archive(pickle(text('x'.repeat(2 ** 16)), 'q\x00', encoded)))).toMatch(/steps/)
  })

  test('dicts within dicts are not multiplied out', async () => {
    const level = (inner: number, own: number) =>
      bytes(
        '}(',
        repeated(bytes('K', 0, 'h', inner), 1),
        ...Array.from({ length: 40 }, (_, i) => bytes(text(`k${i}`), 'h', inner)),
        'uq',
        own,
      )
    const bomb = bytes(tensor(sizes(1), sizes(1)), 'q\x00', ...Array.from({ length: 7 }, (_, i) => level(i, i + 1)))
    expect(await problemOf(archive(pickle(bomb), four))).toMatch(/more than 200000 values/)
  })

  test('a dict that holds itself', async () => {
    const self = bytes('}q\x00', text('a'), 'h\x00s', text('t'), tensor(sizes(1), sizes(1)), 's')
    expect(await problemOf(archive(pickle(self), four))).toBe('read 9 tensors')
  })

  test('names without end', async () => {
    const name = bytes('}', text('n'.repeat(600)), tensor(sizes(1), sizes(1)), 's')
    expect(await problemOf(archive(pickle(name), four))).toMatch(/endless names/)
  })

  test('a pickle of gigabytes', async () => {
    const path = await saved(pickle('}'))
    const handle = await open(path, 'r+')
    await handle.truncate(5e9)
    await handle.close()
    await expect(readTorchFile(path)).rejects.toThrow(/no file of torch.save/)
  })
})

describe('archives that lie', () => {
  const data = pickle('}')
  test.each<[string, Buffer, RegExp]>([
    ['no data.pkl', zip([{ name: 'a.txt', data }]), /without a data.pkl/],
    ['a TorchScript program', archive(data, { name: 'm/constants.pkl', data }), /TorchScript program/],
    ['compressed', zip([{ name: 'm/data.pkl', data, method: 8 }]), /"m\/data.pkl" is compressed/],
    ['encrypted', zip([{ name: 'm/data.pkl', data, flags: 1 }]), /encrypted/],
    ['two of one name', archive(data, { name: 'm/data.pkl', data }), /two members named "m\/data.pkl"/],
    ['overlapping', archive(data, { ...four, listed: { offset: 0 } }), /overlap/],
    ['a member beyond the file', archive(data, { ...four, listed: { size: 1 << 20 } }), /lies outside/],
    ['a header beyond the file', archive(data, { ...four, listed: { offset: 1 << 20 } }), /lies outside/],
    ['no header there', archive(data, { ...four, listed: { offset: 5 } }), /not where the directory says/],
    ['sizes of 64 bits that are not there', archive(data, { ...four, listed: { size: 0xffffffff } }), /lies outside/],
    ['more members than there are', zip([{ name: 'm/data.pkl', data }], 60_000), /directory is damaged/],
    ['a missing storage', archive(pickle(storage('0', 4))), /storage "0" is missing/],
    ['a short storage', archive(pickle(storage('0', 5)), four), /has 16 bytes instead of 20/],
    ['one storage of two sizes', archive(pickle('(', storage('0', 4), storage('0', 3), 't'), four), /two forms/],
    ['nothing named', archive(pickle('(', tensor(sizes(1), sizes(1)), 't'), four), /no named tensors/],
  ])('%s', async (_, content, message) => {
    expect(await problemOf(content)).toMatch(message)
  })

  test('a 64-bit directory that is nowhere', async () => {
    const end = good.subarray(-22)
    const locator = bytes('PK\x06\x07', u32(0), i64(2n ** 61n), u32(1))
    expect(await problemOf(bytes(good.subarray(0, -22), locator, end))).toMatch(/truncated/)
    const inside = bytes('PK\x06\x07', u32(0), i64(3n), u32(1))
    expect(await problemOf(bytes(good.subarray(0, -22), inside, end))).toMatch(/damaged/)
  })
})

describe('old files that lie', () => {
  const object = pickle('}', text('a'), tensor(sizes(2), sizes(1), 0, legacyStorage(2)), 's')
  const keys = pickle(']', text('0'), 'a')
  const view = (first: number, count: number) => bytes('(', text('v'), int(first), int(count), 't')
  test.each<[string, Buffer, RegExp]>([
    ['another magic', bytes(pickle(int(5)), object), /no file of torch.save/],
    ['a plain pickle', pickle('}', text('a'), int(1), 's'), /no file of torch.save/],
    ['another count', legacy(object, keys, i64(3n), Buffer.alloc(12)), /has 3 elements/],
    ['a negative count', legacy(object, keys, i64(-1n), Buffer.alloc(12)), /has -1 elements/],
    ['elements that are cut off', legacy(object, keys, i64(2n), Buffer.alloc(7)), /truncated/],
    ['no elements', legacy(object, keys), /truncated/],
    ['storages that are not listed', legacy(object, pickle(']')), /storage "0" is missing/],
    ['a key that no tensor uses', legacy(object, pickle(']', text('1'), 'a')), /no tensor uses/],
    ['keys that are no list', legacy(object, pickle(int(1))), /does not list its storages/],
    ['a view beyond', legacy(pickle(legacyStorage(2, view(1, 2))), keys), /view beyond its storage/],
    ['a view before', legacy(pickle(legacyStorage(2, view(-1, 2))), keys), /view beyond its storage/],
  ])('%s', async (_, content, message) => {
    expect(await problemOf(content)).toMatch(message)
  })

  test('a view is a part of its storage', async () => {
    const viewed = tensor(sizes(1), sizes(1), 0, legacyStorage(2, view(1, 1)))
    const floats = Buffer.from(Float32Array.of(3, 4).buffer)
    const path = await saved(legacy(pickle('}', text('a'), viewed, 's'), keys, i64(2n), floats))
    const entry = namedTensors(await readTorchFile(path)).tensors.get('a')
    expect(entry && new Float32Array(await readEntryBytes(path, entry))).toEqual(Float32Array.of(4))
  })
})

test('every file that is cut off is refused in a sentence', async () => {
  const golden = join(import.meta.dirname, '../../test/golden/data/torch-files')
  for (const name of ['lightning.bin', 'views-legacy.bin']) {
    const whole = await readFile(join(golden, name))
    for (let end = 9; end < whole.length; end += 23) {
      expect(await problemOf(whole.subarray(0, end))).not.toMatch(/^read/)
    }
  }
})

test('bytes changed at random are read or refused, never worse', async () => {
  let state = 12345
  const random = (below: number) => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0
    return (state >>> 8) % below
  }
  const golden = join(import.meta.dirname, '../../test/golden/data/torch-files')
  for (const name of ['lightning.bin', 'parameters-protocol-5.bin', 'views-legacy.bin']) {
    const whole = await readFile(join(golden, name))
    for (let round = 0; round < 150; round++) {
      const changed = Buffer.from(whole)
      for (let i = 0; i < 3; i++) changed[random(changed.length)] = random(256)
      await problemOf(changed)
    }
  }
})

test('rows of a matrix that is much wider than what is taken of it are read one by one', async () => {
  const path = join(folder, 'wide')
  const handle = await open(path, 'w')
  const [rows, width] = [3, 2 ** 20]
  await handle.truncate(rows * width * 4)
  for (let row = 0; row < rows; row++)
    await handle.write(Buffer.from(Float32Array.of(row, row + 0.5).buffer), 0, 8, row * width * 4)
  await handle.close()
  const entry = { dtype: 'F32', shape: [2, rows], offset: 0, length: 2 * width * 4 + 8, strides: [1, width] } as const
  expect(new Float32Array(await readEntryBytes(path, entry))).toEqual(Float32Array.of(0, 1, 2, 0.5, 1.5, 2.5))
})

test('a safetensors file is told from a pickle and an archive even where its header’s length looks like one', () => {
  expect(isTorchFile(bytes(i64(0x280n), '{'))).toBe(false)
  expect(isTorchFile(bytes(u32(0x04034b50), u32(0), '{'))).toBe(false)
  expect(isTorchFile(good)).toBe(true)
  expect(isTorchFile(legacy(pickle('}'), pickle(']')))).toBe(true)
})
