import type { RunnerOptions } from '../runner/runner.ts'
import { MAX_IMAGE_BYTES, mayBeImage, readInputFile } from '../security/input-file.ts'
import type { OutboundHttp } from '../security/outbound-http.ts'
import { saveGeneratedFile } from '../storage/generated-file.ts'
import { parseLifecycle } from '../storage/lifecycle.ts'
import type { ObjectStore } from '../storage/object-store.ts'
import { readOwnFile } from '../storage/own-file.ts'

/** Seconds for fetching one input picture. */
const FETCH_SECONDS = 30

/** Reading and saving files on behalf of a request. */
export function fileAccess(objects: ObjectStore, outbound: OutboundHttp): RunnerOptions['files'] {
  return ({ filesUrl, keyId, objectLifecycle }) => ({
    saveFile: (bytes, contentType, extension) =>
      saveGeneratedFile(objects, bytes, contentType, extension, {
        filesUrl,
        lifecycle: parseLifecycle(objectLifecycle),
        ...(keyId !== undefined && { owner: keyId }),
      }),
    readFile: (url, field) =>
      readInputFile(
        {
          outbound,
          readOwnFile: (ownUrl, maxBytes) =>
            readOwnFile(objects, ownUrl, maxBytes, { filesUrl, ...(keyId !== undefined && { keyId }) }),
        },
        url,
        { field, maxBytes: MAX_IMAGE_BYTES, timeoutSeconds: FETCH_SECONDS, accepts: mayBeImage },
      ),
  })
}
