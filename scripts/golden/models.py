"""Golden outputs of single models, written to packages/engine/test/golden/data/models/.

    python scripts/golden/models.py        (after checkpoints.py)

Each case is a safetensors file: inputs by the name of the graph's input, outputs as `expected.<name>`, and as metadata where the
weights are, the versions and the tolerance. Models with options that none of the tiny checkpoints has are saved beside the
cases, as a config.json and a weight file.
"""

import json
import pathlib
import shutil

import diffusers
import torch
import transformers
from checkpoints import DATA as CHECKPOINTS
from checkpoints import TINY_VAE, VOCABULARY, sensitize, unet, vae
from diffusers import AutoencoderKL, UNet2DConditionModel
from safetensors.torch import save_file
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

DATA = CHECKPOINTS.parent / "models"
TOLERANCE = {
    "tolerance": 2e-5,
    "tolerance_reason": "largest difference over largest value; float32 kernels add in other orders and approximate exp, erf and "
    "sin to a few ulp: up to 2.3e-6 measured; the smallest effect of a wrong constant (the middle block's head count) is 3.3e-5",
}
VERSIONS = {"torch": torch.__version__, "diffusers": diffusers.__version__, "transformers": transformers.__version__}
TOKENS = 77

# Every option of the UNet that the checkpoints leave at its default, in two models because some exclude each other.
UNET_OPTIONS_A = {
    "sample_size": [16, 12],
    "in_channels": 9,
    "center_input_sample": True,
    "flip_sin_to_cos": False,
    "freq_shift": 1,
    "time_embedding_dim": 24,
    "block_out_channels": [8, 8, 16],
    "layers_per_block": [1, 2, 1],
    "norm_num_groups": 4,
    "norm_eps": 1e-4,
    "cross_attention_dim": [12, 12, 12],
    "attention_head_dim": [1, 2, 4],
    "transformer_layers_per_block": [1, [2, 1], 1],
    "reverse_transformer_layers_per_block": [[1, 2], [1, 1, 2], 1],
    "mid_block_type": "UNetMidBlock2D",
    "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"],
    "up_block_types": ["CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"],
    "conv_in_kernel": 5,
    "conv_out_kernel": 1,
    "downsample_padding": 0,
    "mid_block_scale_factor": 2.0,
}
UNET_OPTIONS_B = {
    "out_channels": 8,
    "block_out_channels": [8, 8],
    "layers_per_block": 1,
    "norm_num_groups": 4,
    "cross_attention_dim": 12,
    "attention_head_dim": 2,
    "transformer_layers_per_block": 2,
    "mid_block_type": None,
    "use_linear_projection": True,
    "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D"],
    "up_block_types": ["CrossAttnUpBlock2D", "UpBlock2D"],
}
UNET_OPTIONS_C = {**UNET_OPTIONS_B, "mid_block_type": "UNetMidBlock2DCrossAttn", "mid_block_scale_factor": 1.5}
VAE_OPTIONS = {
    **TINY_VAE,
    "block_out_channels": [4, 8],
    "latent_channels": 2,
    "in_channels": 4,
    "out_channels": 5,
    "use_quant_conv": False,
    "use_post_quant_conv": False,
    "mid_block_add_attention": False,
    "latents_mean": [0.2, -0.4],
    "latents_std": [0.5, 2.0],
}


def main():
    torch.set_num_threads(1)
    shutil.rmtree(DATA, ignore_errors=True)
    DATA.mkdir(parents=True)
    with torch.no_grad():
        unets()
        autoencoders()
        text_encoders()


