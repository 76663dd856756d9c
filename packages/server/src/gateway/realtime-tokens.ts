import { errors, jwtVerify, SignJWT } from 'jose'
import { applicationOf, parseEndpointId } from '../protocol/endpoint-id.ts'

const ISSUER = 'darkroom'
/** Keeps these tokens apart from anything else that the same secret may sign. */
const AUDIENCE = 'application-token'

/** Who a token was made for: `keyId` is absent in no-key mode. */
export interface TokenHolder {
  readonly keyId?: string
}

export interface TokenGrant extends TokenHolder {
  /** What the client asked for: an alias (`instantid`, from the clients) or an id (`fal-ai/instantid/lcm/realtime`). */
  readonly allowedApps: readonly string[]
  readonly expiresInSeconds: number
}

/** Short-lived JSON Web Tokens that let a browser call applications without seeing the key. */
export interface RealtimeTokens {
  mint(grant: TokenGrant): Promise<string>
  /** `undefined` unless the token is valid now and allows the application (`fal-ai/fast-lcm-diffusion`). */
  verify(token: string, application: string): Promise<TokenHolder | undefined>
}

/** @param secret at least 32 random bytes, the same on every gateway */
export function createRealtimeTokens(secret: Uint8Array): RealtimeTokens {
  return {
    async mint({ keyId, allowedApps, expiresInSeconds }) {
      const token = new SignJWT({ apps: [...allowedApps] })
        .setProtectedHeader({ alg: 'HS256' })
        .setIssuer(ISSUER)
        .setAudience(AUDIENCE)
        .setIssuedAt()
        .setExpirationTime(`${expiresInSeconds}s`)
      if (keyId !== undefined) token.setSubject(keyId)
      return await token.sign(secret)
    },

    async verify(token, application) {
      try {
        const { payload } = await jwtVerify(token, secret, {
          algorithms: ['HS256'],
          issuer: ISSUER,
          audience: AUDIENCE,
          requiredClaims: ['exp'],
        })
        const apps = Array.isArray(payload.apps) ? payload.apps : []
        if (!apps.some((app) => typeof app === 'string' && allows(app, application))) return undefined
        return payload.sub === undefined ? {} : { keyId: payload.sub }
      } catch (error) {
        if (error instanceof errors.JOSEError) return undefined
        throw error
      }
    },
  }
}

/** The clients name applications by their alias alone, whatever the owner. */
function allows(app: string, application: string): boolean {
  const wanted = parseEndpointId(application)
  if (wanted === undefined) return false
  const allowed = parseEndpointId(app)
  return allowed === undefined ? app === wanted.alias : applicationOf(allowed) === applicationOf(wanted)
}
