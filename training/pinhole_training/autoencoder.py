"""Stages `autoencoder` and `outer-levels`: 256-pixel pictures to 16×16×8 latents, then the same latents at 512 and 1024.

The outer levels start as plain resampling around the frozen core (random starts did not converge) and learn to give the
core's latents for the picture shrunk to 256 pixels, and to draw the picture itself from them.
"""

import random
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL
from PIL import Image

from . import scenes
from .networks import LATENT_CHANNELS
from .training_run import TrainingRun

CORE_CHANNELS = (16, 32, 64, 96, 128)
OUTER_CHANNELS = 16
KL_WEIGHT = 2e-4
CORE_CROP, OUTER_CROP = 144, 128


def new_autoencoder(channels: tuple[int, ...], side: int, scaling_factor: float = 1.0) -> AutoencoderKL:
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * len(channels),
        up_block_types=("UpDecoderBlock2D",) * len(channels),
        block_out_channels=channels,
        layers_per_block=1,
        latent_channels=LATENT_CHANNELS,
        norm_num_groups=8,
        sample_size=side,
        scaling_factor=scaling_factor,
        force_upcast=False,
    )


def _gradients(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    return x[..., 1:] - x[..., :-1], x[..., 1:, :] - x[..., :-1, :]


def edge_loss(drawn: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    return sum((a - b).abs().mean() for a, b in zip(_gradients(drawn), _gradients(wanted), strict=True))


def to_pixels(pictures: list[np.ndarray]) -> torch.Tensor:
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float() / 127.5 - 1


def psnr(drawn: torch.Tensor, wanted: torch.Tensor) -> float:
    """Decibels, of pictures in −1 … 1."""
    return float(-10 * torch.log10((drawn.clamp(-1, 1) - wanted).square().mean() / 4))


def train_core(data: Path, work: Path, out: Path, steps: int, batch: int, rate: float, seed: int) -> None:
    pictures = [np.load(p, mmap_mode="r") for p in sorted(data.glob("*.pictures.npy"))]
    vae = new_autoencoder(CORE_CHANNELS, 256)
    run = TrainingRun(work / "autoencoder.pt", [{"params": list(vae.parameters())}], steps, rate, seed, warm_up=100)

    def crop(rng: random.Random) -> np.ndarray:
        picture = rng.choice(pictures)
        one = picture[rng.randrange(len(picture))]
        y, x = rng.randrange(257 - CORE_CROP), rng.randrange(257 - CORE_CROP)
        part = one[y : y + CORE_CROP, x : x + CORE_CROP]
        return (part[:, ::-1] if rng.random() < 0.5 else part).copy()

    def loss_of(rng: random.Random) -> torch.Tensor:
        x = to_pixels([crop(rng) for _ in range(batch)])
        with torch.autocast("cpu", dtype=torch.bfloat16):
            posterior = vae.encode(x).latent_dist
        mean, logvar = posterior.mean.float(), posterior.logvar.float()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            drawn = vae.decode(mean + (0.5 * logvar).exp() * torch.randn_like(mean)).sample
        y = drawn.float()
        coarse = (F.avg_pool2d(y, 4) - F.avg_pool2d(x, 4)).abs().mean()
        picture_loss = (y - x).abs().mean() + 0.5 * (y - x).square().mean() + 0.6 * edge_loss(y, x) + 0.3 * coarse
        divergence = -0.5 * (1 + logvar - mean.square() - logvar.exp()).mean()
        return picture_loss + KL_WEIGHT * divergence

    run.train(loss_of)
    run.use_average()
    with torch.no_grad():
        x = to_pixels([np.array(p) for p in pictures[0][:32]])
        latents = vae.encode(x).latent_dist.mean
        print(f"PSNR {psnr(vae.decode(latents).sample, x):.1f} dB")
    vae.register_to_config(scaling_factor=float(1 / latents.std()))
    vae.half().save_pretrained(out)


def grow(core: AutoencoderKL, levels: int) -> tuple[AutoencoderKL, list[torch.nn.Parameter]]:
    """The core with `levels` more outside, resampling plainly; and the parameters that are to be trained."""
    side = 256 * 2**levels
    vae = new_autoencoder((OUTER_CHANNELS,) * levels + CORE_CHANNELS, side, core.config.scaling_factor)
    state, inner = vae.state_dict(), set()
    border = ("encoder.conv_in", "decoder.conv_out", "decoder.conv_norm_out")
    for key, value in core.state_dict().items():
        parts = key.split(".")
        if key.startswith("encoder.down_blocks."):
            parts[2] = str(int(parts[2]) + levels)
        name = ".".join(parts)
        state[name] = value
        if not name.startswith(border):
            inner.add(name)
    for name, value in state.items():
        if name in inner or name.startswith(border):
            continue
        if ".conv2." in name or "samplers" in name:
            value.zero_()
        if value.dim() == 4 and "downsamplers" in name:
            for c in range(len(value)):
                value[c, c, :2, :2] = 0.25
        if value.dim() == 4 and "upsamplers" in name:
            for c in range(len(value)):
                value[c, c, 1, 1] = 1
    vae.load_state_dict(state)
    for name, parameter in vae.named_parameters():
        parameter.requires_grad_(name not in inner)
    return vae, [p for p in vae.parameters() if p.requires_grad]


class ScenePool:
    """Recently drawn scenes at the outer side and at 256 pixels; drawing each anew would take longer than a step."""

    def __init__(self, side: int):
        self._side, self._pool = side, []

    def pick(self, rng: random.Random) -> tuple[np.ndarray, np.ndarray]:
        if len(self._pool) < 24 or rng.random() < 0.15:
            large = scenes.render(scenes.sample(rng), self._side, 1 if self._side > 512 else 2)
            self._pool.append((np.asarray(large), np.asarray(large.resize((256, 256), Image.LANCZOS))))
            if len(self._pool) > 96:
                self._pool.pop(rng.randrange(96))
        return rng.choice(self._pool)


def train_outer_levels(core_folder: Path, levels: int, work: Path, out: Path, steps: int, batch: int, rate: float, seed: int) -> None:
    core = AutoencoderKL.from_pretrained(core_folder, torch_dtype=torch.float32).requires_grad_(False)
    vae, parameters = grow(core, levels)
    run = TrainingRun(work / f"outer-{levels}.pt", [{"params": parameters}], steps, rate, seed, warm_up=30)
    factor, pool = 2**levels, ScenePool(256 * 2**levels)

    def loss_of(rng: random.Random) -> torch.Tensor:
        large, small = [], []
        for _ in range(batch):
            a, b = pool.pick(rng)
            y, x = rng.randrange(0, 257 - OUTER_CROP, 16), rng.randrange(0, 257 - OUTER_CROP, 16)
            size = OUTER_CROP
            large.append(a[y * factor : (y + size) * factor, x * factor : (x + size) * factor])
            small.append(b[y : y + size, x : x + size])
        wanted = to_pixels(large)
        with torch.no_grad():
            latents = core.encode(to_pixels(small)).latent_dist.mean
        with torch.autocast("cpu", dtype=torch.bfloat16):
            found, drawn = vae.encode(wanted).latent_dist.mean, vae.decode(latents).sample
        error = ((found.float() - latents) / latents.std()).abs().mean()
        y = drawn.float()
        return (y - wanted).abs().mean() + 0.6 * edge_loss(y, wanted) + 0.5 * error

    run.train(loss_of)
    run.use_average()
    vae.half().save_pretrained(out)
