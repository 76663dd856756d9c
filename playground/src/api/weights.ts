import { useQuery } from '@tanstack/react-query'
import { callServer } from './connection.ts'

/** Weights on the server's machine. */
export interface Weights {
  readonly name: string
  readonly source: string
  readonly bytes: number
  readonly kind: string | null
  readonly family: string | null
  readonly is_whole: boolean
  readonly is_warm: boolean
}

/** What is on the machine; refused to keys that may not manage it. */
export function useWeights() {
  return useQuery({
    queryKey: ['weights'],
    queryFn: async () =>
      ((await (await callServer('/v1/darkroom/models')).json()) as { models: readonly Weights[] }).models,
  })
}

export interface PullEvent {
  readonly type: 'planned' | 'progress' | 'done' | 'failed'
  readonly done_bytes?: number
  readonly total_bytes?: number | null
  readonly missing_bytes?: number | null
  readonly message?: string
}

/** Has the server fetch a model, and tells how far it is; an abort stops the download, and another pull goes on from there. */
export async function pullWeights(
  model: string,
  onEvent: (event: PullEvent) => void,
  signal: AbortSignal,
): Promise<void> {
  const response = await callServer('/v1/darkroom/models/pull', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model }),
    signal,
  })
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader()
  let text = ''
  for (let part = await reader?.read(); part?.done === false; part = await reader?.read()) {
    const events = (text + part.value).split('\n\n')
    text = events.pop() ?? ''
    for (const event of events) {
      if (event.startsWith('data:')) onEvent(JSON.parse(event.slice('data:'.length)) as PullEvent)
    }
  }
}
