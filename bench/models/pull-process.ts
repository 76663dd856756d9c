/** A process that fetches the file of `hub-process.ts` into a cache and says how long it took and how much memory it held. */
import { HubCache } from '../../packages/server/src/models/hub-cache.ts'
import { HubClient } from '../../packages/server/src/models/hub-client.ts'
import { HubDownloads } from '../../packages/server/src/models/hub-download.ts'
import { OutboundHttp } from '../../packages/server/src/security/outbound-http.ts'

const [endpoint = '', folder = '', connections = '4'] = process.argv.slice(2)
const http = new OutboundHttp({ allowPrivateTargets: true })
const client = new HubClient({ http, endpoint, token: async () => undefined })
const downloads = new HubDownloads({ cache: new HubCache(folder), client, http, connections: Number(connections) })
let [least, most] = [Number.POSITIVE_INFINITY, 0]
const sampling = setInterval(() => {
  const rss = process.memoryUsage.rss()
  least = Math.min(least, rss)
  most = Math.max(most, rss)
}, 100)
const { signal } = new AbortController()
const startedAt = performance.now()
await downloads.fetch({ repository: 'bench/large', revision: 'main', path: 'x.safetensors', maxBytes: 1e15, signal })
const seconds = (performance.now() - startedAt) / 1000
clearInterval(sampling)
console.log(JSON.stringify({ seconds, mostBytes: most, grownBytes: most - least }))
await http.close()
