import type { RunnerOptions } from '../runner/runner.ts'
import { type InputFetches, inputFetches } from '../security/input-fetches.ts'
import { MAX_IMAGE_BYTES, mayBeImage, readInputFile } from '../security/input-file.ts'
import type { OutboundHttp } from '../security/outbound-http.ts'
import { saveGeneratedFile } from '../storage/generated-file.ts'
import { parseLifecycle } from '../storage/lifecycle.ts'
import { openOwnFile, readOwnFile } from '../storage/own-file.ts'
import { isSignedDownload } from '../storage/upload-ticket.ts'
import { lifecycleDefaults, sharedSecret } from './stored-settings.ts'
import type { BackingStores } from './stores.ts'

/** Seconds for fetching one input picture. */
const FETCH_SECONDS = 30

/** Reading and saving files on behalf of a request. Fetches of all requests share the slots of `fetches`. */
export async function fileAccess(
  { objects, database }: Pick<BackingStores, 'objects' | 'database'>,
  outbound: OutboundHttp,
  fetches: InputFetches = inputFetches(),
): Promise<RunnerOptions['files']> {
  const secret = await sharedSecret(database, 'upload-secret')
  const defaults = lifecycleDefaults(database)
  const isSigned = (url: URL, key: string) => isSignedDownload(url, key, secret, new Date())
  return ({ filesUrl, account, keyId, objectLifecycle }, signal) => {
    const reader = { filesUrl, isSigned, account, ...(keyId !== undefined && { keyId }) }
    return {
      saveFile: async (bytes, contentType, extension) =>
        saveGeneratedFile(objects, bytes, contentType, extension, {
          filesUrl,
          lifecycle: parseLifecycle(objectLifecycle, await defaults.current()),
          owner: account,
        }),
      readFile: (url, field, expected = 'picture') =>
        readInputFile(
          {
            outbound,
            inTurn: (host, fetch) => fetches.run({ key: keyId ?? account, host }, signal, fetch),
            readOwnFile: (ownUrl, maxBytes) => readOwnFile(objects, ownUrl, maxBytes, reader),
          },
          url,
          {
            field,
            maxBytes: MAX_IMAGE_BYTES,
            timeoutSeconds: FETCH_SECONDS,
            signal,
            ...(expected === 'picture' && { accepts: mayBeImage }),
          },
        ),
      openOwnFile: (url, maxBytes) => openOwnFile(objects, url, maxBytes, reader),
    }
  }
}
