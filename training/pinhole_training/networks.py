"""The networks of a Pinhole checkpoint, opened from a diffusers folder."""

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from transformers import CLIPTextModel, CLIPTokenizer

LATENT_CHANNELS = 8
LATENT_SIDE = 16
CONTEXT_WIDTH = 128
#: Latent heights and widths that the base is trained at.
LATENT_SIZES = ((16, 16), (16, 12), (12, 16), (16, 9), (9, 16), (12, 12))


@dataclass
class Base:
    """A base model: float32 weights, nothing trainable."""

    folder: Path
    unet: UNet2DConditionModel
    text_encoder: CLIPTextModel
    tokenizer: CLIPTokenizer
    scaling_factor: float

    @torch.no_grad()
    def embed(self, prompts: list[str]) -> torch.Tensor:
        """Prompt embeds of shape (prompts, 77, 128), float32."""
        ids = self.tokenizer(
            prompts, padding="max_length", max_length=77, truncation=True, return_tensors="pt"
        ).input_ids
        return self.text_encoder(ids)[0]


def new_unet() -> UNet2DConditionModel:
    return UNet2DConditionModel(
        sample_size=LATENT_SIDE, in_channels=LATENT_CHANNELS, out_channels=LATENT_CHANNELS,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"), block_out_channels=(64, 128, 192),
        layers_per_block=1, norm_num_groups=16, cross_attention_dim=CONTEXT_WIDTH, attention_head_dim=(2, 4, 6),
    )  # fmt: skip


def open_base(folder: Path) -> Base:
    """The base in a folder; one that holds no UNet yet gets a new one."""
    if (folder / "unet").is_dir():
        unet = UNet2DConditionModel.from_pretrained(folder, subfolder="unet", torch_dtype=torch.float32)
    else:
        unet = new_unet()
    text_encoder = CLIPTextModel.from_pretrained(folder, subfolder="text_encoder", torch_dtype=torch.float32)
    tokenizer = CLIPTokenizer.from_pretrained(folder, subfolder="tokenizer")
    vae_config = json.loads((folder / "vae" / "config.json").read_text())
    unet.requires_grad_(False).eval().to(memory_format=torch.channels_last)
    text_encoder.requires_grad_(False).eval()
    return Base(folder, unet, text_encoder, tokenizer, vae_config["scaling_factor"])


def open_autoencoder(folder: Path) -> AutoencoderKL:
    """The autoencoder of a checkpoint folder (or of a folder of its own), float32, nothing trainable."""
    place = folder / "vae" if (folder / "vae").is_dir() else folder
    vae = AutoencoderKL.from_pretrained(place, torch_dtype=torch.float32)
    return vae.requires_grad_(False).eval().to(memory_format=torch.channels_last)


def parameter_count(module: torch.nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())
