import { EngineError } from '../errors/engine-error.ts'

/** A component's config.json has a field that no graph can be built for. */
export class ModelConfigError extends EngineError {
  override readonly name = 'ModelConfigError'
  readonly kind = 'model'
}

/** What a field may hold. */
export interface ConfigValue<T> {
  /** For messages: `a positive integer`. */
  readonly expected: string
  /** The parsed value, or undefined when it is not one of those expected. */
  parse(value: unknown): T | undefined
}

const SIZE: ConfigValue<number> = {
  expected: 'a positive integer',
  parse: (value) => (isSize(value) ? value : undefined),
}
export const NUMBER: ConfigValue<number> = {
  expected: 'a number',
  parse: (value) => (isFiniteNumber(value) ? value : undefined),
}
export const BOOLEAN: ConfigValue<boolean> = {
  expected: 'true or false',
  parse: (value) => (typeof value === 'boolean' ? value : undefined),
}

/** One of a few values; anything else is refused, never ignored. */
export function oneOf<const T extends string | number | boolean | null>(values: readonly T[]): ConfigValue<T> {
  return {
    expected: values.map((value) => JSON.stringify(value)).join(' or '),
    parse: (value) => values.find((candidate) => candidate === value),
  }
}

/**
 * The fields of a JSON file of configuration. A field that is absent takes the default of the diffusers or transformers
 * class; a field that is present must have the right type. Fields that nobody asks for are ignored, as there: published
 * configs carry leftovers of training.
 */
export class ConfigFields {
  readonly #json: Readonly<Record<string, unknown>>
  readonly #failure: (name: string, problem: string) => EngineError

  /**
   * @param component what the error messages call the file, e.g. `UNet2DConditionModel config`
   * @param failure makes the error for a field, or for the whole where `name` is empty; a ModelConfigError when absent
   * @throws what `failure` makes when json is no object
   */
  constructor(
    component: string,
    json: unknown,
    failure = (name: string, problem: string): EngineError =>
      new ModelConfigError(`${component}${name && `: ${name}`}: ${problem}`),
  ) {
    this.#failure = failure
    if (typeof json !== 'object' || json === null || Array.isArray(json)) throw this.error('', 'a JSON object', json)
    this.#json = json as Record<string, unknown>
  }

  /** The error for the field `name`. */
  error(name: string, expected: string, found: unknown): EngineError {
    return this.#failure(name, `expected ${expected}, found ${JSON.stringify(found)}`)
  }

  /** The raw value; undefined when absent. */
  value(name: string): unknown {
    return this.#json[name]
  }

  /**
   * Null is a value of its own, which only kinds that know it accept.
   * @param fallback for an absent field; one that is not of the kind makes the field required
   */
  read<T>(name: string, kind: ConfigValue<T>, fallback: T): T {
    const value = this.#json[name] === undefined ? fallback : this.#json[name]
    const parsed = kind.parse(value)
    if (parsed === undefined) throw this.error(name, kind.expected, value)
    return parsed
  }

  size(name: string, fallback: number): number {
    return this.read(name, SIZE, fallback)
  }

  sizeOrNull(name: string): number | null {
    return (this.#json[name] ?? null) === null ? null : this.size(name, 0)
  }

  number(name: string, fallback: number): number {
    return this.read(name, NUMBER, fallback)
  }

  boolean(name: string, fallback: boolean): boolean {
    return this.read(name, BOOLEAN, fallback)
  }

  oneOf<const Word extends string>(name: string, words: readonly Word[], fallback: NoInfer<Word>): Word {
    return this.read(name, oneOf(words), fallback)
  }

  /** A list of `length` (where given) elements that satisfy `accepts`. */
  list<Item>(
    name: string,
    fallback: readonly Item[],
    accepts: (item: unknown) => item is Item,
    length?: number,
  ): Item[] {
    const value = this.#json[name] === undefined ? fallback : this.#json[name]
    const fits = Array.isArray(value) && value.length > 0 && (length === undefined || value.length === length)
    if (!fits || !value.every(accepts))
      throw this.error(name, `a list${length ? ` of ${length}, one per block` : ''}`, value)
    return value
  }

  /** A positive integer per block, written as a list or as one number for all. */
  sizePerBlock(name: string, fallback: number, blocks: number): number[] {
    const value = this.#json[name]
    if (Array.isArray(value)) return this.list(name, [], isSize, blocks)
    return new Array<number>(blocks).fill(this.size(name, fallback))
  }

  /**
   * Refuses a field that changes the model in a way which is not implemented.
   * @param inert values that leave the model as it is; an absent field is inert
   */
  refuse(name: string, ...inert: readonly unknown[]): void {
    const value = this.#json[name]
    if (value === undefined || inert.includes(value)) return
    if (Array.isArray(value) && value.every((item) => inert.includes(item))) return
    throw this.error(
      name,
      `${inert.map((v) => JSON.stringify(v)).join(' or ')} (anything else is not supported)`,
      value,
    )
  }
}

export function isSize(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value > 0
}

export function isFiniteNumber(value: unknown): value is number {
  return Number.isFinite(value)
}
