import { useQuery } from '@tanstack/react-query'
import { inputSchemaOf, type JsonSchema, type OpenApiDocument } from '../schema/json-schema.ts'
import { pictureFieldOf } from '../schema/starting-input.ts'
import { callServer, IS_PUBLIC } from './connection.ts'

export interface Endpoint {
  readonly id: string
  readonly title: string
  readonly description: string
  readonly category: string
  readonly realtime: boolean
  readonly document: OpenApiDocument
  readonly input: JsonSchema
  /** The field that takes a picture to start from, where the endpoint has one. */
  readonly pictureField: string | undefined
}

interface ModelsPage {
  readonly models: readonly {
    readonly endpoint_id: string
    readonly metadata: {
      readonly display_name: string
      readonly description: string
      readonly category: string
      readonly tags?: readonly string[]
    }
    readonly openapi: OpenApiDocument
  }[]
  readonly next_cursor: string | null
  readonly has_more: boolean
}

/** Every endpoint of the server with its OpenAPI document. */
export function useCatalogue() {
  return useQuery({
    queryKey: ['catalogue'],
    queryFn: readCatalogue,
    staleTime: Number.POSITIVE_INFINITY,
    meta: IS_PUBLIC,
  })
}

async function readCatalogue(): Promise<readonly Endpoint[]> {
  const endpoints: Endpoint[] = []
  let cursor: string | null = null
  do {
    const at: string = cursor === null ? '' : `&cursor=${encodeURIComponent(cursor)}`
    const response = await callServer(`/v1/models?limit=100&expand=openapi-3.0${at}`)
    const page = (await response.json()) as ModelsPage
    endpoints.push(...page.models.map(endpointOf))
    cursor = page.has_more ? page.next_cursor : null
  } while (cursor !== null)
  return endpoints
}

function endpointOf({ endpoint_id: id, metadata, openapi: document }: ModelsPage['models'][number]): Endpoint {
  const input = inputSchemaOf(document, id)
  return {
    id,
    title: metadata.display_name,
    description: metadata.description,
    category: metadata.category,
    realtime: metadata.tags?.includes('realtime') ?? false,
    document,
    input,
    pictureField: pictureFieldOf(input, document),
  }
}
