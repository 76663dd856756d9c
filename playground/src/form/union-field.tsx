import {
  branchesOf,
  branchName,
  branchOf,
  type JsonSchema,
  kindOf,
  resolve,
  startValue,
} from '../schema/json-schema.ts'
import { FieldFrame } from './field-frame.tsx'
import { type FieldProps, titleOf } from './field-props.ts'
import { ObjectBody } from './object-field.tsx'

/** One of several kinds of value: a named size or one in pixels. */
export function UnionField(props: FieldProps) {
  const { name, path, schema, value, onChange, form } = props
  const branches = branchesOf(schema).map((branch) => resolve(branch, form.document))
  const shown = value ?? schema.default
  const isUnset = shown === undefined || shown === null
  const current = isUnset ? -1 : branchOf(shown, branches)
  const branch = branches[current]
  return (
    <FieldFrame {...props} isGroup ownsErrorsBelow>
      <div className="segments" role="radiogroup" aria-label={`Kind of ${titleOf(schema, name)}`}>
        {isUnset ? <Segment path={path} label="Default" isChecked onChoose={() => {}} /> : null}
        {choicesFirst(branches, name).map((candidate) => (
          <Segment
            key={branchName(candidate, name)}
            path={path}
            label={branchName(candidate, name)}
            isChecked={candidate === branch}
            onChoose={() => onChange(startValue(candidate, form.document))}
          />
        ))}
      </div>
      {branch === undefined ? null : <Branch {...props} branch={branch} shown={shown} />}
    </FieldFrame>
  )
}

/** Names to choose from stand before what is to be typed. */
function choicesFirst(branches: readonly JsonSchema[], name: string): readonly JsonSchema[] {
  const isChoice = (branch: JsonSchema) => kindOf(branch, name) === 'choice'
  return [...branches.filter(isChoice), ...branches.filter((branch) => !isChoice(branch))]
}

interface SegmentProps {
  readonly path: string
  readonly label: string
  readonly isChecked: boolean
  readonly onChoose: () => void
}

function Segment({ path, label, isChecked, onChoose }: SegmentProps) {
  return (
    <label className="segment">
      <input type="radio" name={`${path}-kind`} checked={isChecked} onChange={onChoose} />
      <span>{label}</span>
    </label>
  )
}

function Branch({ branch, shown, ...props }: FieldProps & { branch: FieldProps['schema']; shown: unknown }) {
  const { name, schema, path, form, onChange } = props
  const kind = kindOf(branch, name)
  if (kind === 'object') return <ObjectBody {...props} schema={branch} value={shown} />
  if (kind === 'choice') {
    return (
      <select
        aria-label={titleOf(schema, name)}
        value={String(shown)}
        onChange={(event) => onChange(event.target.value)}
      >
        {(branch.enum ?? []).map((choice) => (
          <option key={String(choice)}>{String(choice)}</option>
        ))}
      </select>
    )
  }
  return <form.Field name={name} path={path} schema={branch} required value={shown} onChange={onChange} form={form} />
}
