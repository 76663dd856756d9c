import type { MiddlewareHandler } from 'hono'
import { requestError } from '../errors/errors.ts'
import type { BodyLease } from './body-lease.ts'
import type { GatewayEnv } from './dependencies.ts'

/** Bodies of this size are always taken: nearly all are, and thousands of them come to little. */
const SMALL_BYTES = 64 * 1024

/** Memory for the bodies of calls that are underway, all clients together. */
export class BodiesInFlight {
  readonly #most: number
  #bytes = 0

  /** @param most bytes; at least as many as one body may have */
  constructor(most: number) {
    this.#most = most
  }

  get bytes(): number {
    return this.#bytes
  }

  lease(): BodyLease {
    let held = 0
    return {
      hold: (bytes) => {
        const wanted = bytes <= SMALL_BYTES ? 0 : bytes
        if (wanted <= held) return
        if (this.#bytes - held + wanted > this.#most) {
          throw requestError(
            'concurrent_requests_limit',
            'This server holds as many large request bodies as it can: try again, or upload files to storage and send their URLs',
          )
        }
        this.#bytes += wanted - held
        held = wanted
      },
      release: () => {
        this.#bytes -= held
        held = 0
      },
    }
  }
}

/** Gives a call room for its body for as long as it is underway. */
export function leaseBodies(bodies: BodiesInFlight): MiddlewareHandler<GatewayEnv> {
  return async function bodyLeaseMiddleware(c, next) {
    const lease = bodies.lease()
    c.set('body', lease)
    try {
      await next()
    } finally {
      lease.release()
    }
  }
}
