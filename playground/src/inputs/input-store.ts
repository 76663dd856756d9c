import { useCallback, useSyncExternalStore } from 'react'
import type { Endpoint } from '../api/catalogue.ts'
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
export function useInput(endpoint: Endpoint): readonly [Input, (input: Input) => void] {
  const input = useSyncExternalStore(subscribe, () => inputOf(endpoint))
  const change = useCallback((next: Input) => storeInput(endpoint.id, next), [endpoint.id])
  return [input, change]
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
