/** Where a client of an HTTPS server finds it, and what it must trust. */
export interface ServedOverTls {
  /** `https://127.0.0.1:3010` */
  readonly url: string
  /** File with the authority's certificate. */
  readonly authorityFile: string
  /** Hosts of fal's that the server answers for. */
  readonly falHosts: readonly string[]
}

/** What each kind of client needs to reach the server and to trust it: one line each, to be copied. */
export function clientSettings({
  url,
  authorityFile,
  falHosts,
}: ServedOverTls): readonly (readonly [string, string])[] {
  const { port } = new URL(url)
  const at = `localhost${port === '' ? '' : `:${port}`}`
  const file = shellQuote(authorityFile)
  const hosts = falHosts.filter((host) => !host.startsWith('*'))
  return [
    ['Node', `NODE_EXTRA_CA_CERTS=${file}`],
    ['Python', `SSL_CERT_FILE=${file} FAL_RUN_HOST=${at}/run FAL_QUEUE_RUN_HOST=${at}/queue`],
    ['curl', `--cacert ${file}`],
    // Clients that are not configured at all ask for the hosts of fal on the standard port.
    [port === '' ? 'hosts' : 'hosts, with --port 443', `127.0.0.1 ${hosts.join(' ')}`],
  ]
}

function shellQuote(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`
}
