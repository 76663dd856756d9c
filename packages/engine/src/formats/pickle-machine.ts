/**
 * Interprets a pickle as data (Python's pickletools.py documents each operation). Operations that weights have no need of are refused, and
 * so are names outside `pickle-globals.ts`: nothing is imported, called or executed.
 */
import { defined } from '../tensor/defined.ts'
import { callGlobal, findGlobal, PickleProblem } from './pickle-globals.ts'
import { PickledGlobal, PickledObject, type PickledStorage, PickledTensor, type PickleValue } from './pickle-values.ts'

/** Operations and what they copy, together. A checkpoint of 2,600 tensors takes 110,000. */
const MAX_STEPS = 2 ** 20
const MAX_LINE_BYTES = 512
const MAX_INTEGER_BYTES = 256

export interface PickleResult {
  readonly value: PickleValue
  /** Where the pickle ends in the bytes. */
  readonly end: number
}

/**
 * Reads one pickle.
 * @param bytes bytes that start with it, and go on as long as it does
 * @param load gives the storage that a persistent id stands for
 * @throws PickleProblem when the pickle is damaged, too large, or uses what is not allowed
 */
export function readPickle(
  bytes: Buffer,
  start: number,
  load: (id: PickleValue) => PickledStorage = refuseStorage,
): PickleResult {
  return new PickleMachine(bytes, start, load).run()
}

function refuseStorage(): PickledStorage {
  throw new PickleProblem('it refers to a storage where there are none')
}

type Operation = (machine: PickleMachine) => void

class PickleMachine {
  readonly #bytes: Buffer
  #position: number
  readonly load: (id: PickleValue) => PickledStorage
  #stack: PickleValue[] = []
  /** Heights of the stack at the marks. */
  readonly #marks: number[] = []
  readonly #memo = new Map<number, PickleValue>()
  #steps = 0

  constructor(bytes: Buffer, start: number, load: (id: PickleValue) => PickledStorage) {
    this.#bytes = bytes
    this.#position = start
    this.load = load
  }

