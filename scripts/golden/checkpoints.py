"""Tiny random diffusers checkpoints, written to packages/engine/test/golden/data/checkpoints/<name>/.

    python scripts/golden/checkpoints.py

    tiny-sd15   StableDiffusionPipeline: three levels, attention on the upper two, 1x1 convolutions around the transformers
    tiny-sdxl   StableDiffusionXLPipeline: two text encoders, text_time, linear projections, transformer layers by level
    tiny-lcm    LatentConsistencyModelPipeline: time_cond_proj_dim; its text encoder has the keys of transformers 5.6 and later

The weights are not left as initialised: a wrong epsilon, head count or norm weight would then move the outputs by less than
float32 noise. `sensitize` says what is done about it.
"""

import json
import pathlib
import shutil

import torch
from diffusers import (
    AutoencoderKL,
    EulerDiscreteScheduler,
    LatentConsistencyModelPipeline,
    LCMScheduler,
    PNDMScheduler,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from safetensors.torch import load_file, save_file
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

ROOT = pathlib.Path(__file__).parents[2]
DATA = ROOT / "packages/engine/test/golden/data/checkpoints"
TOKENIZER = ROOT / "models/pinhole-512/tokenizer"
VOCABULARY = 1231

# Layers whose output is normalised later on, by the epsilon of that norm: with a variance of about 1e-4 (or 1e-5) before the
# norm, an epsilon of 1e-5 (or 1e-6) is a tenth of it.
QUIET_LAYERS = (
    "conv_in", "conv1", "conv2", "conv_shortcut", "time_emb_proj", "proj_in", "to_out.0", "ff.net.2",
    "downsamplers.0.conv", "upsamplers.0.conv", "out_proj", "fc2",
)  # fmt: skip
SHARP_LAYERS = ("to_q", "to_k", "q_proj", "k_proj")


def sensitize(model, seed, quiet, sharp=4.0):
    """Random norms, small streams before the norms, attention that is far from uniform."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            layer, _, kind = name.rpartition(".")
            noise = torch.randn(parameter.shape, generator=generator)
            if "norm" in layer.rpartition(".")[2]:
                parameter.copy_(1 + 0.3 * noise if kind == "weight" else 0.3 * noise)
            elif "embedding" in layer and parameter.ndim == 2 and not layer.endswith(("linear_1", "linear_2", "cond_proj")):
                parameter.copy_(0.02 * noise)
            elif layer.endswith(QUIET_LAYERS):
                parameter.mul_(quiet)
            elif layer.endswith(SHARP_LAYERS):
                parameter.mul_(sharp)
    return model.eval()


def unet(seed, **config):
    torch.manual_seed(seed)
    return sensitize(UNet2DConditionModel(**config), seed, quiet=0.03)


def vae(seed, **config):
    torch.manual_seed(seed)
    blocks = len(config["block_out_channels"])
    types = {"down_block_types": ["DownEncoderBlock2D"] * blocks, "up_block_types": ["UpDecoderBlock2D"] * blocks}
    return sensitize(AutoencoderKL(**types, **config), seed, quiet=0.01)


def text_encoder(seed, cls=CLIPTextModel, **config):
    torch.manual_seed(seed)
    common = {"vocab_size": VOCABULARY, "bos_token_id": VOCABULARY - 2, "eos_token_id": 2, "pad_token_id": 1}
    return sensitize(cls(CLIPTextConfig(**{**common, **config})), seed, quiet=0.05, sharp=5.0)


TINY_VAE = {"block_out_channels": [8, 8, 16], "layers_per_block": 1, "norm_num_groups": 4, "sample_size": 64}
TINY_TEXT = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4}
SD15_UNET = {
    "sample_size": 16,
    "block_out_channels": [8, 16, 16],
    "layers_per_block": 1,
    "norm_num_groups": 4,
    "cross_attention_dim": 16,
    "attention_head_dim": 2,
    "down_block_types": ["CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"],
    "up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"],
}
SDXL_UNET = {
    "sample_size": 16,
    "block_out_channels": [8, 16],
    "layers_per_block": 2,
    "norm_num_groups": 4,
    "cross_attention_dim": 40,
    "attention_head_dim": [2, 4],
    "transformer_layers_per_block": [1, 2],
    "use_linear_projection": True,
    "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D"],
    "up_block_types": ["CrossAttnUpBlock2D", "UpBlock2D"],
    "addition_embed_type": "text_time",
    "addition_time_embed_dim": 8,
    "projection_class_embeddings_input_dim": 24 + 6 * 8,
}
LCM_UNET = {
    "sample_size": 16,
    "block_out_channels": [8, 16],
    "layers_per_block": 1,
    "norm_num_groups": 4,
    "cross_attention_dim": 16,
    "attention_head_dim": 4,
    "down_block_types": ["CrossAttnDownBlock2D", "CrossAttnDownBlock2D"],
    "up_block_types": ["CrossAttnUpBlock2D", "CrossAttnUpBlock2D"],
    "time_cond_proj_dim": 32,
}
SD_BETAS = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}


def tiny_sd15():
    scheduler = PNDMScheduler(**SD_BETAS, skip_prk_steps=True, set_alpha_to_one=False, steps_offset=1)
    parts = {"text_encoder": text_encoder(12, **TINY_TEXT), "unet": unet(10, **SD15_UNET), "vae": vae(11, **TINY_VAE)}
    save(StableDiffusionPipeline, "tiny-sd15", scheduler=scheduler, safety_checker=None, feature_extractor=None,
         requires_safety_checker=False, **parts)  # fmt: skip


def tiny_sdxl():
    scheduler = EulerDiscreteScheduler(**SD_BETAS, steps_offset=1, timestep_spacing="leading")
    wide = {**TINY_TEXT, "hidden_size": 24, "intermediate_size": 48, "hidden_act": "gelu", "projection_dim": 24}
    parts = {
        "text_encoder": text_encoder(22, **TINY_TEXT),
        "text_encoder_2": text_encoder(23, CLIPTextModelWithProjection, **wide),
        "unet": unet(20, **SDXL_UNET),
        "vae": vae(21, **TINY_VAE, scaling_factor=0.13025),
    }
    save(StableDiffusionXLPipeline, "tiny-sdxl", scheduler=scheduler, **parts)
    install_tokenizer("tiny-sdxl/tokenizer_2", pad_token="!")


def tiny_lcm():
    scheduler = LCMScheduler(**SD_BETAS, steps_offset=1)
    parts = {"text_encoder": text_encoder(32, **TINY_TEXT), "unet": unet(30, **LCM_UNET), "vae": vae(31, **TINY_VAE)}
    save(LatentConsistencyModelPipeline, "tiny-lcm", scheduler=scheduler, safety_checker=None, feature_extractor=None,
         requires_safety_checker=False, **parts)  # fmt: skip


def save(cls, name, **components):
    folder = DATA / name
    shutil.rmtree(folder, ignore_errors=True)
    loaded = CLIPTokenizer.from_pretrained(TOKENIZER)
    if cls is StableDiffusionXLPipeline:
        components["tokenizer_2"] = loaded
    cls(tokenizer=loaded, **components).save_pretrained(folder)
    install_tokenizer(f"{name}/tokenizer")
    if name != "tiny-lcm":
        use_published_keys(folder / "text_encoder/model.safetensors")


def install_tokenizer(place, pad_token="<|endoftext|>"):
    """The four files of published checkpoints, instead of what the installed transformers writes."""
    folder = DATA / place
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(TOKENIZER, folder, copy_function=shutil.copyfile)
    for name in ("tokenizer_config.json", "special_tokens_map.json"):
        path = folder / name
        path.write_text(json.dumps({**json.loads(path.read_text()), "pad_token": pad_token}, indent=2) + "\n")


def use_published_keys(path):
    """transformers 5.6 dropped the prefix that every published text encoder has."""
    tensors = {key if key.startswith("text_model.") else f"text_model.{key}": value for key, value in load_file(path).items()}
    save_file(tensors, path, metadata={"format": "pt"})


if __name__ == "__main__":
    torch.set_num_threads(1)
    tiny_sd15()
    tiny_sdxl()
    tiny_lcm()
