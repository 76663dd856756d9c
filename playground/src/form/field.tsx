import { kindOf } from '../schema/json-schema.ts'
import { ChoiceField } from './choice-field.tsx'
import type { FieldProps } from './field-props.ts'
import { ImageField } from './image-field.tsx'
import { JsonField } from './json-field.tsx'
import { ListField } from './list-field.tsx'
import { NumberField } from './number-field.tsx'
import { ObjectField } from './object-field.tsx'
import { SwitchField } from './switch-field.tsx'
import { TextField } from './text-field.tsx'
import { UnionField } from './union-field.tsx'

/** The field that a schema asks for. */
export function Field(props: FieldProps) {
  switch (kindOf(props.schema, props.name)) {
    case 'image':
      return <ImageField {...props} />
    case 'mask':
      return <ImageField {...props} isMask />
    case 'choice':
      return <ChoiceField {...props} />
    case 'boolean':
      return <SwitchField {...props} />
    case 'integer':
    case 'number':
      return <NumberField {...props} />
    case 'text':
      return <TextField {...props} />
    case 'object':
      return <ObjectField {...props} />
    case 'list':
      return <ListField {...props} />
    case 'union':
      return <UnionField {...props} />
    case 'json':
      return <JsonField {...props} />
  }
}
