import type { Config } from '../config/config.ts'
import { lockDataFolder } from '../db/data-folder-lock.ts'
import { WebhookOutbox } from '../webhooks/webhook-outbox.ts'
import { type BackingStores, openBackingStores } from './backing-stores.ts'
import type { OpenParts } from './open-parts.ts'

/**
 * The stores of a process that has a gateway. On the embedded database it is the only such process of the data folder.
 * @throws DatabaseError when another server has it
 */
export async function openGatewayStores(config: Config, open: OpenParts): Promise<BackingStores> {
  if (config.databaseUrl !== undefined) return openedStores(config, open)
  const lock = lockDataFolder(config.dataFolder)
  open.add(() => lock.release())
  const stores = await openedStores(config, open)
  await new WebhookOutbox(stores.database).takeOver()
  return stores
}

async function openedStores(config: Config, open: OpenParts): Promise<BackingStores> {
  const stores = await openBackingStores(config)
  open.add(() => stores.close())
  return stores
}
