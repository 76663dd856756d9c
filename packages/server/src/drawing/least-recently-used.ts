/**
 * Values that are made on first use and kept, at most `limit` of them: the one that was not asked for longest goes first. One that
 * somebody still works with stays whole for them; it is only forgotten here.
 */
export class LeastRecentlyUsed<T> {
  readonly #limit: number
  /** The least recently used first. */
  readonly #values = new Map<string, Promise<T>>()

  constructor(limit: number) {
    this.#limit = limit
  }

  /** What is here or being made, the least recently used first. */
  get keys(): readonly string[] {
    return [...this.#values.keys()]
  }

  /** The value of a key where it is here or being made; its turn to go stays what it was. */
  peek(key: string): Promise<T> | undefined {
    return this.#values.get(key)
  }

  /** The value of a key. What could not be made is tried again by the next call. */
  get(key: string, make: () => Promise<T>): Promise<T> {
    const value = this.#values.get(key) ?? this.#make(key, make)
    this.#values.delete(key)
    this.#values.set(key, value)
    for (const oldest of this.#values.keys()) {
      if (this.#values.size <= this.#limit) break
      this.#values.delete(oldest)
    }
    return value
  }

  #make(key: string, make: () => Promise<T>): Promise<T> {
    const value = make()
    value.catch(() => {
      if (this.#values.get(key) === value) this.#values.delete(key)
    })
    return value
  }
}
