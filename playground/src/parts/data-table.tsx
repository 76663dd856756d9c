import type { ReactNode } from 'react'

/** A column's title; an empty one stands over buttons. An optional column is left out where there is little room: give its cells the class too. */
type Column = string | { readonly title: string; readonly isOptional: true }

interface DataTableProps {
  /** What readers of the screen call the table. */
  readonly label: string
  readonly columns: readonly Column[]
  /** Rows, whose first cells are `<th scope="row">`. */
  readonly children: ReactNode
}

/** Rows of facts under named columns. */
export function DataTable({ label, columns, children }: DataTableProps) {
  return (
    <div className="panel table-panel">
      <table aria-label={label}>
        <thead>
          <tr>{columns.map(headerCell)}</tr>
        </thead>
        <tbody>{children}</tbody>
      </table>
    </div>
  )
}

function headerCell(column: Column) {
  if (column === '') return <td key="" />
  const { title, isOptional } = typeof column === 'string' ? { title: column, isOptional: false } : column
  return (
    <th key={title} scope="col" className={isOptional ? 'optional' : undefined}>
      {title}
    </th>
  )
}
