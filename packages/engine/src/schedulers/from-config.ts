import { DDIM_OPTIONS, DDIMScheduler } from './ddim-scheduler.ts'
import { DPM_SOLVER_MULTISTEP_OPTIONS, DPMSolverMultistepScheduler } from './dpm-solver-multistep-scheduler.ts'
import {
  EULER_ANCESTRAL_DISCRETE_OPTIONS,
  EulerAncestralDiscreteScheduler,
} from './euler-ancestral-discrete-scheduler.ts'
import { EULER_DISCRETE_OPTIONS, EulerDiscreteScheduler } from './euler-discrete-scheduler.ts'
import { LCM_OPTIONS, LCMScheduler } from './lcm-scheduler.ts'
import { PNDM_OPTIONS, PNDMScheduler } from './pndm-scheduler.ts'
import { type Scheduler, type SchedulerClassName, SchedulerError } from './scheduler.ts'
import type { Options } from './scheduler-options.ts'
import { TCD_OPTIONS, TCDScheduler } from './tcd-scheduler.ts'

type Json = Readonly<Record<string, unknown>>

interface SchedulerClass {
  readonly create: (config: Json) => Scheduler
  readonly options: Options
}

const CLASSES: Readonly<Record<SchedulerClassName, SchedulerClass>> = {
  DDIMScheduler: { create: (config) => new DDIMScheduler(config), options: DDIM_OPTIONS },
  DPMSolverMultistepScheduler: {
    create: (config) => new DPMSolverMultistepScheduler(config),
    options: DPM_SOLVER_MULTISTEP_OPTIONS,
  },
  EulerAncestralDiscreteScheduler: {
    create: (config) => new EulerAncestralDiscreteScheduler(config),
    options: EULER_ANCESTRAL_DISCRETE_OPTIONS,
  },
  EulerDiscreteScheduler: { create: (config) => new EulerDiscreteScheduler(config), options: EULER_DISCRETE_OPTIONS },
  LCMScheduler: { create: (config) => new LCMScheduler(config), options: LCM_OPTIONS },
  PNDMScheduler: { create: (config) => new PNDMScheduler(config), options: PNDM_OPTIONS },
  TCDScheduler: { create: (config) => new TCDScheduler(config), options: TCD_OPTIONS },
}

/** fal's scheduler names: the diffusers class and what it overrides in the checkpoint's config. */
const NAMED = {
  'DPM++ 2M': ['DPMSolverMultistepScheduler', {}],
  'DPM++ 2M Karras': ['DPMSolverMultistepScheduler', { use_karras_sigmas: true }],
  'DPM++ 2M SDE': ['DPMSolverMultistepScheduler', { algorithm_type: 'sde-dpmsolver++' }],
  'DPM++ 2M SDE Karras': [
    'DPMSolverMultistepScheduler',
    { algorithm_type: 'sde-dpmsolver++', use_karras_sigmas: true },
  ],
  Euler: ['EulerDiscreteScheduler', {}],
  'Euler A': ['EulerAncestralDiscreteScheduler', {}],
  'Euler (trailing timesteps)': ['EulerDiscreteScheduler', { timestep_spacing: 'trailing' }],
  LCM: ['LCMScheduler', {}],
  'LCM (trailing timesteps)': ['LCMScheduler', { timestep_spacing: 'trailing' }],
  DDIM: ['DDIMScheduler', {}],
  TCD: ['TCDScheduler', {}],
} as const satisfies Readonly<Record<string, readonly [SchedulerClassName, Json]>>

/** The scheduler names of fal's endpoints. */
export type SchedulerName = keyof typeof NAMED

/** diffusers' names of the classes. */
export const SCHEDULER_CLASS_NAMES = Object.keys(CLASSES) as readonly SchedulerClassName[]

export const SCHEDULER_NAMES = Object.keys(NAMED) as readonly SchedulerName[]

/**
 * The scheduler `name` (fal's, or a diffusers class) on a checkpoint's noise schedule, as diffusers'
 * `Class.from_config(pipe.scheduler.config, **overrides)` makes it; without a name, the checkpoint's own.
 *
 * Only keys present in the checkpoint's scheduler_config.json carry over: SD1.5, whose file has no timestep_spacing,
 * gets linspace with Euler and leading with DDIM, the defaults of those classes.
 * @param checkpointConfig the parsed scheduler_config.json
 * @param overrides config keys set by the request, such as prediction_type or rescale_betas_zero_snr
 * @throws SchedulerError naming the class or config key that is not implemented
 */
export function createScheduler(
  name: SchedulerName | SchedulerClassName | undefined,
  checkpointConfig: Json,
  overrides: Json = {},
): Scheduler {
  const [className, named] = classOf(name, checkpointConfig)
  const { create, options } = CLASSES[className]
  refuseForeignOverrides(className, options, overrides)
  const given = Object.entries(overrides).filter(([, value]) => value !== undefined)
  return create({ ...withoutDefaultedKeys(checkpointConfig), ...named, ...Object.fromEntries(given) })
}

function classOf(
  name: SchedulerName | SchedulerClassName | undefined,
  checkpointConfig: Json,
): readonly [SchedulerClassName, Json] {
  if (name !== undefined && Object.hasOwn(NAMED, name)) return NAMED[name as SchedulerName]
  const className = name ?? checkpointConfig._class_name
  if (typeof className === 'string' && Object.hasOwn(CLASSES, className)) return [className as SchedulerClassName, {}]
  const known = name === undefined ? Object.keys(CLASSES) : [...SCHEDULER_NAMES, ...Object.keys(CLASSES)]
  throw new SchedulerError(
    String(className),
    name === undefined ? '_class_name' : 'scheduler',
    `not an implemented scheduler; expected ${name === undefined ? "the checkpoint's _class_name" : 'the name'} to be ` +
      `one of ${known.join(', ')}`,
  )
}

/** A live diffusers config lists the keys that its class merely defaulted; they are not the checkpoint's. */
function withoutDefaultedKeys(config: Json): Json {
  const { _use_default_values: defaulted } = config
  if (!Array.isArray(defaulted)) return config
  return Object.fromEntries(Object.entries(config).filter(([key]) => !defaulted.includes(key)))
}

/** diffusers drops an override that the class does not know; a request that asks for one must hear of it instead. */
function refuseForeignOverrides(className: SchedulerClassName, options: Options, overrides: Json): void {
  for (const [key, value] of Object.entries(overrides)) {
    const isOff = value === undefined || value === null || value === false
    if (!isOff && !Object.hasOwn(options, key)) {
      throw new SchedulerError(className, key, `this scheduler has no ${key}; drop it or choose another scheduler`)
    }
  }
}
