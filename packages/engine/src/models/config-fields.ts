import { EngineError } from '../errors/engine-error.ts'

/** A component's config.json has a field that no graph can be built for. */
export class ModelConfigError extends EngineError {
  override readonly name = 'ModelConfigError'
  readonly kind = 'model'
}

/**
 * The fields of a component's config.json. A field that is absent takes the default of the diffusers or transformers
 * class; a field that is present must have the right type. Fields that nobody asks for are ignored, as there: published
 * configs carry leftovers of training.
 */
export class ConfigFields {
  readonly #component: string
  readonly #json: Readonly<Record<string, unknown>>

  /**
   * @param component what the error messages call the file, e.g. `UNet2DConditionModel config`
   * @throws ModelConfigError when json is no object
   */
  constructor(component: string, json: unknown) {
    this.#component = component
    if (typeof json !== 'object' || json === null || Array.isArray(json)) throw this.error('', 'a JSON object', json)
    this.#json = json as Record<string, unknown>
  }

  /** The error for the field `name`. */
  error(name: string, expected: string, found: unknown): ModelConfigError {
    const field = name && `: ${name}`
    return new ModelConfigError(`${this.#component}${field}: expected ${expected}, found ${JSON.stringify(found)}`)
  }

  /** The raw value; undefined when absent. */
  value(name: string): unknown {
    return this.#json[name]
  }

  /** A positive integer. */
  size(name: string, fallback: number): number {
    const value = this.#json[name] ?? this.#absent(name, fallback)
    if (!isSize(value)) throw this.error(name, 'a positive integer', value)
    return value
  }

  sizeOrNull(name: string): number | null {
    return (this.#json[name] ?? null) === null ? null : this.size(name, 0)
  }

  number(name: string, fallback: number): number {
    const value = this.#json[name] ?? this.#absent(name, fallback)
    if (typeof value !== 'number' || !Number.isFinite(value)) throw this.error(name, 'a number', value)
    return value
  }

  boolean(name: string, fallback: boolean): boolean {
    const value = this.#json[name] ?? this.#absent(name, fallback)
    if (typeof value !== 'boolean') throw this.error(name, 'true or false', value)
    return value
  }

  /** One of a few words. */
  oneOf<const Word extends string>(name: string, words: readonly Word[], fallback: Word): Word {
    const value = this.#json[name] ?? this.#absent(name, fallback)
    const word = words.find((candidate) => candidate === value)
    if (word === undefined) throw this.error(name, `one of ${words.join(', ')}`, value)
    return word
  }

  /** A list of `length` (where given) elements that satisfy `accepts`. */
  list<Item>(
    name: string,
    fallback: readonly Item[],
    accepts: (item: unknown) => item is Item,
    length?: number,
  ): Item[] {
    const value = this.#json[name] ?? this.#absent(name, fallback)
    const fits = Array.isArray(value) && value.length > 0 && (length === undefined || value.length === length)
    if (!fits || !value.every(accepts))
      throw this.error(name, `a list${length ? ` of ${length}, one per block` : ''}`, value)
    return value
  }

  /** A positive integer per block, written as a list or as one number for all. */
  sizePerBlock(name: string, fallback: number, blocks: number): number[] {
    const value = this.#json[name] ?? this.#absent(name, fallback)
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

  /** The default of an absent field; null is a value of its own, which only fields documented as nullable accept. */
  #absent<T>(name: string, fallback: T): T | null {
    return this.#json[name] === undefined ? fallback : null
  }
}

export function isSize(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) > 0
}

export function isFiniteNumber(value: unknown): value is number {
  return Number.isFinite(value)
}
