interface Place<T> {
  readonly waiter: T
  readonly enter: () => void
}

/**
 * Those who wait for something, each until it is let in or its signal is aborted. Clients take turns, and each client's waiters stand in the
 * order in which they came: one who has a thousand in line keeps another from his turn for one of them.
 */
export class WaitingLine<T> {
  readonly #clientOf: (waiter: T) => string
  /** In the order of the clients' turns. */
  readonly #places = new Map<string, Place<T>[]>()
  #length = 0

  /** @param clientOf who is served in turn with others; one line for all when absent */
  constructor(clientOf: (waiter: T) => string = () => '') {
    this.#clientOf = clientOf
  }

  get length(): number {
    return this.#length
  }

  /**
   * Stands in line; resolves when `admit` lets the waiter in.
   * @throws the signal's reason; the waiter has left the line by then
   */
  async join(waiter: T, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted()
    await new Promise<void>((resolve, reject) => {
      const leave = () => {
        this.#remove(place)
        reject(signal?.reason)
      }
      const place: Place<T> = {
        waiter,
        enter: () => {
          signal?.removeEventListener('abort', leave)
          resolve()
        },
      }
      signal?.addEventListener('abort', leave, { once: true })
      const client = this.#clientOf(waiter)
      const places = this.#places.get(client)
      if (places === undefined) this.#places.set(client, [place])
      else places.push(place)
      this.#length += 1
    })
  }

  /** The one whose turn it is. */
  get first(): T | undefined {
    for (const [first] of this.#places.values()) return first?.waiter
    return undefined
  }

  /**
   * Lets the first one in who may enter, whose client is then behind the others.
   * @param mayEnter all may when absent
   * @returns who came in, if any
   */
  admit(mayEnter: (waiter: T) => boolean = () => true): T | undefined {
    for (const places of this.#places.values()) {
      const place = places.find(({ waiter }) => mayEnter(waiter))
      if (place === undefined) continue
      this.#remove(place)
      this.#toTheBack(this.#clientOf(place.waiter))
      place.enter()
      return place.waiter
    }
    return undefined
  }

  #remove(place: Place<T>): void {
    const client = this.#clientOf(place.waiter)
    const places = this.#places.get(client) ?? []
    places.splice(places.indexOf(place), 1)
    this.#length -= 1
    // Clients are as many as there are names.
    if (places.length === 0) this.#places.delete(client)
  }

  #toTheBack(client: string): void {
    const places = this.#places.get(client)
    if (places === undefined) return
    this.#places.delete(client)
    this.#places.set(client, places)
  }
}
