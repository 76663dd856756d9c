import { randomInt } from 'node:crypto'

/** The seed asked for, or one far below 2^53: JavaScript clients read every digit of it. */
export function chooseSeed(asked: bigint | null | undefined): bigint {
  return asked ?? BigInt(randomInt(2 ** 32))
}
