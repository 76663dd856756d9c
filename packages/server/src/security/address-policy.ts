import ipaddr from 'ipaddr.js'

/** Addresses of the user's own network. Everything else that is not plain unicast is never a target. */
const PRIVATE_RANGES: readonly string[] = ['loopback', 'private', 'uniqueLocal', 'carrierGradeNat']

/** Public addresses behind which a cloud answers its own machines with their credentials (Azure's WireServer). */
const METADATA_ADDRESSES: readonly string[] = ['168.63.129.16']

export interface AddressPolicy {
  /** Lets requests reach loopback and private networks, as servers on a LAN need. Link-local never: metadata services. */
  readonly allowPrivateTargets: boolean
}

/**
 * Why an address must not be connected to, or `undefined` when it may.
 * IPv6 forms that carry an IPv4 address (mapped, compatible, NAT64, 6to4) are judged by that address or refused.
 * @param address IPv4 or IPv6 in any standard notation, without brackets
 */
export function refusalOf(address: string, policy: AddressPolicy): string | undefined {
  if (!ipaddr.isValid(address)) return 'is not an IP address'
  const plain = ipaddr.process(address)
  if (METADATA_ADDRESSES.includes(plain.toString())) return 'belongs to a cloud metadata service'
  const range = rangeOf(plain)
  if (range === 'unicast') return undefined
  if (!PRIVATE_RANGES.includes(range)) return `is ${range}`
  return policy.allowPrivateTargets ? undefined : 'is in a private network'
}

function rangeOf(address: ipaddr.IPv4 | ipaddr.IPv6): string {
  const range = address.range()
  if (range === 'unicast' && address.kind() === 'ipv6') {
    // ::/96, "IPv4-compatible" (deprecated by RFC 4291), which the library takes for unicast.
    const [a, b, c, d, e, f] = (address as ipaddr.IPv6).parts
    if ([a, b, c, d, e, f].every((part) => part === 0)) return 'deprecated'
  }
  return range
}
