import { PRIVATE_TARGETS_SETTING } from '../security/address-policy.ts'
import { OutboundError } from '../security/outbound-error.ts'
import { ModelError } from './model-error.ts'

/** Seconds that a busy server may ask to wait; a longer wait is the caller's to decide. */
const LONGEST_WAIT_SECONDS = 60

/** An answer that is no success. `retryAfter`: seconds that the server asks to wait. */
export class StatusError extends Error {
  override readonly name = 'StatusError'
  readonly status: number
  readonly retryAfter: number | undefined

  constructor(status: number, retryAfter?: number) {
    super(`the server answered ${status}`)
    this.status = status
    this.retryAfter = retryAfter
  }
}

/** The body ended early, stalled, or was of another length than promised. */
export class CutError extends Error {
  override readonly name = 'CutError'
}

/** Seconds of a Retry-After header: a number, or a date. */
export function retryAfterSeconds(header: string | undefined, now: Date): number | undefined {
  if (header === undefined) return undefined
  if (/^\s*\d+\s*$/.test(header)) return Number(header)
  const date = Date.parse(header)
  return Number.isNaN(date) ? undefined : Math.max(0, Math.ceil((date - now.getTime()) / 1000))
}

/** Whether the same request may well succeed in a moment. */
export function isPassing(error: unknown): boolean {
  if (error instanceof CutError) return true
  if (error instanceof OutboundError) return error.code === 'network' || error.code === 'timeout'
  if (!(error instanceof StatusError)) return false
  return [408, 429, 500, 502, 503, 504].includes(error.status) && (error.retryAfter ?? 0) <= LONGEST_WAIT_SECONDS
}

/** What went wrong with a download, as one sentence for whoever asked for it; anything else stays as it is. */
export function toModelError(error: unknown, label: string): unknown {
  if (error instanceof CutError) {
    return new ModelError(
      'unreachable',
      `The download of ${label} was cut off (${error.message}); try again to resume it.`,
      error,
    )
  }
  if (error instanceof StatusError) return statusError(error, label)
  if (error instanceof OutboundError) return outboundError(error, label)
  if (isNoSpace(error)) {
    return new ModelError(
      'disk-full',
      `The disk is full: ${label} could not be stored; free some space and try again to resume it.`,
      error,
    )
  }
  return error
}

function statusError(error: StatusError, label: string): ModelError {
  const { status, retryAfter } = error
  if (status === 429) {
    const when = retryAfter === undefined ? 'later' : `in ${retryAfter} s`
    return new ModelError('rate-limited', `The server of ${label} answers too many requests; try again ${when}.`, error)
  }
  if (status === 401 || status === 403) {
    return new ModelError(
      'gated',
      `The server of ${label} gives it only to those it knows (HTTP ${status}); for Civitai, set CIVITAI_TOKEN to an API token.`,
      error,
    )
  }
  if (status === 404 || status === 410) {
    return new ModelError('not-found', `There is no ${label}: its server answers ${status}.`, error)
  }
  return new ModelError('unreachable', `The server of ${label} answers ${status}; try again later.`, error)
}

function outboundError(error: OutboundError, label: string): ModelError {
  // What a name resolves to inside this network is not the caller's to know.
  if (error.code === 'blocked') {
    return new ModelError(
      'blocked',
      `${label} leads to an address that this server does not fetch from; its operator can allow private networks with ${PRIVATE_TARGETS_SETTING}.`,
      error,
    )
  }
  if (error.code === 'too_large') {
    return new ModelError('too-large', `${label} is larger than this server takes: ${error.message}.`, error)
  }
  if (error.code === 'invalid_url') {
    return new ModelError('invalid-reference', `${label} cannot be fetched: ${error.message}.`, error)
  }
  return new ModelError(
    'unreachable',
    `${label} could not be fetched: ${error.message}; try again to resume it.`,
    error,
  )
}

function isNoSpace(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'ENOSPC' || error.code === 'EDQUOT')
}
