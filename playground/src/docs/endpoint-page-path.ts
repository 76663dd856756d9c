import { addressOf } from './doc-links.ts'

/** Where an endpoint's page lies below `docs/`, without its ending: `endpoints/lora-inpaint` of `fal-ai/lora/inpaint`. */
export function endpointPagePath(endpointId: string): string {
  return `endpoints/${endpointId.split('/').slice(1).join('-')}`
}

/** Address of an endpoint's page. */
export function endpointDocAddress(endpointId: string): string {
  return addressOf(`${endpointPagePath(endpointId)}.md`)
}
