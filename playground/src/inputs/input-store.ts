import { type SetStateAction, useCallback, useSyncExternalStore } from 'react'
import type { Endpoint } from '../api/catalogue.ts'
import type { Upload } from '../api/upload.ts'
import { type Input, startingInput } from '../schema/starting-input.ts'

/** What was last entered for each endpoint: kept over reloads, and by which pages hand over inputs to each other. */
const inputs = new Map<string, Input>()
const listeners = new Set<() => void>()

export function inputOf({ id, input, document }: Endpoint): Input {
  const known = inputs.get(id)
  if (known !== undefined) return known
  const first = readStored(id) ?? startingInput(input, document)
  inputs.set(id, first)
  return first
}

export function storeInput(endpointId: string, input: Input): void {
  inputs.set(endpointId, input)
  try {
    sessionStorage.setItem(nameOf(endpointId), JSON.stringify(input))
  } catch {
    // Too large for the browser's store (a picture as a data URI): the pages keep it, a reload does not.
  }
  for (const listener of listeners) listener()
}

/** The input of an endpoint, and what changes it. */
export function useInput(endpoint: Endpoint): readonly [Input, (change: SetStateAction<Input>) => void] {
  const input = useSyncExternalStore(subscribe, () => inputOf(endpoint))
  const change = useCallback(
    (next: SetStateAction<Input>) =>
      storeInput(endpoint.id, typeof next === 'function' ? next(inputOf(endpoint)) : next),
    [endpoint],
  )
  return [input, change]
}

/** Uploads that end up in the input of an endpoint, as long as they are under way. */
const uploads = new Map<string, readonly Upload[]>()

/** Has requests of the endpoint wait for an upload that changes its input. */
export function holdInput(endpointId: string, upload: Upload): void {
  uploads.set(endpointId, [...uploadsTo(endpointId), upload])
  const forget = () => {
    uploads.set(
      endpointId,
      uploadsTo(endpointId).filter((each) => each !== upload),
    )
  }
  upload.done.then(forget, forget)
}

/** Puts another input in the place of all that was entered for the endpoint, also of what is still being uploaded. */
export function replaceInput(endpointId: string, input: Input): void {
  for (const upload of uploadsTo(endpointId)) upload.drop()
  storeInput(endpointId, input)
}

function uploadsTo(endpointId: string): readonly Upload[] {
  return uploads.get(endpointId) ?? []
}

/**
 * The input of an endpoint with all that was chosen for it.
 * @throws what an upload fails with
 */
export async function wholeInputOf(endpoint: Endpoint): Promise<Input> {
  await Promise.all(uploadsTo(endpoint.id).map(({ done }) => done))
  return inputOf(endpoint)
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener)
  return () => listeners.delete(listener)
}

function readStored(endpointId: string): Input | undefined {
  const text = sessionStorage.getItem(nameOf(endpointId))
  try {
    return text === null ? undefined : (JSON.parse(text) as Input)
  } catch {
    return undefined
  }
}

function nameOf(endpointId: string): string {
  return `darkroom-input:${endpointId}`
}
