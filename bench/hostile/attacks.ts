import { hugeFrames } from './frame-attacks.ts'
import { hugeFields, hugeHeaders, hugeListings, hugeLists, hugePictures, slowUrls } from './request-attacks.ts'
import { idleSockets, slowBodies, slowHeaders, slowReaders } from './socket-attacks.ts'
import { type Attack, count } from './target.ts'
import { abortedUploads, smallUploads } from './upload-attacks.ts'

const SINGLE: Readonly<Record<string, Attack>> = {
  'slow headers': slowHeaders,
  'slow bodies': slowBodies,
  'slow URLs': slowUrls,
  'huge headers': hugeHeaders,
  'huge fields': hugeFields,
  'huge lists': hugeLists,
  'huge frames': hugeFrames,
  'huge pictures': hugePictures,
  'huge listings': hugeListings,
  'slow readers': slowReaders,
  'idle sockets': idleSockets,
  'small uploads': smallUploads,
  'aborted uploads': abortedUploads,
}

/** Everything at the same time. */
const together: Attack = async (target, scale, signal) => {
  const all = await Promise.all(Object.values(SINGLE).map((attack) => attack(target, scale, signal)))
  const sum: Record<string, number> = {}
  for (const outcomes of all) {
    for (const [what, times] of Object.entries(outcomes)) for (let i = 0; i < times; i++) count(sum, what)
  }
  return sum
}

/** By name, in the order in which they are played: what is stored is there before it is listed. */
export const ATTACKS: Readonly<Record<string, Attack>> = { ...SINGLE, 'all together': together }
