import { hostname, networkInterfaces } from 'node:os'

/** What decides by which names clients reach the server. */
export interface ReachableAt {
  /** The address it listens on. */
  readonly host: string
  readonly publicUrl: string | undefined
}

const LOCAL_NAMES = ['localhost', '127.0.0.1', '::1']
const WILDCARD_ADDRESSES: ReadonlySet<string> = new Set(['0.0.0.0', '::'])

/**
 * The names that the server's certificate must hold: `hostNames`, this machine's own, and those of the configuration. A
 * server that listens on every address is reached by the machine's name and addresses.
 */
export function certificateNames(hostNames: readonly string[], { host, publicUrl }: ReachableAt): readonly string[] {
  const listening = host.replace(/^\[|\]$/g, '')
  return [
    ...new Set([
      ...hostNames,
      ...LOCAL_NAMES,
      ...(WILDCARD_ADDRESSES.has(listening) ? machineNames() : [listening.toLowerCase()]),
      ...(publicUrl === undefined ? [] : [new URL(publicUrl).hostname.replace(/^\[|\]$/g, '')]),
    ]),
  ]
}

function machineNames(): string[] {
  const addresses = Object.values(networkInterfaces()).flatMap((of) => of ?? [])
  // Link-local addresses change, and need a zone that no certificate can name.
  const lasting = addresses.filter(({ address }) => !address.startsWith('fe80:'))
  return [hostname().toLowerCase(), ...lasting.map(({ address }) => address)]
}
