/** What the model listing says of every latent consistency endpoint. */
export const LATENT_CONSISTENCY = {
  tags: ['diffusion', 'lcm'],
  group: { key: 'latent-consistency', label: 'Latent Consistency Models' },
  addedOn: '2026-11-21',
} as const
