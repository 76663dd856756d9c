/** A process that fetches one file of a hub and says where it is: `tsx fetch-process.ts <endpoint> <cache> <repository> <path>`. */

import { HubCache } from '../../src/models/hub-cache.ts'
import { HubClient } from '../../src/models/hub-client.ts'
import { HubDownloads } from '../../src/models/hub-download.ts'
import { OutboundHttp } from '../../src/security/outbound-http.ts'

const [endpoint = '', folder = '', repository = '', path = ''] = process.argv.slice(2)
const http = new OutboundHttp({ allowPrivateTargets: true })
const cache = new HubCache(folder)
const client = new HubClient({ http, endpoint, token: async () => undefined })
const downloads = new HubDownloads({ cache, client, http, tuning: { pieceBytes: 256 * 1024 } })
const { signal } = new AbortController()
const file = await downloads.fetch({ repository, revision: 'main', path, maxBytes: 1e12, signal })
console.log(JSON.stringify(file))
await http.close()
