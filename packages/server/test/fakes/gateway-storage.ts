import { randomBytes } from 'node:crypto'
import type { GatewayDependencies } from '../../src/gateway/dependencies.ts'
import { DEFAULT_ACCOUNT } from '../../src/queue/request-queue.ts'
import { DiskObjectStore } from '../../src/storage/disk-object-store.ts'
import { LifecycleDefaults } from '../../src/storage/lifecycle-defaults.ts'

/** Files of a gateway in a folder, open to everyone; the lifecycle that was set is kept in memory. */
export function storageOf(folder: string): Pick<GatewayDependencies, 'storage' | 'lifecycleDefaults'> {
  let kept: string | undefined
  const lifecycleDefaults = new LifecycleDefaults({
    read: async () => kept,
    write: async (json) => {
      kept = json
    },
  })
  return {
    lifecycleDefaults,
    storage: {
      store: new DiskObjectStore(folder),
      secret: randomBytes(32),
      lifecycleDefaults,
      limits: { maxFileBytes: 1_000_000, maxPartBytes: 100_000, ticketSeconds: 60 },
      requireRoom() {},
      filesUrl: (request) => `${new URL(request.url).origin}/cdn`,
      authenticate: async () => ({ account: DEFAULT_ACCOUNT }),
    },
  }
}
