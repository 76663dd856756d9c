/** A file on its way to the server, whose URL a field of an input gets. */
export interface Upload {
  /** The field has it, or nobody wants it any more. Rejects when it could not be uploaded. */
  readonly done: Promise<void>
  /** Keeps the field as it is. */
  readonly drop: () => void
}
