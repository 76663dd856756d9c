import { z } from 'zod'
import { requestError } from '../errors/errors.ts'
import type { AclDecision, ObjectAcl, ObjectInfo, PutOptions } from './object-store.ts'

const MAX_LIFETIME_SECONDS = 100 * 365 * 24 * 3600

const decision = z.enum(['allow', 'forbid', 'hide'])
const objectAcl = z.object({
  default: decision.nullish(),
  rules: z
    .array(z.object({ user: z.string().max(200), decision }))
    .max(100)
    .nullish(),
})
const lifecycle = z.object({
  expiration_duration_seconds: z.number().min(0).max(MAX_LIFETIME_SECONDS).nullish(),
  initial_acl: objectAcl.nullish(),
})

/** How long a file is kept and who may read it, as `X-Fal-Object-Lifecycle[-Preference]` says. */
export interface Lifecycle {
  /** Seconds from the moment it is stored; kept for good when absent. */
  readonly lifetimeSeconds?: number
  readonly acl?: ObjectAcl
}

/**
 * Reads the header's JSON. What it does not mention is as `defaults` have it; `null` and 0 seconds mean kept for good and open
 * to all.
 * @throws WireError 400 when it is not of fal's shape
 */
export function parseLifecycle(header: string | undefined, defaults: Lifecycle = {}): Lifecycle {
  if (header === undefined || header.trim() === '') return defaults
  return readLifecycle('X-Fal-Object-Lifecycle', header, defaults)
}

/**
 * Reads JSON of that form.
 * @param place where it stood, for the error
 * @throws WireError 400 when it is not of fal's shape
 */
export function readLifecycle(place: string, text: string, defaults: Lifecycle): Lifecycle {
  const parsed = lifecycle.safeParse(readJson(text))
  if (!parsed.success) {
    throw requestError(
      'bad_request',
      `${place}: expected JSON such as {"expiration_duration_seconds": 3600, "initial_acl": {"default": "forbid"}}, ` +
        `got ${JSON.stringify(text.slice(0, 200))}`,
    )
  }
  const { expiration_duration_seconds: seconds = defaults.lifetimeSeconds, initial_acl: initial } = parsed.data
  const acl = initial === undefined ? defaults.acl : toAcl(initial)
  return {
    ...(typeof seconds === 'number' && seconds > 0 && { lifetimeSeconds: seconds }),
    ...(acl !== undefined && { acl }),
  }
}

/** As the Platform API and the header write it. */
export function lifecycleBody({ lifetimeSeconds, acl }: Lifecycle) {
  return { expiration_duration_seconds: lifetimeSeconds ?? null, initial_acl: acl ?? null }
}

/**
 * Reads access rules as the Platform API sends them; rules that let everyone in are none.
 * @throws WireError 400
 */
export function parseAcl(value: unknown): ObjectAcl | undefined {
  const parsed = objectAcl.safeParse(value)
  if (parsed.success) {
    const acl = toAcl(parsed.data)
    return (acl?.default ?? 'allow') === 'allow' && (acl?.rules ?? []).length === 0 ? undefined : acl
  }
  throw requestError(
    'bad_request',
    'Expected access rules such as {"default": "forbid", "rules": [{"user": "<account or key id>", "decision": "allow"}]}; ' +
      'decisions are allow, forbid and hide',
  )
}

function toAcl(acl: z.infer<typeof objectAcl> | null): ObjectAcl | undefined {
  if (acl === null) return undefined
  return { ...(acl.default && { default: acl.default }), ...(acl.rules && { rules: acl.rules }) }
}

/** The header under either of its names: fal's clients send both (Python) or the one without `-Preference` (JavaScript). */
export function lifecycleOf(headers: Headers, defaults: Lifecycle): Lifecycle {
  const value = headers.get('x-fal-object-lifecycle') ?? headers.get('x-fal-object-lifecycle-preference')
  return parseLifecycle(value ?? undefined, defaults)
}

export function putOptions(
  contentType: string,
  lifecycle: Lifecycle,
  owner: string | undefined,
  now: Date,
): PutOptions {
  const { lifetimeSeconds, acl } = lifecycle
  return {
    contentType,
    ...(lifetimeSeconds !== undefined && { expiresAt: new Date(now.getTime() + lifetimeSeconds * 1000) }),
    ...(acl !== undefined && { acl }),
    ...(owner !== undefined && { owner }),
  }
}

/** Who reads: rules name an account, or one key of it. */
export interface FileReader {
  readonly account: string
  readonly keyId?: string
}

/** What the object's rules say of a reader; `undefined` is somebody without a key. The account that stored it always reads it. */
export function decide(info: ObjectInfo, reader: FileReader | undefined): AclDecision {
  if (reader !== undefined && isOwner(info, reader.account)) return 'allow'
  const rules = reader === undefined ? [] : (info.acl?.rules ?? [])
  const rule = rules.find(({ user }) => user === reader?.account || user === reader?.keyId)
  return rule?.decision ?? info.acl?.default ?? 'allow'
}

export function isOwner({ owner }: ObjectInfo, account: string): boolean {
  return owner === account
}

function readJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
