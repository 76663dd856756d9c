import * as Slider from '@radix-ui/react-slider'
import { Dices } from 'lucide-react'
import { boundsOf } from '../schema/json-schema.ts'
import { describedBy, FieldFrame } from './field-frame.tsx'
import { type FieldProps, idOf, titleOf } from './field-props.ts'

/** Above this a slider is too coarse to be of use. */
const WIDEST_SLIDER = 10_000
/** Largest seed that is drawn here: every client reads all its digits. */
const SEEDS = 2 ** 32

/** A number; with a slider where it lies between two bounds. */
export function NumberField(props: FieldProps) {
  const { name, path, schema, value, onChange } = props
  const { minimum, maximum } = boundsOf(schema)
  const isInteger = schema.type === 'integer'
  const shown = value ?? schema.default
  const range = minimum === undefined || maximum === undefined ? undefined : maximum - minimum
  const step = schema.multipleOf ?? (isInteger ? 1 : stepOf(range))
  return (
    <FieldFrame {...props}>
      <div className="number">
        {range !== undefined && range <= WIDEST_SLIDER && typeof minimum === 'number' ? (
          <NumberSlider {...props} shown={shown} step={step} minimum={minimum} maximum={minimum + range} />
        ) : null}
        <input
          id={idOf(path)}
          type="number"
          inputMode={isInteger ? 'numeric' : 'decimal'}
          value={shown === undefined || shown === null ? '' : String(shown)}
          placeholder={name === 'seed' ? 'random' : ''}
          step={isInteger ? 1 : 'any'}
          // A bound beyond what a double holds is no use to a browser.
          {...(typeof minimum === 'number' && Number.isSafeInteger(Math.trunc(minimum)) && { min: minimum })}
          {...(typeof maximum === 'number' && Number.isSafeInteger(Math.trunc(maximum)) && { max: maximum })}
          onChange={(event) => onChange(numberOf(event.target.value))}
          {...describedBy(props)}
        />
        {name === 'seed' ? (
          <button
            type="button"
            className="icon-button"
            aria-label="Take a random seed"
            title="Take a random seed"
            onClick={() => onChange(Math.floor(Math.random() * SEEDS))}
          >
            <Dices aria-hidden size={18} />
          </button>
        ) : null}
      </div>
    </FieldFrame>
  )
}

interface NumberSliderProps extends FieldProps {
  readonly shown: unknown
  readonly step: number
  readonly minimum: number
  readonly maximum: number
}

function NumberSlider({ name, schema, shown, step, minimum, maximum, onChange }: NumberSliderProps) {
  const at = typeof shown === 'number' ? Math.min(maximum, Math.max(minimum, shown)) : minimum
  return (
    <Slider.Root
      className="slider"
      min={minimum}
      max={maximum}
      step={step}
      value={[at]}
      onValueChange={([next]) => onChange(next === undefined ? undefined : roundTo(next, step))}
    >
      <Slider.Track className="slider-track">
        <Slider.Range className="slider-range" />
      </Slider.Track>
      <Slider.Thumb className="slider-thumb" aria-label={`${titleOf(schema, name)}, slider`} />
    </Slider.Root>
  )
}

/** A step that gives a slider some hundred places. */
function stepOf(range: number | undefined): number {
  if (range === undefined) return 0.01
  return range <= 2 ? 0.01 : range <= 30 ? 0.1 : 1
}

function roundTo(value: number, step: number): number {
  const digits = Math.max(0, -Math.floor(Math.log10(step)))
  return Number(value.toFixed(digits))
}

/** Seeds beyond 2^53 keep all their digits as text, which the server reads as well. */
function numberOf(text: string): number | string | undefined {
  if (text === '') return undefined
  const value = Number(text)
  return /^\d+$/.test(text) && !Number.isSafeInteger(value) ? text : value
}
