"""Stage `early-decoder`: an early way out of the 512-pixel autoencoder's decoder, for pictures that are looked at once.

Its last three levels do three quarters of the decoder's work and add no more than edges. Here what it knows at 64×64 (two levels above the
latents) goes through two convolutions, of which the last gives the values of 4×4 pixels at once. The decoder itself stays as it is.
"""

import json
import random
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL
from safetensors.torch import save_file
from torch import nn

from . import scenes
from .autoencoder import edge_loss, psnr, to_pixels
from .dataset import Shards
from .training_run import TrainingRun

#: Level of the decoder (0 the deepest) whose resnets are the last that run; channels between the two convolutions; pixels per value.
LEVEL, WIDTH, SHUFFLE = 2, 32, 4
SIDE, FEATURES, CROP = 512, 64, 24
PICTURES, HELD_OUT = 480, 24


class EarlyHead(nn.Module):
    """From the features [n, channels, h, w] of a level to pictures [n, 3, 8 h, 8 w], about −1 … 1."""

    def __init__(self, channels: int, groups: int):
        super().__init__()
        self.norm = nn.GroupNorm(groups, channels, eps=1e-6)
        self.conv_in = nn.Conv2d(channels, WIDTH, 3, padding=1)
        self.conv_out = nn.Conv2d(WIDTH, 3 * SHUFFLE**2, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.interpolate(F.silu(self.norm(x)), scale_factor=2)
        return F.pixel_shuffle(self.conv_out(F.silu(self.conv_in(x))), SHUFFLE)


def features_of(vae: AutoencoderKL, latents: torch.Tensor) -> torch.Tensor:
    """What the decoder has after the resnets of `LEVEL`, of scaled latents."""
    decoder, z = vae.decoder, latents / vae.config.scaling_factor
    if vae.post_quant_conv is not None:
        z = vae.post_quant_conv(z)
    h = decoder.mid_block(decoder.conv_in(z))
    for block in decoder.up_blocks[:LEVEL]:
        h = block(h)
    for resnet in decoder.up_blocks[LEVEL].resnets:
        h = resnet(h, temb=None)
    return h


@torch.no_grad()
def draw_pairs(vae: AutoencoderKL, shards: Shards, cached: Path) -> tuple[np.ndarray, np.ndarray]:
    """Features (n, channels, 64, 64), float16, and pictures (n, 512, 512, 3), uint8, of scenes; drawn once, kept on disk."""
    names = cached.with_suffix(".features.npy"), cached.with_suffix(".pictures.npy")
    if not names[1].exists():
        rng = random.Random(70)
        torch.manual_seed(70)
        features, pictures = [], []
        for index in rng.sample(range(len(shards)), PICTURES):
            z = torch.from_numpy(shards.latents[index : index + 1].astype(np.float32)) * vae.config.scaling_factor
            # The UNet's latents lie a little beside the encoder's.
            with torch.autocast("cpu", dtype=torch.bfloat16):
                features.append(features_of(vae, z + 0.05 * torch.randn_like(z))[0].half().numpy())
            pictures.append(np.asarray(scenes.render(shards.scenes[index], SIDE)))
        np.save(names[0], np.stack(features))
        np.save(names[1], np.stack(pictures))
    return np.load(names[0], mmap_mode="r"), np.load(names[1], mmap_mode="r")


def train_early_decoder(
    data: Path, base: Path, work: Path, out: Path, steps: int, batch: int, rate: float, seed: int
) -> None:
    vae = AutoencoderKL.from_pretrained(base / "vae", torch_dtype=torch.float32).requires_grad_(False).eval()
    features, pictures = draw_pairs(vae, Shards(data), work / "early-decoder")
    torch.manual_seed(seed)
    head = EarlyHead(features.shape[1], vae.config.norm_num_groups)
    run = TrainingRun(work / "early-decoder.pt", [{"params": list(head.parameters())}], steps, rate, seed, average=0.99)
    factor = SIDE // FEATURES

    def loss_of(rng: random.Random) -> torch.Tensor:
        parts, wanted = [], []
        for _ in range(batch):
            index = rng.randrange(HELD_OUT, len(pictures))
            y, x = rng.randrange(FEATURES - CROP + 1), rng.randrange(FEATURES - CROP + 1)
            parts.append(features[index, :, y : y + CROP, x : x + CROP].astype(np.float32))
            wanted.append(pictures[index, y * factor : (y + CROP) * factor, x * factor : (x + CROP) * factor])
        target = to_pixels(wanted)
        drawn = head(torch.from_numpy(np.stack(parts)))
        coarse = (F.avg_pool2d(drawn, 8) - F.avg_pool2d(target, 8)).abs().mean()
        return (drawn - target).abs().mean() + 0.6 * edge_loss(drawn, target) + 0.3 * coarse

    run.train(loss_of)
    run.use_average()
    with torch.no_grad():
        drawn = head(torch.from_numpy(features[:HELD_OUT].astype(np.float32)))
    print(f"PSNR {psnr(drawn, to_pixels(list(pictures[:HELD_OUT]))):.1f} dB")
    out.mkdir(parents=True, exist_ok=True)
    config = {"_class_name": "EarlyDecoder", "level": LEVEL, "width": WIDTH, "pixel_shuffle": SHUFFLE}
    (out / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    state = {key: value.half().contiguous() for key, value in head.state_dict().items()}
    save_file(state, out / "diffusion_pytorch_model.safetensors", metadata={"format": "pt"})
