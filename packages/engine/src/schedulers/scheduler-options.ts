import { BOOLEAN, ConfigFields, type ConfigValue, NUMBER, oneOf as oneOfValues } from '../config/config-fields.ts'
import { SchedulerError } from './scheduler.ts'

/** One key of a scheduler's config: its default in the diffusers class, and the values that are implemented. */
export interface Option<T> extends ConfigValue<T> {
  readonly default: T
}

export type Options = Readonly<Record<string, Option<unknown>>>

export type ConfigOf<O extends Options> = {
  readonly [K in keyof O]: O[K] extends Option<infer T> ? T : never
}

/** A true or false option; null counts as false, as it does in Python. */
export function flag(byDefault: boolean): Option<boolean> {
  return { ...BOOLEAN, default: byDefault, parse: (value) => (value === null ? false : BOOLEAN.parse(value)) }
}

export function number(byDefault: number): Option<number> {
  return { ...NUMBER, default: byDefault }
}

export function integer(byDefault: number, minimum: number): Option<number> {
  return {
    default: byDefault,
    expected: `an integer of at least ${minimum}`,
    parse: (value) => (typeof value === 'number' && Number.isInteger(value) && value >= minimum ? value : undefined),
  }
}

export function numberOrNull(): Option<number | null> {
  return {
    default: null,
    expected: 'a number or null',
    parse: (value) => (value === null || typeof value === 'number' ? value : undefined),
  }
}

export function numbersOrNull(): Option<readonly number[] | null> {
  return {
    default: null,
    expected: 'a list of numbers or null',
    parse: (value) =>
      value === null || (Array.isArray(value) && value.length > 0 && value.every((v) => typeof v === 'number'))
        ? value
        : undefined,
  }
}

export function oneOf<const T extends string | number | boolean | null>(
  values: readonly T[],
  byDefault: NoInfer<T>,
): Option<T> {
  return { ...oneOfValues(values), default: byDefault }
}

/** A feature of the diffusers class that is not implemented here: it may only be off. */
export function off(): Option<false> {
  return {
    default: false,
    expected: 'false (this feature is not implemented)',
    parse: (value) => (value === false || value === null ? false : undefined),
  }
}

/**
 * The config of a scheduler from a diffusers scheduler_config.json. Keys that the class does not have are left out
 * and keys that the file does not have take the class's default: the rule of diffusers' `from_config`.
 * @throws SchedulerError naming the key whose value is not implemented
 */
export function readConfig<O extends Options>(
  className: string,
  options: O,
  json: Readonly<Record<string, unknown>>,
): ConfigOf<O> {
  const fields = new ConfigFields(
    className,
    json,
    (key, problem) => new SchedulerError(className, key, `${key}: ${problem}`),
  )
  const config = Object.entries(options).map(([key, option]) => [key, fields.read(key, option, option.default)])
  return Object.fromEntries(config) as ConfigOf<O>
}
