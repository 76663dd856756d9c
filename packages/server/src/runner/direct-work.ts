import type { DirectWork } from '../channel/direct-channel.ts'
import { type AttemptEnvironment, answerAttempt } from './attempt.ts'
import type { Turn } from './dispatcher.ts'
import { StopReason } from './stop-reason.ts'

/** Works on one input of the direct channel and emits its events, `result` last; never throws. */
export async function runDirectWork(
  work: DirectWork,
  controller: AbortController,
  turn: Turn,
  environment: AttemptEnvironment & { readonly runTimeoutSeconds: number },
): Promise<void> {
  const { conversation } = work
  const cancel = () => controller.abort(new StopReason('cancelled', 'The client went away'))
  if (work.signal.aborted) cancel()
  else work.signal.addEventListener('abort', cancel, { once: true })
  const { status, headers, output, inferenceSeconds } = await answerAttempt(
    {
      request: conversation,
      readInput: ({ schema }) => environment.validation.validate(schema, work.input),
      streaming: conversation.streaming,
      inlineBytes: conversation.inlineBytes,
      controller,
      turn,
      runTimeoutSeconds: environment.runTimeoutSeconds,
      onStarted: () => work.emit({ type: 'started' }),
      onFinishing: () => work.emit({ type: 'finishing' }),
      onPartial: (partial) => {
        if (conversation.streaming) work.emit({ type: 'partial', output: partial })
      },
      onLog: (entry) => work.emit({ type: 'log', entry }),
    },
    environment,
  )
  work.signal.removeEventListener('abort', cancel)
  work.emit({
    type: 'result',
    status,
    headers,
    output,
    ...(inferenceSeconds === undefined ? {} : { inferenceSeconds }),
  })
}
