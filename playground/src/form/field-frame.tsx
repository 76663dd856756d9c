import { RotateCcw } from 'lucide-react'
import type { ReactNode } from 'react'
import { errorsAt } from '../schema/field-errors.ts'
import { type FieldProps, idOf, titleOf } from './field-props.ts'

interface FieldFrameProps extends FieldProps {
  readonly children: ReactNode
  /** Fields of several controls are a group, which has a legend in place of a label. */
  readonly isGroup?: boolean
  /** Errors of what lies inside belong here, because what lies inside shows none. */
  readonly ownsErrorsBelow?: boolean
}

/** A field's label, description, reset and errors around its control. */
export function FieldFrame(props: FieldFrameProps) {
  const { path, schema, name, required, value, form, children, isGroup = false, ownsErrorsBelow = false } = props
  const id = idOf(path)
  const messages = errorsAt(form.errors, path, ownsErrorsBelow)
  const title = titleOf(schema, name)
  const label = (
    <>
      {title}
      {required ? <span className="required"> required</span> : null}
    </>
  )
  const canReset = value !== undefined && !required
  return (
    <div
      className={`field${messages.length > 0 ? ' has-error' : ''}`}
      data-path={path}
      {...(isGroup && { role: 'group', 'aria-labelledby': `${id}-label` })}
    >
      <div className="field-head">
        {isGroup ? (
          <span className="label" id={`${id}-label`}>
            {label}
          </span>
        ) : (
          <label className="label" htmlFor={id} id={`${id}-label`}>
            {label}
          </label>
        )}
        <code className="field-name">{name}</code>
        {canReset ? (
          <button
            type="button"
            className="icon-button reset"
            aria-label={`Reset ${title} to its default`}
            title="Reset to the default"
            onClick={() => props.onChange(undefined)}
          >
            <RotateCcw aria-hidden size={14} />
          </button>
        ) : null}
      </div>
      {children}
      {schema.description === undefined ? null : (
        <p className="description" id={`${id}-description`}>
          {schema.description}
        </p>
      )}
      {messages.map((message) => (
        <p className="error" key={message} id={`${id}-error`}>
          {message}
        </p>
      ))}
    </div>
  )
}

/** What a control tells assistive technology about its description and errors. */
export function describedBy({ path, schema, form }: FieldProps): {
  readonly 'aria-describedby'?: string
  readonly 'aria-invalid'?: true
} {
  const id = idOf(path)
  const isWrong = errorsAt(form.errors, path, false).length > 0
  const parts = [
    ...(schema.description === undefined ? [] : [`${id}-description`]),
    ...(isWrong ? [`${id}-error`] : []),
  ]
  return { ...(parts.length > 0 && { 'aria-describedby': parts.join(' ') }), ...(isWrong && { 'aria-invalid': true }) }
}
