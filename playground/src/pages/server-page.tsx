import { useCatalogue } from '../api/catalogue.ts'
import { type MetricSample, sumOf } from '../api/metrics-text.ts'
import { type ServerState, useServerState } from '../api/server-state.ts'
import { Alert } from '../parts/alert.tsx'
import { DataTable } from '../parts/data-table.tsx'
import { usePageTitle } from '../parts/page-title.ts'
import { sizeText } from '../parts/size-text.ts'

/** How the server is: what it depends on, its queue, runners, memory and disk. */
export default function ServerPage() {
  usePageTitle('Server')
  const { data, error } = useServerState()
  return (
    <>
      <h1>Server</h1>
      {error === null ? null : <Alert>The server does not answer: {error.message}</Alert>}
      {data === undefined ? null : (
        <>
          <StateFacts state={data} />
          <div className="columns">
            <RunnersSection samples={data.samples} />
            <DiskSection samples={data.samples} />
          </div>
          <QueueSection samples={data.samples} />
        </>
      )}
    </>
  )
}

function StateFacts({ state: { ready, checks, samples } }: { readonly state: ServerState }) {
  const value = (name: string) => sumOf(samples, name)
  const startedAt = value('process_start_time_seconds')
  const facts: readonly (readonly [string, string])[] = [
    ['State', ready ? 'ready' : 'not ready'],
    ...Object.entries(checks).map(([name, state]) => [capitalised(name), state] as const),
    ['Requests answered', value('darkroom_http_requests_total').toLocaleString()],
    ['Open streams', String(value('darkroom_open_streams'))],
    ['Gateway memory', sizeText(value('process_resident_memory_bytes'))],
    ...(startedAt > 0 ? [['Up for', durationText(Date.now() / 1000 - startedAt)] as const] : []),
  ]
  return (
    <dl className="tiles">
      {facts.map(([name, text]) => (
        <div key={name} className="panel">
          <dt>{name}</dt>
          <dd>{text}</dd>
        </div>
      ))}
    </dl>
  )
}

function RunnersSection({ samples }: { readonly samples: readonly MetricSample[] }) {
  const runners = samples.filter(({ name }) => name === 'darkroom_runner_busy')
  const of = (name: string, runner: string) => sumOf(samples, name, { runner })
  return (
    <section className="section">
      <h2>Runners</h2>
      {runners.length === 0 ? (
        <p className="panel hint">No runner is here: requests wait until one comes.</p>
      ) : (
        <DataTable label="Runners" columns={['Device', 'Precision', 'Memory', 'At work']}>
          {runners.map(({ labels: { runner = '', device = '', precision = '' } }) => (
            <tr key={runner}>
              <th scope="row">{device}</th>
              <td>{precision}</td>
              <td>
                {sizeText(of('darkroom_runner_resident_bytes', runner))} of{' '}
                {sizeText(of('darkroom_runner_machine_bytes', runner))}
              </td>
              <td>
                {of('darkroom_runner_busy', runner)} of {of('darkroom_runner_capacity', runner)}
              </td>
            </tr>
          ))}
        </DataTable>
      )}
    </section>
  )
}

const KEPT = [
  ['payloads', 'Requests'],
  ['files', 'Files'],
] as const

function DiskSection({ samples }: { readonly samples: readonly MetricSample[] }) {
  const of = (name: string, kind: string) => sumOf(samples, name, { kind })
  return (
    <section className="section">
      <h2>Disk</h2>
      <div className="panel meters">
        {KEPT.map(([kind, title]) => {
          const used = of('darkroom_stored_bytes', kind)
          const budget = of('darkroom_stored_budget_bytes', kind)
          return (
            <div key={kind}>
              <p className="meter-text">
                <span>{title}</span>
                <span>
                  {sizeText(used)} of {sizeText(budget)}
                </span>
              </p>
              <meter aria-label={title} min={0} max={Math.max(1, budget)} value={used} />
            </div>
          )
        })}
        <p className="meter-text">
          <span>Free</span>
          <span>{sizeText(sumOf(samples, 'darkroom_disk_free_bytes'))}</span>
        </p>
      </div>
    </section>
  )
}

function QueueSection({ samples }: { readonly samples: readonly MetricSample[] }) {
  const { data: endpoints = [] } = useCatalogue()
  const count = (endpoint: string, state: string) => sumOf(samples, 'darkroom_queue_requests', { endpoint, state })
  return (
    <section className="section">
      <h2>Queue</h2>
      <DataTable label="Queue" columns={['Endpoint', 'Waiting', 'Running']}>
        {endpoints.map(({ id }) => (
          <tr key={id}>
            <th scope="row">
              <code>{id}</code>
            </th>
            <td>{count(id, 'queued')}</td>
            <td>{count(id, 'running')}</td>
          </tr>
        ))}
      </DataTable>
    </section>
  )
}

const MINUTE = 60
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

function durationText(seconds: number): string {
  if (seconds < HOUR) return `${Math.floor(seconds / MINUTE)} min`
  if (seconds < DAY) return `${Math.floor(seconds / HOUR)} h ${Math.floor((seconds % HOUR) / MINUTE)} min`
  return `${Math.floor(seconds / DAY)} d ${Math.floor((seconds % DAY) / HOUR)} h`
}

function capitalised(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1)
}