  run(): PickleResult {
    for (;;) {
      const code = this.#bytes[this.#position++]
      if (code === undefined) throw truncated()
      if (code === STOP) return { value: this.pop(), end: this.#position }
      this.charge(1)
      const operation = OPERATIONS.get(code)
      if (!operation) throw new PickleProblem(refusal(code))
      operation(this)
    }
  }

  charge = (items: number): void => {
    this.#steps += items
    if (this.#steps > MAX_STEPS) throw new PickleProblem(`its pickle takes more than ${MAX_STEPS} steps`)
  }

  take(length: number): Buffer {
    const end = this.#position + length
    if (!(end <= this.#bytes.length)) throw truncated()
    const taken = this.#bytes.subarray(this.#position, end)
    this.#position = end
    return taken
  }

  takeLine(): string {
    const end = this.#bytes.indexOf(0x0a, this.#position)
    if (end < 0 || end - this.#position > MAX_LINE_BYTES) throw new PickleProblem('its pickle is damaged')
    const line = this.take(end - this.#position).toString('utf8')
    this.take(1)
    return line
  }

  push(value: PickleValue): void {
    this.#stack.push(value)
  }

  pop(): PickleValue {
    const value = this.#stack.length > (this.#marks.at(-1) ?? 0) ? this.#stack.pop() : undefined
    if (value === undefined) throw new PickleProblem('its pickle is damaged')
    return value
  }

  top(): PickleValue {
    const value = this.pop()
    this.push(value)
    return value
  }

  mark(): void {
    this.#marks.push(this.#stack.length)
  }

  /** Everything above the last mark. */
  popMark(): PickleValue[] {
    const height = this.#marks.pop()
    if (height === undefined) throw new PickleProblem('its pickle is damaged')
    const items = this.#stack.slice(height)
    this.#stack.length = height
    return items
  }

  remember(index: number): void {
    this.#memo.set(index, this.top())
  }

  rememberNext(): void {
    this.remember(this.#memo.size)
  }

  recall(index: number): void {
    const value = this.#memo.get(index)
    if (value === undefined) throw new PickleProblem('its pickle is damaged')
    this.push(value)
  }
}

function truncated(): PickleProblem {
  return new PickleProblem('its pickle ends too early: a truncated download')
}

const STOP = '.'.charCodeAt(0)

function refusal(code: number): string {
  const name = { i: 'INST', o: 'OBJ', P: 'PERSID', '\x82': 'EXT1', '\x83': 'EXT2', '\x84': 'EXT4' }[
    String.fromCharCode(code)
  ]
  return name === undefined
    ? `its pickle has an unknown operation (${code}): the file is damaged or no weights file`
    : `refused the pickle operation ${name}, which weights have no need of; get the .safetensors form of the model`
}

const OPERATIONS = new Map<number, Operation>()

function define(code: string, operation: Operation): void {
  OPERATIONS.set(code.charCodeAt(0), operation)
}

// Framing and the stack.
define('\x80', (m) => m.take(1))
define('\x95', (m) => m.take(8))
define('(', (m) => m.mark())
define('0', (m) => m.pop())
define('1', (m) => m.popMark())
define('2', (m) => m.push(m.top()))

// The memo.
define('p', (m) => m.remember(lineNumber(m)))
define('q', (m) => m.remember(m.take(1).readUInt8()))
define('r', (m) => m.remember(m.take(4).readUInt32LE()))
define('\x94', (m) => m.rememberNext())
define('g', (m) => m.recall(lineNumber(m)))
define('h', (m) => m.recall(m.take(1).readUInt8()))
define('j', (m) => m.recall(m.take(4).readUInt32LE()))

// Constants.
define('N', (m) => m.push(null))
define('\x88', (m) => m.push(true))
define('\x89', (m) => m.push(false))
define('I', (m) => {
  const text = m.takeLine()
  m.push(text === '01' ? true : text === '00' ? false : integer(text))
})
define('L', (m) => m.push(integer(m.takeLine().replace(/L$/, ''))))
define('J', (m) => m.push(m.take(4).readInt32LE()))
define('K', (m) => m.push(m.take(1).readUInt8()))
define('M', (m) => m.push(m.take(2).readUInt16LE()))
define('\x8a', (m) => m.push(twosComplement(m.take(m.take(1).readUInt8()))))
define('\x8b', (m) => m.push(twosComplement(m.take(m.take(4).readUInt32LE()))))
define('F', (m) => m.push(Number(m.takeLine())))
define('G', (m) => m.push(m.take(8).readDoubleBE()))

// Text and bytes. Python 2 wrote its text as bytes.
const text: Readonly<Record<string, (m: PickleMachine) => Buffer>> = {
  T: (m) => m.take(m.take(4).readUInt32LE()),
  U: (m) => m.take(m.take(1).readUInt8()),
  X: (m) => m.take(m.take(4).readUInt32LE()),
  '\x8c': (m) => m.take(m.take(1).readUInt8()),
  '\x8d': (m) => m.take(Number(m.take(8).readBigUInt64LE())),
}
for (const [code, take] of Object.entries(text)) define(code, (m) => m.push(take(m).toString('utf8')))
define('V', (m) => m.push(m.takeLine()))
define('S', (m) => m.push(m.takeLine().replace(/^(['"])(.*)\1$/, '$2')))
const binary: Readonly<Record<string, (m: PickleMachine) => Buffer>> = {
  B: (m) => m.take(m.take(4).readUInt32LE()),
  C: (m) => m.take(m.take(1).readUInt8()),
  '\x8e': (m) => m.take(Number(m.take(8).readBigUInt64LE())),
}
for (const [code, take] of Object.entries(binary)) define(code, (m) => m.push(new Uint8Array(take(m))))

// Containers.
define(')', (m) => m.push([]))
define(']', (m) => m.push([]))
define('}', (m) => m.push(new Map()))
define('\x8f', (m) => m.push(new Set()))
define('t', (m) => m.push(m.popMark()))
define('l', (m) => m.push(m.popMark()))
define('\x85', (m) => m.push([m.pop()]))
define('\x86', (m) => m.push([m.pop(), m.pop()].reverse()))
define('\x87', (m) => m.push([m.pop(), m.pop(), m.pop()].reverse()))
define('d', (m) => m.push(setItems(new Map(), m.popMark())))
define('\x91', (m) => m.push(new Set(m.popMark())))
define('a', (m) => append(m, [m.pop()]))
define('e', (m) => append(m, m.popMark()))
define('s', (m) => {
  const value = m.pop()
  setItems(m, [m.pop(), value])
})
define('u', (m) => setItems(m, m.popMark()))
define('\x90', (m) => {
  const items = m.popMark()
  const set = m.top()
  if (!(set instanceof Set)) throw new PickleProblem('its pickle is damaged')
  for (const item of items) set.add(item)
})

// Names and calls.
define('c', (m) => m.push(findGlobal(m.takeLine(), m.takeLine())))
define('\x93', (m) => {
  const [name, module] = [m.pop(), m.pop()]
  if (typeof name !== 'string' || typeof module !== 'string') throw new PickleProblem('its pickle is damaged')
  m.push(findGlobal(module, name))
})
define('R', call)
define('\x81', call)
define('b', (m) => {
  const state = m.pop()
  const target = m.top()
  if (target instanceof PickledObject) target.state = state
  // Attributes of a dict (a state dict's `_metadata`) and of a tensor say nothing about weights.
  else if (!(target instanceof Map || target instanceof PickledTensor)) throw new PickleProblem('its pickle is damaged')
})
define('Q', (m) => m.push(m.load(m.pop())))

function call(machine: PickleMachine): void {
  const args = machine.pop()
  const callee = machine.pop()
  if (!(callee instanceof PickledGlobal) || !Array.isArray(args)) {
    throw new PickleProblem('it calls something that is no function')
  }
  machine.push(callGlobal(callee, args, machine.charge))
}

function append(machine: PickleMachine, items: readonly PickleValue[]): void {
  const list = machine.top()
  if (!Array.isArray(list)) throw new PickleProblem('its pickle is damaged')
  for (const item of items) list.push(item)
}

function setItems(target: PickleMachine | Map<PickleValue, PickleValue>, items: readonly PickleValue[]) {
  const map = target instanceof PickleMachine ? target.top() : target
  if (!(map instanceof Map) || items.length % 2 !== 0) throw new PickleProblem('its pickle is damaged')
  for (let i = 0; i < items.length; i += 2) map.set(defined(items[i]), defined(items[i + 1]))
  return map
}

function lineNumber(machine: PickleMachine): number {
  const value = integer(machine.takeLine())
  if (typeof value !== 'number' || value < 0) throw new PickleProblem('its pickle is damaged')
  return value
}

function integer(text: string): number | bigint {
  if (!/^-?\d{1,400}$/.test(text)) throw new PickleProblem('its pickle is damaged')
  return narrow(BigInt(text))
}

function twosComplement(bytes: Buffer): number | bigint {
  if (bytes.length > MAX_INTEGER_BYTES) throw new PickleProblem(`its pickle has an integer of ${bytes.length} bytes`)
  if (bytes.length === 0) return 0
  const magnitude = BigInt(`0x${Buffer.from(bytes).reverse().toString('hex')}`)
  return narrow(BigInt.asIntN(8 * bytes.length, magnitude))
}

function narrow(value: bigint): number | bigint {
  const number = Number(value)
  return Number.isSafeInteger(number) ? number : value
}
