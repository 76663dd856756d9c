/** The models that the latent consistency endpoints are built on, the largest first. */
export const LCM_BASE_MODELS = ['stabilityai/stable-diffusion-xl-base-1.0', 'runwayml/stable-diffusion-v1-5'] as const

export type LcmModelName = (typeof LCM_BASE_MODELS)[number]

/** The LCM-LoRA of each base model's family. */
export const LCM_LORAS: Readonly<Record<LcmModelName, string>> = {
  'stabilityai/stable-diffusion-xl-base-1.0': 'latent-consistency/lcm-lora-sdxl',
  'runwayml/stable-diffusion-v1-5': 'latent-consistency/lcm-lora-sdv1-5',
}

/** What the model listing says of every latent consistency endpoint. */
export const LATENT_CONSISTENCY = {
  tags: ['diffusion', 'lcm'],
  group: { key: 'latent-consistency', label: 'Latent Consistency Models' },
  addedOn: '2026-11-21',
} as const
