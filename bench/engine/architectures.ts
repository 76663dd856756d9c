/** Component configs of the published base models, so that benches run real sizes with random weights. */
export interface Architecture {
  readonly className: string
  /** config.json by component folder. */
  readonly components: Readonly<Record<string, readonly [library: string, config: Readonly<Record<string, unknown>>]>>
}

const vae = (scalingFactor: number, sampleSize: number) => ({
  _class_name: 'AutoencoderKL',
  act_fn: 'silu',
  block_out_channels: [128, 256, 512, 512],
  down_block_types: Array(4).fill('DownEncoderBlock2D'),
  up_block_types: Array(4).fill('UpDecoderBlock2D'),
  in_channels: 3,
  out_channels: 3,
  latent_channels: 4,
  layers_per_block: 2,
  norm_num_groups: 32,
  sample_size: sampleSize,
  scaling_factor: scalingFactor,
})

const scheduler = {
  beta_start: 0.00085,
  beta_end: 0.012,
  beta_schedule: 'scaled_linear',
  num_train_timesteps: 1000,
  set_alpha_to_one: false,
  steps_offset: 1,
  clip_sample: false,
}

const clipLarge = {
  architectures: ['CLIPTextModel'],
  hidden_act: 'quick_gelu',
  hidden_size: 768,
  intermediate_size: 3072,
  num_attention_heads: 12,
  num_hidden_layers: 12,
  max_position_embeddings: 77,
  vocab_size: 49408,
  projection_dim: 768,
  eos_token_id: 2,
}

const unet = {
  _class_name: 'UNet2DConditionModel',
  act_fn: 'silu',
  in_channels: 4,
  out_channels: 4,
  layers_per_block: 2,
  norm_num_groups: 32,
  norm_eps: 1e-5,
  downsample_padding: 1,
  flip_sin_to_cos: true,
  freq_shift: 0,
}

export const ARCHITECTURES: Readonly<Record<string, Architecture>> = {
  sd15: {
    className: 'StableDiffusionPipeline',
    components: {
      unet: [
        'diffusers',
        {
          ...unet,
          sample_size: 64,
          block_out_channels: [320, 640, 1280, 1280],
          down_block_types: [...Array(3).fill('CrossAttnDownBlock2D'), 'DownBlock2D'],
          up_block_types: ['UpBlock2D', ...Array(3).fill('CrossAttnUpBlock2D')],
          attention_head_dim: 8,
          cross_attention_dim: 768,
        },
      ],
      vae: ['diffusers', vae(0.18215, 512)],
      text_encoder: ['transformers', clipLarge],
      scheduler: ['diffusers', { _class_name: 'DDIMScheduler', ...scheduler }],
    },
  },
  sdxl: {
    className: 'StableDiffusionXLPipeline',
    components: {
      unet: [
        'diffusers',
        {
          ...unet,
          sample_size: 128,
          block_out_channels: [320, 640, 1280],
          down_block_types: ['DownBlock2D', 'CrossAttnDownBlock2D', 'CrossAttnDownBlock2D'],
          up_block_types: ['CrossAttnUpBlock2D', 'CrossAttnUpBlock2D', 'UpBlock2D'],
          attention_head_dim: [5, 10, 20],
          transformer_layers_per_block: [1, 2, 10],
          cross_attention_dim: 2048,
          use_linear_projection: true,
          addition_embed_type: 'text_time',
          addition_time_embed_dim: 256,
          projection_class_embeddings_input_dim: 2816,
        },
      ],
      vae: ['diffusers', vae(0.13025, 1024)],
      text_encoder: ['transformers', clipLarge],
      text_encoder_2: [
        'transformers',
        {
          ...clipLarge,
          architectures: ['CLIPTextModelWithProjection'],
          hidden_act: 'gelu',
          hidden_size: 1280,
          intermediate_size: 5120,
          num_attention_heads: 20,
          num_hidden_layers: 32,
          projection_dim: 1280,
        },
      ],
      scheduler: ['diffusers', { _class_name: 'EulerDiscreteScheduler', ...scheduler, timestep_spacing: 'leading' }],
    },
  },
}
