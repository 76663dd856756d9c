import { type NetworkInterfaceInfo, networkInterfaces } from 'node:os'
import type { RunnersConfig } from '../../config/config.ts'

const WILDCARDS: ReadonlySet<string> = new Set(['0.0.0.0', '::', '[::]'])

/**
 * By which name or address gateways reach a runner that listens on `host`: what was configured, `host` itself, or, where
 * it stands for every interface, this machine's first address that others can reach.
 */
export function advertisedHost(
  { host, advertisedHost }: Pick<RunnersConfig, 'host' | 'advertisedHost'>,
  interfaces: NodeJS.Dict<NetworkInterfaceInfo[]> = networkInterfaces(),
): string {
  if (advertisedHost !== undefined) return advertisedHost
  if (!WILDCARDS.has(host)) return host
  const addresses = Object.values(interfaces).flatMap((list) => list ?? [])
  const reachable = addresses.filter(({ internal, address }) => !internal && !address.startsWith('fe80:'))
  const best = reachable.find(({ family }) => family === 'IPv4') ?? reachable[0]
  return best?.address ?? 'localhost'
}
