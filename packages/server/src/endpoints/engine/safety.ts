import type { HandlerContext } from '../endpoint.ts'

/**
 * What the output says of the pictures' safety, one flag per picture. Switched off, every flag is false, as fal has it. Switched on
 * without a checker on this machine there are no flags at all: a header and the log say that nobody looked.
 */
export function reportSafety(
  enabled: boolean,
  pictures: number,
  { setHeader, log }: HandlerContext,
): readonly boolean[] | undefined {
  if (!enabled) return new Array<boolean>(pictures).fill(false)
  setHeader('x-darkroom-safety-checker', 'not-installed')
  log('The safety checker is not on this machine: the pictures were not checked', 'WARN')
  return undefined
}
