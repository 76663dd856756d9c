import { type Lifecycle, lifecycleBody, parseLifecycle } from './lifecycle.ts'

/** Where the setting is kept; the same for every process of the server. */
export interface LifecycleSetting {
  /** JSON as the header has it; `undefined` until one is written. */
  read(): Promise<string | undefined>
  write(json: string): Promise<void>
}

/** How long another process may go on with the defaults from before a change. */
const CACHE_SECONDS = 5

/** What holds for stored files whose request says nothing of their lifecycle. */
export class LifecycleDefaults {
  readonly #setting: LifecycleSetting
  #cached: { readonly lifecycle: Promise<Lifecycle>; readonly readAt: number } | undefined

  constructor(setting: LifecycleSetting) {
    this.#setting = setting
  }

  current(): Promise<Lifecycle> {
    const now = performance.now()
    if (this.#cached !== undefined && now - this.#cached.readAt < CACHE_SECONDS * 1000) return this.#cached.lifecycle
    const lifecycle = this.#setting.read().then((json) => parseLifecycle(json))
    this.#cached = { lifecycle, readAt: now }
    // The next call reads again after a failure.
    lifecycle.catch(() => {
      this.#cached = undefined
    })
    return lifecycle
  }

  /**
   * Changes the defaults from what they are now, whoever changed them last.
   * @param change what holds from here on
   */
  async update(change: (before: Lifecycle) => Lifecycle): Promise<Lifecycle> {
    const lifecycle = change(parseLifecycle(await this.#setting.read()))
    await this.#setting.write(JSON.stringify(lifecycleBody(lifecycle)))
    this.#cached = undefined
    return lifecycle
  }
}
