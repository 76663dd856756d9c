/** The bytes of a safetensors file with tensors of zeros, by key and shape: what a file is for is told by these. */
export function safetensorsBytes(shapes: Readonly<Record<string, readonly number[]>>): Uint8Array {
  let end = 0
  const entries = Object.entries(shapes).map(([key, shape]) => {
    const begin = end
    end += shape.reduce((product, size) => product * size, 4)
    return [key, { dtype: 'F32', shape, data_offsets: [begin, end] }] as const
  })
  const header = Buffer.from(JSON.stringify(Object.fromEntries(entries)))
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(header.length))
  return Buffer.concat([length, header, Buffer.alloc(end)])
}

/** The least that tells each kind of file. */
export const SAMPLE_WEIGHTS = {
  lora: safetensorsBytes({
    'lora_unet_mid_block_attentions_0_transformer_blocks_0_attn2_to_k.lora_down.weight': [1, 768],
  }),
  controlnet: safetensorsBytes({ 'controlnet_cond_embedding.conv_in.weight': [1, 1, 3, 3] }),
  unet: safetensorsBytes({ 'conv_in.weight': [1, 4, 3, 3], 'down_blocks.0.resnets.0.conv1.weight': [1, 1] }),
  icLight: safetensorsBytes({ 'conv_in.weight': [1, 8, 3, 3], 'down_blocks.0.resnets.0.conv1.weight': [1, 1] }),
  embedding: safetensorsBytes({ emb_params: [2, 768] }),
  checkpoint: safetensorsBytes({
    'conditioner.embedders.1.model.ln_final.weight': [1],
    'model.diffusion_model.input_blocks.0.0.weight': [1, 4, 3, 3],
  }),
} as const
