import ipaddr from 'ipaddr.js'

/** Addresses of the user's own network. Everything else that is not plain unicast is never a target. */
const PRIVATE_RANGES: readonly string[] = ['loopback', 'private', 'uniqueLocal', 'carrierGradeNat']

/**
 * Where clouds answer their own machines with credentials, besides what is link-local and never a target anyway: Azure's WireServer
 * has a public address, Alibaba's a carrier's; by IPv6 most take a unique local one.
 */
const METADATA_NETWORKS = [
  '168.63.129.16/32', // Azure
  '100.100.100.200/32', // Alibaba
  '192.0.0.192/32', // Oracle
  'fd00:ec2::/32', // Amazon: ::254 for machines, ::23 for pods
  'fd20:ce::/32', // Google
  'fd00:c1::/32', // Oracle
  'fd00:42::42/128', // Scaleway
  'fd00:a9fe:a9fe::/48', // Akamai
].map((network) => ipaddr.parseCIDR(network))

/** Those of IPv4, as an address of IPv6 carries them in its last 32 bits: behind a NAT64 of any prefix, by ISATAP. */
const EMBEDDED: readonly (readonly [number, number])[] = [
  [0xa9fe, 0xa9fe], // 169.254.169.254
  [0xa9fe, 0xaa02], // 169.254.170.2, Amazon's for containers
  [0xa9fe, 0xaa17], // 169.254.170.23, Amazon's for pods
  [0xa9fe, 0x2a2a], // 169.254.42.42, Scaleway
  [0xa9fe, 0x0017], // 169.254.0.23, Tencent
  [0x6464, 0x64c8], // 100.100.100.200
  [0xa83f, 0x8110], // 168.63.129.16
  [0xc000, 0x00c0], // 192.0.0.192
]

/** The setting that lets requests reach private networks, as messages name it. */
export const PRIVATE_TARGETS_SETTING = 'DARKROOM_ALLOW_PRIVATE_TARGETS=1'

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
  if (isMetadata(plain)) return 'belongs to a cloud metadata service'
  const range = rangeOf(plain)
  if (range === 'unicast') return undefined
  if (!PRIVATE_RANGES.includes(range)) return `is ${range}`
  return policy.allowPrivateTargets ? undefined : `is in a private network, which ${PRIVATE_TARGETS_SETTING} allows`
}

/** Why nothing at a URL's host may be connected to, as far as its name alone tells: another name is judged by its addresses. */
export function refusalOfHost(host: string, policy: AddressPolicy): string | undefined {
  if (host === 'localhost' || host.endsWith('.localhost')) return refusalOf('127.0.0.1', policy)
  return ipaddr.isValid(host) ? refusalOf(host, policy) : undefined
}

function isMetadata(address: ipaddr.IPv4 | ipaddr.IPv6): boolean {
  if (METADATA_NETWORKS.some(([network, bits]) => network.kind() === address.kind() && address.match(network, bits))) {
    return true
  }
  if (!(address instanceof ipaddr.IPv6)) return false
  const [high, low] = address.parts.slice(6)
  return EMBEDDED.some(([first, second]) => first === high && second === low)
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
