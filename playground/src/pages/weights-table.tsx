import type { Weights } from '../api/weights.ts'
import { DataTable } from '../parts/data-table.tsx'
import { sizeText } from '../parts/size-text.ts'

/** What lies on the server's machine. */
export function WeightsTable({ weights }: { readonly weights: readonly Weights[] }) {
  if (weights.length === 0) {
    return (
      <p className="panel hint">
        Nothing has been fetched yet. Pinhole, which is part of the program, draws until then.
      </p>
    )
  }
  return (
    <DataTable label="On this machine" columns={['Name', 'Kind', 'Size', 'State']}>
      {weights.map((each) => (
        <tr key={`${each.source} ${each.name}`}>
          <th scope="row">
            <code>{each.name}</code>
          </th>
          <td>{[each.kind, each.family].filter((part) => part !== null).join(', ')}</td>
          <td>{sizeText(each.bytes)}</td>
          <td>
            <StatePill weights={each} />
          </td>
        </tr>
      ))}
    </DataTable>
  )
}

function StatePill({ weights: { is_whole: isWhole, is_warm: isWarm } }: { readonly weights: Weights }) {
  if (!isWhole) return <span className="pill bad">a part is missing</span>
  return <span className="pill good">{isWarm ? 'loaded' : 'ready'}</span>
}
