import type { EndpointSchema } from '../endpoints/endpoint.ts'
import { readRequestOptions } from '../protocol/request-options.ts'
import type { Submission } from '../queue/request-queue.ts'
import type { GatewayContext } from './dependencies.ts'

/** A call as the queue keeps it: what the URL, the headers and the key say, the input as the client sent it. */
export function describeSubmission(
  c: GatewayContext,
  call: Pick<Submission, 'requestId' | 'input' | 'filesUrl'> & { readonly endpoint: EndpointSchema },
): Submission {
  const options = readRequestOptions((name) => c.req.header(name))
  return {
    requestId: call.requestId,
    endpointId: call.endpoint.id,
    input: call.input,
    filesUrl: call.filesUrl,
    priority: options.priority,
    retry: options.retry,
    storeIo: options.storeIo,
    ...(c.var.key === undefined ? {} : { keyId: c.var.key.keyId }),
    ...(options.startTimeoutSeconds === undefined ? {} : { startTimeoutSeconds: options.startTimeoutSeconds }),
    ...(options.runnerHint === undefined ? {} : { runnerHint: options.runnerHint }),
    ...(options.objectLifecycle === undefined ? {} : { objectLifecycle: options.objectLifecycle }),
  }
}
