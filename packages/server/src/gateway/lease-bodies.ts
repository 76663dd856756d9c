import type { MiddlewareHandler } from 'hono'
import { accountOf } from './authentication.ts'
import type { BodiesInFlight } from './bodies-in-flight.ts'
import type { GatewayEnv } from './dependencies.ts'

/** Gives a call room for its body for as long as it is underway. */
export function leaseBodies(bodies: BodiesInFlight): MiddlewareHandler<GatewayEnv> {
  return async function bodyLeaseMiddleware(c, next) {
    const lease = bodies.lease(() => accountOf(c))
    c.set('body', lease)
    try {
      await next()
    } finally {
      lease.release()
    }
  }
}
