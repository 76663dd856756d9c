import { WireError } from '../errors/errors.ts'

/** One of the values that a parameter may have. @throws WireError 400 */
export function readChoice<T extends string>(
  name: string,
  text: string | undefined,
  choices: readonly T[],
): T | undefined {
  if (text === undefined) return undefined
  const choice = choices.find((candidate) => candidate === text)
  if (choice === undefined) throw new WireError(400, `${name}: expected one of ${choices.join(', ')}`)
  return choice
}

/** @throws WireError 400 */
export function readTime(name: string, text: string | undefined): Date | undefined {
  if (text === undefined) return undefined
  const time = new Date(text)
  if (Number.isNaN(time.getTime())) throw new WireError(400, `${name}: expected an ISO 8601 date and time`)
  return time
}