def random(seed, *shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def save(name, weights, inputs, expected):
    tensors = {**inputs, **{f"expected.{key}": value for key, value in expected.items()}}
    # One entry: safetensors writes several in random order.
    metadata = {"case": json.dumps({"weights": weights, **VERSIONS, **TOLERANCE})}
    save_file({key: value.contiguous() for key, value in tensors.items()}, DATA / f"{name}.safetensors", metadata=metadata)


def option_model(name, model):
    model.save_pretrained(DATA / name)
    return f"models/{name}", model


def checkpoint(cls, component):
    return f"checkpoints/{component}", cls.from_pretrained(CHECKPOINTS / component).eval()


def unets():
    sd15 = checkpoint(UNet2DConditionModel, "tiny-sd15/unet")
    sdxl = checkpoint(UNet2DConditionModel, "tiny-sdxl/unet")
    lcm = checkpoint(UNet2DConditionModel, "tiny-lcm/unet")
    unet_case("unet-sd15", *sd15, seed=1, batch=1, size=(16, 16), timestep=500)
    unet_case("unet-sd15-batch-2", *sd15, seed=2, batch=2, size=(12, 20), timestep=999)
    unet_case("unet-sd15-odd", *sd15, seed=3, batch=1, size=(13, 7), timestep=1, tokens=154)
    unet_case("unet-sd15-fractional-timestep", *sd15, seed=4, batch=1, size=(8, 8), timestep=749.25)
    unet_case("unet-sdxl", *sdxl, seed=5, batch=2, size=(16, 12), timestep=261)
    unet_case("unet-sdxl-odd", *sdxl, seed=6, batch=1, size=(9, 5), timestep=999)
    unet_case("unet-lcm", *lcm, seed=7, batch=2, size=(16, 16), timestep=759)
    for i, config in enumerate([UNET_OPTIONS_A, UNET_OPTIONS_B, UNET_OPTIONS_C]):
        name = f"unet-options-{'abc'[i]}"
        unet_case(name, *option_model(name, unet(40 + i, **config)), seed=8 + i, batch=2, size=(14, 11), timestep=321, tokens=5)


def unet_case(name, weights, model, seed, batch, size, timestep, tokens=TOKENS):
    config = model.config
    width = config.cross_attention_dim if isinstance(config.cross_attention_dim, int) else config.cross_attention_dim[0]
    inputs = {
        "sample": random(seed, batch, config.in_channels, *size),
        "timestep": torch.tensor([float(timestep)]),
        "encoder_hidden_states": random(seed + 100, batch, tokens, width),
    }
    if config.time_cond_proj_dim:
        inputs["timestep_cond"] = random(seed + 200, batch, config.time_cond_proj_dim)
    added = {}
    if config.addition_embed_type == "text_time":
        pooled = config.projection_class_embeddings_input_dim - 6 * config.addition_time_embed_dim
        added["text_embeds"] = random(seed + 300, batch, pooled)
        added["time_ids"] = torch.tensor([[1024.0, 768, 0, 8, 512, 1024]]).repeat(batch, 1) + torch.arange(batch)[:, None]
    noise = model(
        inputs["sample"], inputs["timestep"], inputs["encoder_hidden_states"], timestep_cond=inputs.get("timestep_cond"),
        added_cond_kwargs=added or None,
    ).sample  # fmt: skip
    save(name, weights, {**inputs, **added}, {"noise_pred": noise})


def autoencoders():
    sd15 = checkpoint(AutoencoderKL, "tiny-sd15/vae")
    model = vae(50, **VAE_OPTIONS)
    model.encoder.conv_out.bias[2:] = torch.tensor([-30.0, 20.0])  # where the log-variance is clamped
    options = option_model("vae-options", model)
    vae_case("vae-sd15", *sd15, seed=20, batch=1, size=(32, 32))
    vae_case("vae-sd15-batch-2", *sd15, seed=21, batch=2, size=(20, 36))
    vae_case("vae-options", *options, seed=22, batch=2, size=(14, 10))


def vae_case(name, weights, model, seed, batch, size):
    """Decodes as the SDXL pipeline does, which alone reads latents_mean and latents_std."""
    config = model.config
    factor = 2 ** (len(config.block_out_channels) - 1)
    latents = random(seed, batch, config.latent_channels, size[0] // factor, size[1] // factor)
    per_channel = lambda values, default: torch.tensor(values or [default] * config.latent_channels).view(1, -1, 1, 1)  # noqa: E731
    mean, std = per_channel(config.latents_mean, 0.0), per_channel(config.latents_std, 1.0)
    picture = model.decode(latents * std / config.scaling_factor + mean).sample
    image = random(seed + 100, batch, config.in_channels, *size).clamp(-1, 1)
    posterior = model.encode(image).latent_dist
    sample = posterior.mean + torch.exp(0.5 * posterior.logvar) * random(seed + 200, *posterior.mean.shape)
    save(name, weights, {"latents": latents, "encoder_image": image, "encoder_sample": sample}, {
        "image": picture,
        "mean": posterior.mean,
        "logvar": posterior.logvar,
        "scaled_sample": (sample - mean) * config.scaling_factor / std,
    })  # fmt: skip


def text_encoders():
    ids = torch.full((2, TOKENS), VOCABULARY - 1)
    ids[0, :6] = torch.tensor([VOCABULARY - 2, 320, 987, 12, 700, VOCABULARY - 1])
    ids[1, :40] = torch.randint(0, VOCABULARY - 2, (40,), generator=torch.Generator().manual_seed(30))
    ids[1, 0] = VOCABULARY - 2
    zero_padded = ids.clone()
    zero_padded[0, 6:] = 0
    zero_padded[1, 41:] = 0
    text_case("text-encoder-sd15", *checkpoint(CLIPTextModel, "tiny-sd15/text_encoder"), ids)
    text_case("text-encoder-lcm", *checkpoint(CLIPTextModel, "tiny-lcm/text_encoder"), ids[:1, :20])
    text_case("text-encoder-sdxl-2", *checkpoint(CLIPTextModelWithProjection, "tiny-sdxl/text_encoder_2"), zero_padded)
    torch.manual_seed(60)
    config = CLIPTextConfig(
        vocab_size=VOCABULARY, hidden_size=12, intermediate_size=20, num_hidden_layers=2, num_attention_heads=3,
        max_position_embeddings=24, layer_norm_eps=1e-4, projection_dim=6, bos_token_id=VOCABULARY - 2,
        eos_token_id=VOCABULARY - 3, pad_token_id=1,
    )  # fmt: skip
    model = sensitize(CLIPTextModelWithProjection(config), 60, quiet=0.05, sharp=5.0)
    early = ids[:, :24].clone()
    early[0, 3] = early[0, 9] = early[1, 7] = VOCABULARY - 3
    text_case("text-encoder-options", *option_model("text-encoder-options", model), early)


def text_case(name, weights, model, ids):
    out = model(ids, output_hidden_states=True)
    norm = (model.text_model if hasattr(model, "text_model") else model).final_layer_norm
    expected = {"last_hidden_state": out.last_hidden_state}
    if "text_embeds" in out:
        expected["text_embeds"] = out.text_embeds
    for i, state in enumerate(out.hidden_states):
        expected[f"hidden_states.{i}"] = state
        expected[f"normalized_hidden_states.{i}"] = norm(state)
    save(name, weights, {"input_ids": ids}, expected)


if __name__ == "__main__":
    main()
