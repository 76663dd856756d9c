import { PROMPT_EXPANDER_MODELS } from './prompt-expander-folder.ts'
import { FACE_PACKS, OPENPOSE_BODY } from './vision-models.ts'

const fileOf = (reference: string) => reference.slice(reference.lastIndexOf('/') + 1)

const FACE_FILES = new Set<string>(FACE_PACKS.flatMap(({ detector, embedder }) => [detector, embedder]))
const POSE_FILES = new Set(OPENPOSE_BODY.map(fileOf))
const NON_COMMERCIAL = new Set<string>(
  PROMPT_EXPANDER_MODELS.flatMap(({ name, isNonCommercial }) => (isNonCommercial ? [name] : [])),
)

/** What the authors of a model's weights allow where the cards of the repositories that hold copies do not say so; undefined for others. */
export function knownLicence(reference: string): string | undefined {
  const file = fileOf(reference)
  if (FACE_FILES.has(file)) return 'non-commercial research, by insightface'
  if (/faceid/i.test(file)) return 'non-commercial research, of insightface’s embeddings'
  if (POSE_FILES.has(file)) return 'non-commercial research, by CMU'
  return NON_COMMERCIAL.has(reference) ? 'non-commercial' : undefined
}
