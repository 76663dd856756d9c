/** What a process has opened so far, closed in the opposite order: also when the next part could not be opened. */
export class OpenParts {
  readonly #closing: (() => Promise<void> | void)[] = []

  add(close: () => Promise<void> | void): void {
    this.#closing.push(close)
  }

  async close(): Promise<void> {
    for (const close of this.#closing.splice(0).reverse()) await close()
  }
}
