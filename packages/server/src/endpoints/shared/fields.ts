import { z } from 'zod'

/**
 * Fields that several endpoints have. What stands in `.meta()` goes into the published schema, but for keys that steer reading and
 * publishing: `requiredUnless` (another field whose presence makes this one optional), `hidden` (accepted, not published),
 * `ignored` (accepted, not used) and `fetched` (`file` or `weights`: the text leads to one, as that of a field whose `ui` is `image` does).
 */

const LARGEST_UINT64 = 2n ** 64n - 1n

/** A random seed. Live seeds are uint64 and half of them exceed 2^53, so they are bigint from the body to the engine. */
export function seedInput() {
  return z.bigint().min(0n).max(LARGEST_UINT64).nullish().meta({
    title: 'Seed',
    description:
      'The same seed and the same prompt given to the same version of the model will output the same image every time. Random when absent.',
  })
}

export function seedOutput() {
  return z.bigint().meta({
    title: 'Seed',
    description: 'Seed of the generated images: the input’s, or the random one that was used.',
    examples: [42],
  })
}

export function syncMode(defaultValue: boolean) {
  return z.boolean().default(defaultValue).meta({
    title: 'Sync Mode',
    description: 'If true, the images come back as data URIs inside the response instead of as URLs of stored files.',
  })
}

export function numImages() {
  return z
    .int()
    .min(1)
    .max(8)
    .default(1)
    .meta({ title: 'Num Images', description: 'The number of images to generate.' })
}

/**
 * Characters of a prompt: several times what any text encoder reads, ten chunks of 75 tokens with prompt weighting. A megabyte of text
 * takes seconds to tokenise.
 */
const LONGEST_PROMPT = 20_000

/** What a picture or its weights may be called: a name, a tag, a folder, a file. */
const LONGEST_NAME = 5_000

/** Text that is drawn. */
export function promptText() {
  return z.string().max(LONGEST_PROMPT)
}

/** Text that names something. */
export function nameText() {
  return z.string().max(LONGEST_NAME)
}

export function negativePrompt() {
  return promptText()
    .default('')
    .meta({
      title: 'Negative Prompt',
      description: 'What the image should not show: objects, colours, styles or flaws to keep out.',
      examples: ['cartoon, illustration, animation. face. male, female', 'ugly, deformed'],
    })
}

/** A free text that comes back in the output: clients of the realtime socket match results to inputs by it. */
export function requestId() {
  return nameText().default('').meta({
    title: 'Request Id',
    description: 'An id bound to a request; it comes back with the response, so that the two can be matched.',
  })
}

export function guidanceScale(defaultValue: number) {
  return z.number().min(0).max(20).default(defaultValue).meta({
    title: 'Guidance Scale',
    description: 'Classifier-free guidance: how closely the image follows the prompt.',
  })
}

/** The latent consistency schedule is made of 50 original steps and can give no more. */
export function lcmInferenceSteps(defaultValue: number) {
  return z.int().min(1).max(50).default(defaultValue).meta({
    title: 'Num Inference Steps',
    description: 'The number of denoising steps. More steps take longer and mostly look better.',
  })
}

/** An input picture by URL. `image_bytes` takes its place where a realtime frame carries the picture itself. */
export function imageUrl(examples: readonly string[]) {
  return z
    .string()
    .optional()
    .meta({
      title: 'Image Url',
      description: 'URL of the image to start from: http(s), or a data URI.',
      examples,
      ui: { field: 'image' },
      requiredUnless: 'image_bytes',
    })
}

export function maskUrl() {
  return z.string().meta({
    title: 'Mask Url',
    description: 'URL of a black-and-white image: white is drawn anew, black is kept.',
    ui: { field: 'image' },
  })
}

/** The picture itself, as bytes of a MessagePack frame; the live service takes it so in realtime, unpublished. */
export function imageBytes() {
  return z.instanceof(Uint8Array).nullish().meta({
    title: 'Image Bytes',
    description: 'The image to start from, encoded as JPEG, PNG or WebP.',
    type: 'string',
    format: 'binary',
    hidden: true,
  })
}

/** Seconds by name of the phase. */
export function timings() {
  return z.record(z.string(), z.number()).meta({
    title: 'Timings',
    description: 'Seconds that the phases of the request took.',
    examples: [{ inference: 1.234 }],
  })
}

/** Not on fal's page, which checks always. */
export function hiddenSafetyChecker() {
  return z
    .boolean()
    .default(true)
    .meta({ title: 'Enable Safety Checker', description: 'Whether the picture is checked.', hidden: true })
}
