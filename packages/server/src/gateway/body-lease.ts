/** Room for the body of one call. */
export interface BodyLease {
  /**
   * Makes room for a body of so many bytes, those that it had before included.
   * @throws WireError 429, which clients answer by trying again
   */
  hold(bytes: number): void
  release(): void
}
