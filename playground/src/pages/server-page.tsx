import { useCatalogue } from '../api/catalogue.ts'
import { type MetricSample, sumOf } from '../api/metrics-text.ts'
import { useServerState } from '../api/server-state.ts'
import { usePageTitle } from '../parts/page-title.ts'

/** How the server is: what it depends on, its queue, runners and memory. */
export default function ServerPage() {
  usePageTitle('Server')
  const { data, error } = useServerState()
  return (
    <>
      <h1>Server</h1>
      {error === null ? null : (
        <p className="error" role="alert">
          The server does not answer: {error.message}
        </p>
      )}
      {data === undefined ? null : (
        <>
          <dl className="facts panel">
            <div>
              <dt>State</dt>
              <dd>{data.ready ? 'ready' : 'not ready'}</dd>
            </div>
            {Object.entries(data.checks).map(([name, state]) => (
              <div key={name}>
                <dt>{name}</dt>
                <dd>{state}</dd>
              </div>
            ))}
            {numbersOf(data.samples).map(([name, text]) => (
              <div key={name}>
                <dt>{name}</dt>
                <dd>{text}</dd>
              </div>
            ))}
          </dl>
          <QueueTable samples={data.samples} />
        </>
      )}
    </>
  )
}

function QueueTable({ samples }: { readonly samples: readonly MetricSample[] }) {
  const { data: endpoints = [] } = useCatalogue()
  const count = (endpoint: string, state: string) => sumOf(samples, 'darkroom_queue_requests', { endpoint, state })
  return (
    <table className="panel">
      <caption>Queue</caption>
      <thead>
        <tr>
          <th scope="col">Endpoint</th>
          <th scope="col">Waiting</th>
          <th scope="col">Running</th>
        </tr>
      </thead>
      <tbody>
        {endpoints.map(({ id }) => (
          <tr key={id}>
            <th scope="row">
              <code>{id}</code>
            </th>
            <td>{count(id, 'queued')}</td>
            <td>{count(id, 'running')}</td>
          </tr>
        ))}
      </tbody>
    </table>
  )
}

const MEBIBYTE = 1024 * 1024

function numbersOf(samples: readonly MetricSample[]): readonly (readonly [string, string])[] {
  const value = (name: string) => sumOf(samples, name)
  const startedAt = value('process_start_time_seconds')
  return [
    ['Runners', String(value('darkroom_runners'))],
    ['Requests answered', String(value('darkroom_http_requests_total'))],
    ['Open streams', String(value('darkroom_open_streams'))],
    ['Memory of the gateway', `${Math.round(value('process_resident_memory_bytes') / MEBIBYTE)} MiB`],
    ...(startedAt > 0 ? [['Since', new Date(startedAt * 1000).toLocaleString()] as const] : []),
  ]
}
