/**
 * The URL to open on this machine: a server that listens on every address says 0.0.0.0 or [::], which browsers and other machines cannot
 * call.
 */
export function shownUrl(url: string): string {
  return url.replace(/^(https?:\/\/)(0\.0\.0\.0|\[::\])(?=:|$)/, '$1localhost')
}
