import { ArrowDown, ArrowUp, Plus, Trash2 } from 'lucide-react'
import { type RefObject, useRef } from 'react'
import { type JsonSchema, kindOf, resolve, startValue } from '../schema/json-schema.ts'
import { FieldFrame } from './field-frame.tsx'
import { type FieldProps, titleOf, valueAfter } from './field-props.ts'
import { ObjectBody } from './object-field.tsx'

/** Any number of values of one kind: they are added, removed and moved. */
export function ListField(props: FieldProps) {
  const { name, path, schema, value, onChange, form } = props
  const itemsOf = (list: unknown): readonly unknown[] =>
    Array.isArray(list) ? list : Array.isArray(schema.default) ? schema.default : []
  const items = itemsOf(value)
  const identities = useIdentities(items.length)
  const itemSchema = resolve(schema.items ?? {}, form.document)
  const title = singular(titleOf(schema, name))
  const replace = (identity: unknown, next: unknown) =>
    onChange((now: unknown) => {
      const index = identities.current.indexOf(identity)
      return index < 0 ? now : itemsOf(now).map((item, at) => (at === index ? valueAfter(next, item) : item))
    })
  const move = (index: number, by: number) => {
    identities.current = swapped(identities.current, index, index + by)
    onChange(swapped(items, index, index + by))
  }
  const remove = (index: number) => {
    identities.current = identities.current.filter((_, at) => at !== index)
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
              onItem={replace.bind(undefined, identities.current[index])}
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

/** By which an element is known that was moved since something for it began, an upload for example; one that was removed is none of them. */
function useIdentities(count: number): RefObject<readonly unknown[]> {
  const identities = useRef<readonly unknown[]>([])
  const { current } = identities
  if (current.length !== count) identities.current = Array.from({ length: count }, (_, at) => current[at] ?? {})
  return identities
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

function swapped<T>(items: readonly T[], from: number, to: number): readonly T[] {
  return items.map((item, at) => (at === from ? items[to] : at === to ? items[from] : item) as T)
}

function singular(title: string): string {
  return title.replace(/(?<!s)s$/i, '')
}
