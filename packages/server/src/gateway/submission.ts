import type { EndpointSchema } from '../endpoints/endpoint.ts'
import { readRequestOptions } from '../protocol/request-options.ts'
import type { Submission } from '../queue/request-queue.ts'
import { parseLifecycle } from '../storage/lifecycle.ts'
import { accountOf } from './authentication.ts'
import type { GatewayContext } from './dependencies.ts'

/**
 * A call as the queue keeps it: what the URL, the headers and the key say, the input as the client sent it.
 * @throws WireError 400 for a lifecycle that cannot be read: the runner would find out when the picture is drawn
 */
export function describeSubmission(
  c: GatewayContext,
  call: Pick<Submission, 'requestId' | 'input' | 'filesUrl'> & { readonly endpoint: EndpointSchema },
): Submission {
  const key = c.get('key')
  const options = readRequestOptions((name) => c.req.header(name))
  parseLifecycle(options.objectLifecycle)
  return {
    requestId: call.requestId,
    endpointId: call.endpoint.id,
    input: call.input,
    filesUrl: call.filesUrl,
    priority: options.priority,
    retry: options.retry,
    storeIo: options.storeIo,
    account: accountOf(c),
    ...(key === undefined ? {} : { keyId: key.keyId }),
    ...(options.startTimeoutSeconds === undefined ? {} : { startTimeoutSeconds: options.startTimeoutSeconds }),
    ...(options.runnerHint === undefined ? {} : { runnerHint: options.runnerHint }),
    ...(options.objectLifecycle === undefined ? {} : { objectLifecycle: options.objectLifecycle }),
  }
}
