import { statfs } from 'node:fs/promises'
import type { Config } from '../config/config.ts'
import type { DiskFigures } from '../gateway/disk-use.ts'
import { trimFiles } from '../storage/files-budget.ts'
import type { BackingStores } from './stores.ts'

/** Keeps what is stored within its budgets, and knows how much it is. */
export class DiskUpkeep {
  readonly #config: Pick<Config, 'dataFolder' | 'storage' | 'databaseUrl' | 's3'>
  readonly #stores: Pick<BackingStores, 'queue' | 'objects'>
  #figures: DiskFigures

  constructor(
    config: Pick<Config, 'dataFolder' | 'storage' | 'databaseUrl' | 's3'>,
    stores: Pick<BackingStores, 'queue' | 'objects'>,
  ) {
    this.#config = config
    this.#stores = stores
    const { payloadBudgetBytes, fileBudgetBytes, diskReserveBytes: reserveBytes } = config.storage
    this.#figures = { payloadBudgetBytes, fileBudgetBytes, reserveBytes }
  }

  get figures(): DiskFigures {
    return this.#figures
  }

  async lookAtDisk(): Promise<void> {
    const { dataFolder, databaseUrl, s3 } = this.#config
    if (databaseUrl !== undefined && s3 !== undefined) return
    const { bavail, bsize } = await statfs(dataFolder)
    this.#figures = { ...this.#figures, freeBytes: bavail * bsize }
  }

  async trimPayloads(): Promise<void> {
    const payloadBytes = await this.#stores.queue.trimPayloads(this.#config.storage.payloadBudgetBytes)
    this.#figures = { ...this.#figures, payloadBytes }
  }

  async trimFiles(): Promise<void> {
    const { bytes } = await trimFiles(this.#stores.objects, this.#config.storage.fileBudgetBytes, new Date())
    this.#figures = { ...this.#figures, fileBytes: bytes }
  }
}
