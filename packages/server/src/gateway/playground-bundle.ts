/** The files of the built playground by their path: `index.html`, `assets/index-1a2b3c.js`. */
export type PlaygroundBundle = ReadonlyMap<string, Uint8Array<ArrayBuffer>>
