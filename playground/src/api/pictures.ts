import { localFileUrl } from './connection.ts'

/** A picture of an endpoint's output. */
export interface OutputPicture {
  readonly url: string
  readonly width?: number
  readonly height?: number
  readonly contentType?: string
  readonly bytes?: number
}

/** Every picture that an output holds: fal's endpoints call them `images` or `image`. */
export function picturesOf(output: unknown): readonly OutputPicture[] {
  if (typeof output !== 'object' || output === null) return []
  const found: OutputPicture[] = []
  for (const value of Object.values(output)) {
    for (const item of Array.isArray(value) ? value : [value]) {
      const picture = asPicture(item)
      if (picture !== undefined) found.push(picture)
    }
  }
  return found
}

function asPicture(value: unknown): OutputPicture | undefined {
  if (typeof value !== 'object' || value === null || !('url' in value) || typeof value.url !== 'string')
    return undefined
  const { url, width, height, content_type: type, file_size: bytes } = value as Record<string, unknown>
  if (typeof type === 'string' && !type.startsWith('image/')) return undefined
  return {
    url: localFileUrl(String(url)),
    ...(typeof width === 'number' && { width }),
    ...(typeof height === 'number' && { height }),
    ...(typeof type === 'string' && { contentType: type }),
    ...(typeof bytes === 'number' && { bytes }),
  }
}

/** Which pictures a safety checker flagged; empty where none looked. */
export function safetyFlagsOf(output: unknown): readonly boolean[] {
  if (typeof output !== 'object' || output === null) return []
  const { has_nsfw_concepts: newer, nsfw_content_detected: older } = output as Record<string, unknown>
  const flags = newer ?? older
  return Array.isArray(flags) ? flags.map(Boolean) : []
}

export function seedOf(output: unknown): number | undefined {
  if (typeof output !== 'object' || output === null || !('seed' in output)) return undefined
  return typeof output.seed === 'number' ? output.seed : undefined
}
