import { z } from 'zod'
import type { EndpointSchema } from '../endpoints/endpoint.ts'
import { refuseUnfetchable } from '../security/input-file.ts'
import { fileKeyOf } from '../storage/own-file.ts'

/**
 * Refuses a picture's URL that nobody fetches, by its scheme or because its host has no address, before the request waits for a
 * runner. Pictures of lists and of queued requests are left to the runner, which refuses them in the same words.
 * @param input as `validateInput` gave it
 * @throws WireError 422 `file_download_error` naming the field
 */
export async function refuseUnfetchablePictures(
  { input: schema }: Pick<EndpointSchema, 'input'>,
  input: Readonly<Record<string, unknown>>,
): Promise<void> {
  const urls = Object.entries(schema.shape).flatMap(([field, type]) => {
    const value = input[field]
    return typeof value === 'string' && value !== '' && isPicture(type) ? [{ field, value }] : []
  })
  // A file of this server is not fetched, whichever host names it.
  const foreign = urls.filter(({ value }) => fileKeyOf(value) === undefined)
  await Promise.all(foreign.map(({ field, value }) => refuseUnfetchable(value, [field])))
}

function isPicture(type: z.core.$ZodType): boolean {
  const meta = z.globalRegistry.get(type)
  const ui = meta?.ui
  return meta?.ignored !== true && typeof ui === 'object' && ui !== null && 'field' in ui && ui.field === 'image'
}
