import { type JsonSchema, kindOf, type OpenApiDocument, propertiesOf } from './json-schema.ts'

export type Input = Readonly<Record<string, unknown>>

/**
 * What a page that was never opened starts from: the example prompt, and pictures as stored files. `sync_mode` would put them
 * into the answer, and with it into the history.
 */
export function startingInput(schema: JsonSchema, document: OpenApiDocument): Input {
  const input: Record<string, unknown> = {}
  for (const { name, schema: property, required } of propertiesOf(schema, document)) {
    const example = property.examples?.[0]
    if (name === 'sync_mode') input.sync_mode = false
    // An example picture lies on the web, where the server may not reach.
    else if (required && example !== undefined && kindOf(property, name) === 'text') input[name] = example
  }
  return input
}

/** The first field that takes a picture to start from. */
export function pictureFieldOf(schema: JsonSchema, document: OpenApiDocument): string | undefined {
  return propertiesOf(schema, document).find(({ name, schema: property }) => kindOf(property, name) === 'image')?.name
}
