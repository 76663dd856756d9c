import { expect, test } from 'vitest'
import { describeUnknownKey, parseLoraKey } from './lora-keys.ts'

const Q = 'mid_block.attentions.0.transformer_blocks.0.attn1.to_q'

test.each([
  [`unet.${Q}.lora_A.weight`, 'unet', Q, 'down', 'peft'],
  [`unet.${Q}.lora_B.default.weight`, 'unet', Q, 'up', 'peft'],
  [`base_model.model.${Q}.lora_A.weight`, 'unet', Q, 'down', 'peft'],
  [`unet.base_model.model.${Q}.lora_magnitude_vector`, 'unet', Q, 'magnitude', 'peft'],
  [`unet.${Q}.lora.up.weight`, 'unet', Q, 'up', 'diffusers'],
  [`unet.${Q.replace('attn1.', 'attn1.processor.')}_lora.down.weight`, 'unet', Q, 'down', 'attention-processor'],
  [`${Q.replace('attn1.', 'attn1.processor.')}_lora.up.weight`, 'unet', Q, 'up', 'attention-processor'],
  [
    'text_encoder_2.text_model.a.q_proj.lora_linear_layer.up.weight',
    'text_encoder_2',
    'text_model.a.q_proj',
    'up',
    'diffusers',
  ],
  [
    'text_encoder.text_model.a.to_out_lora.down.weight',
    'text_encoder',
    'text_model.a.to_out',
    'down',
    'attention-processor',
  ],
  ['lora_unet_mid_block_x.lora_mid.weight', 'unet', 'mid_block_x', 'mid', 'kohya'],
  ['lora_unet_output_blocks_3_1_proj_in.alpha', 'unet', 'output_blocks_3_1_proj_in', 'alpha', 'kohya-sgm'],
  ['diffusion_model.input_blocks.4.1.proj_in.lora_A.weight', 'unet', 'input_blocks.4.1.proj_in', 'down', 'peft'],
  ['lora_te_text_model_a.hada_w1_a', 'text_encoder', 'text_model_a', 'hada_w1_a', 'kohya'],
  ['lora_te1_text_model_a.lokr_w2_b', 'text_encoder', 'text_model_a', 'lokr_w2_b', 'kohya'],
  ['lora_te2_text_model_a.dora_scale', 'text_encoder_2', 'text_model_a', 'doraScale', 'kohya'],
  ['lycoris_down_blocks_0_x.diff_b', 'unet', 'down_blocks_0_x', 'diff_b', 'lycoris'],
  ['lycoris_text_model_a.diff', 'text_encoder', 'text_model_a', 'diff', 'lycoris'],
])('%s', (key, component, module, part, dialect) => {
  expect(parseLoraKey(key)).toEqual({ component, module, part, dialect })
})

test.each([
  ['conv_in.weight', 'no LoRA has such a key'],
  ['lora_unet_mid.oft_blocks', 'OFT or BOFT is not supported'],
  ['lora_unet_mid.a1.weight', 'GLoRA is not supported'],
  ['bundle_emb.name.string_to_param.*', 'an embedding bundled with the LoRA is not supported'],
  ['elsewhere.lora_A.weight', 'no LoRA has such a key'],
])('%s is of no LoRA', (key, reason) => {
  expect(parseLoraKey(key)).toBeUndefined()
  expect(describeUnknownKey(key)).toBe(reason)
})
