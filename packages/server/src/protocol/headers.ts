/** Header names of fal's protocol, lower case as HTTP/2 and Node have them. */
export const REQUEST_ID = 'x-fal-request-id'
export const BILLABLE_UNITS = 'x-fal-billable-units'
const ERROR_TYPE = 'x-fal-error-type'
export const REQUEST_TIMEOUT_TYPE = 'x-fal-request-timeout-type'

export const START_TIMEOUT = 'x-fal-request-start-timeout'
/** The name both clients still send for the start timeout; `START_TIMEOUT` wins when both are there. */
export const REQUEST_TIMEOUT = 'x-fal-request-timeout'
export const QUEUE_PRIORITY = 'x-fal-queue-priority'
export const RUNNER_HINT = 'x-fal-runner-hint'
export const NO_RETRY = 'x-fal-no-retry'
export const STORE_IO = 'x-fal-store-io'
export const OBJECT_LIFECYCLE = 'x-fal-object-lifecycle-preference'
export const TARGET_URL = 'x-fal-target-url'

/** Names the checkpoint that drew the picture, bundled demo checkpoints included. */
export const MODEL = 'x-darkroom-model'
/** What drew it: `cpu`, `cuda` … */
export const DEVICE = 'x-darkroom-device'
/** `exact`, or in what other arithmetic it was drawn. */
export const PRECISION = 'x-darkroom-precision'

/** Readable by a browser's script; without this list `result.requestId` is empty there. */
export const EXPOSED_HEADERS: readonly string[] = [
  REQUEST_ID,
  REQUEST_TIMEOUT_TYPE,
  ERROR_TYPE,
  BILLABLE_UNITS,
  MODEL,
  DEVICE,
  PRECISION,
  'x-fal-served-from',
  'etag',
  'content-range',
  'content-length',
  'content-disposition',
  'accept-ranges',
  'last-modified',
]
