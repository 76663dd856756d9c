import { blackImage, type RgbImage, type SafetyChecker } from '@darkroom/engine'
import type { HandlerContext } from '../endpoints/endpoint.ts'
import { WireError } from '../errors/errors.ts'
import { SAFETY_CHECKER_MODELS, type SafetyCheckerVersion } from '../models/safety-checker-folder.ts'
import { toWireError } from './engine-errors.ts'
import type { SafetyCheckers } from './safety-checkers.ts'

export interface SafetyRequest {
  readonly checkSafety: boolean
  readonly safetyCheckerVersion: SafetyCheckerVersion
}

/** Pictures that may leave the runner. */
export interface ScreenedPictures {
  /** Flagged ones are black pictures of the same size. */
  readonly pictures: readonly RgbImage[]
  /** One for each picture, false as well where nothing looked at it: typed clients require them. */
  readonly nsfwFlags: readonly boolean[]
}

/** What the pictures of one request go through before anyone sees them. */
export interface SafetyScreen {
  /** @throws WireError when the checker cannot be run */
  screen(pictures: readonly RgbImage[]): Promise<ScreenedPictures>
  /** Whether an intermediate picture may be shown. */
  mayShow(preview: RgbImage): Promise<boolean>
}

/**
 * Switched off, every flag is false, as fal has it. Switched on without a checker on this machine they are false, too, and a header
 * and the log say that nobody looked, or that the demo checker did; a server that requires a checker refuses instead.
 * @param checkpointFolder the model that draws, which may have a checker of its own
 * @throws WireError 422 when there is a checker that cannot be used, or none and one is required
 */
export async function openSafetyScreen(
  checkers: SafetyCheckers,
  { checkSafety, safetyCheckerVersion: version }: SafetyRequest,
  checkpointFolder: string,
  context: HandlerContext,
): Promise<SafetyScreen> {
  if (!checkSafety) return UNCHECKED
  try {
    const found = await checkers.find(version, checkpointFolder, context.log)
    if (found?.isDemo) {
      context.setHeader('x-darkroom-safety-checker', 'demo')
      context.log('The demo safety checker flags neon pictures and nothing else', 'WARN')
    }
    if (found) return checking(found.checker, context)
  } catch (error) {
    throw toWireError(error)
  }
  const missing = `The safety checker ${SAFETY_CHECKER_MODELS[version]} is not on this machine`
  if (checkers.areRequired) throw new WireError(422, `${missing}, and this server draws nothing that is not checked`)
  context.setHeader('x-darkroom-safety-checker', 'not-installed')
  context.log(`${missing}: the pictures are not checked`, 'WARN')
  return UNCHECKED
}

const UNCHECKED: SafetyScreen = {
  screen: async (pictures) => ({ pictures, nsfwFlags: pictures.map(() => false) }),
  mayShow: async () => true,
}

function checking(checker: SafetyChecker, { log }: HandlerContext): SafetyScreen {
  const check = (pictures: readonly RgbImage[]) =>
    checker.check(pictures).catch((error) => {
      throw toWireError(error)
    })
  return {
    async screen(pictures) {
      const nsfwFlags = await check(pictures)
      const flagged = nsfwFlags.filter(Boolean).length
      if (flagged > 0) log(`The safety checker flagged ${flagged} of ${pictures.length}: black in the answer`, 'WARN')
      return {
        pictures: pictures.map((picture, i) => (nsfwFlags[i] === false ? picture : blackOf(picture))),
        nsfwFlags,
      }
    },
    async mayShow(preview) {
      const [isFlagged] = await check([preview])
      return isFlagged === false
    },
  }
}

function blackOf({ width, height }: RgbImage): RgbImage {
  return blackImage(width, height)
}
