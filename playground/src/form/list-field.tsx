import { ArrowDown, ArrowUp, Plus, Trash2 } from 'lucide-react'
import { type JsonSchema, kindOf, resolve, startValue } from '../schema/json-schema.ts'
import { FieldFrame } from './field-frame.tsx'
import { type FieldProps, titleOf } from './field-props.ts'
import { ObjectBody } from './object-field.tsx'

/** Any number of values of one kind: they are added, removed and moved. */
export function ListField(props: FieldProps) {
  const { name, path, schema, value, onChange, form } = props
  const items: readonly unknown[] = Array.isArray(value) ? value : Array.isArray(schema.default) ? schema.default : []
  const itemSchema = resolve(schema.items ?? {}, form.document)
  const title = singular(titleOf(schema, name))
  const replace = (index: number, next: unknown) => onChange(items.map((item, at) => (at === index ? next : item)))
  const move = (index: number, by: number) => onChange(swapped(items, index, index + by))
  const remove = (index: number) => {
    const rest = items.filter((_, at) => at !== index)
    onChange(rest.length === 0 && !props.required ? undefined : rest)
  }
  return (
    <FieldFrame {...props} isGroup>
      <ol className="list">
        {items.map((item, index) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: elements have no identity but their place
          <li key={index}>
            <div className="list-head">
              <span>
                {title} {index + 1}
              </span>
              <ItemButtons
                title={`${title} ${index + 1}`}
                isFirst={index === 0}
                isLast={index === items.length - 1}
                onMove={(by) => move(index, by)}
                onRemove={() => remove(index)}
              />
            </div>
            <Item
              {...props}
              index={index}
              itemSchema={itemSchema}
              item={item}
              onItem={(next) => replace(index, next)}
            />
          </li>
        ))}
      </ol>
      <button
        type="button"
        className="button small"
        disabled={schema.maxItems !== undefined && items.length >= schema.maxItems}
        onClick={() => onChange([...items, startValue(itemSchema, form.document)])}
        data-add={path}
      >
        <Plus aria-hidden size={16} /> Add {title.toLowerCase()}
      </button>
    </FieldFrame>
  )
}

interface ItemProps extends FieldProps {
  readonly index: number
  readonly itemSchema: JsonSchema
  readonly item: unknown
  readonly onItem: (value: unknown) => void
}

function Item({ name, path, form, index, itemSchema, item, onItem }: ItemProps) {
  const itemProps = {
    // `image_urls` are pictures, each named as one.
    name: name.replace(/s$/, ''),
    path: `${path}.${index}`,
    schema: itemSchema,
    required: true,
    value: item,
    onChange: onItem,
    form,
  }
  return kindOf(itemSchema, itemProps.name) === 'object' ? <ObjectBody {...itemProps} /> : <form.Field {...itemProps} />
}

interface ItemButtonsProps {
  readonly title: string
  readonly isFirst: boolean
  readonly isLast: boolean
  readonly onMove: (by: 1 | -1) => void
  readonly onRemove: () => void
}

function ItemButtons({ title, isFirst, isLast, onMove, onRemove }: ItemButtonsProps) {
  return (
    <span className="row">
      <button
        type="button"
        className="icon-button"
        aria-label={`Move ${title} up`}
        disabled={isFirst}
        onClick={() => onMove(-1)}
      >
        <ArrowUp aria-hidden size={16} />
      </button>
      <button
        type="button"
        className="icon-button"
        aria-label={`Move ${title} down`}
        disabled={isLast}
        onClick={() => onMove(1)}
      >
        <ArrowDown aria-hidden size={16} />
      </button>
      <button type="button" className="icon-button" aria-label={`Remove ${title}`} onClick={onRemove}>
        <Trash2 aria-hidden size={16} />
      </button>
    </span>
  )
}

function swapped(items: readonly unknown[], from: number, to: number): readonly unknown[] {
  const copy = [...items]
  copy[from] = items[to]
  copy[to] = items[from]
  return copy
}

function singular(title: string): string {
  return title.replace(/(?<!s)s$/i, '')
}
