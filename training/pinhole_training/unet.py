"""Stage `unet`: the v-predicting UNet on cached latents, with the text encoder frozen.

What makes it obey colour words (each was needed, or was tried together with what was needed): a text encoder that was
trained alone first; v-prediction with a loss on 4×4 means added, since colour is what the means hold; near the end of the
schedule a share of inputs that are pure noise with the clean latents as target, since even at t = 999 the mean of 256
positions shows through the noise and the network would read colours there instead of in the prompt.
"""

import random
from pathlib import Path

import torch
import torch.nn.functional as F

from .dataset import Shards, random_crop, varied_caption
from .diffusion import add_noise, bfloat16_predictor, v_of_clean
from .networks import Base, open_base
from .training_run import TrainingRun

PURE_NOISE_FROM = 930
PURE_NOISE_SHARE = 0.6
LOW_FREQUENCY_WEIGHT = 0.5
CROPPED_SHARE = 0.15
CROSS_ATTENTION_RATE = 2.0


def training_timesteps(batch: int, noisiest: float = 1 / 8) -> torch.Tensor:
    """Uniform, but for a share from the noisiest tenth, where the prompt alone decides."""
    timesteps = torch.randint(0, 1000, (batch,))
    first = torch.rand(batch) < noisiest
    timesteps[first] = torch.randint(900, 1000, (int(first.sum()),))
    return timesteps


def noisy_batch(clean: torch.Tensor, timesteps: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Noisy latents and the v to predict; see the module's text for the share of pure noise."""
    noise = torch.randn_like(clean)
    noisy = add_noise(clean, noise, timesteps)
    pure = (timesteps >= PURE_NOISE_FROM) & (torch.rand(len(clean)) < PURE_NOISE_SHARE)
    noisy[pure] = noise[pure]
    return noisy, v_of_clean(noisy, clean, timesteps)


def v_loss(predicted: torch.Tensor, target: torch.Tensor, weights: torch.Tensor | None = None) -> torch.Tensor:
    """`weights`, if any, of shape (batch, 1, height, width), say what the places of the latents count."""
    difference = predicted - target
    if weights is None:
        weights = difference.new_ones(1)
    coarse = F.avg_pool2d(difference * weights.sqrt(), 4, ceil_mode=True)
    return (weights * difference.square()).mean() + LOW_FREQUENCY_WEIGHT * coarse.square().mean()


def batch_of(shards: Shards, base: Base, size: int, rng: random.Random) -> tuple[torch.Tensor, torch.Tensor]:
    indices = [rng.randrange(len(shards)) for _ in range(size)]
    clean = shards.scaled_latents(indices, base)
    if rng.random() < CROPPED_SHARE:
        clean, _ = random_crop(clean, rng)
    embeds = base.embed([varied_caption(shards.scenes[i], rng, empty=0.08, distracted=0.2) for i in indices])
    return clean, embeds


def train_unet(start: Path, data: Path, work: Path, steps: int, batch: int, rate: float, seed: int) -> Base:
    """Trains the UNet of the folder `start` on; returns the base with the averaged weights."""
    base, shards = open_base(start), Shards(data)
    base.unet.requires_grad_(True)
    cross = [p for name, p in base.unet.named_parameters() if "attn2" in name]
    other = [p for name, p in base.unet.named_parameters() if "attn2" not in name]
    groups = [{"params": other}, {"params": cross, "factor": CROSS_ATTENTION_RATE}]
    run = TrainingRun(work / "unet.pt", groups, steps, rate, seed)
    predict = bfloat16_predictor(base.unet)

    def loss_of(rng: random.Random) -> torch.Tensor:
        clean, embeds = batch_of(shards, base, batch, rng)
        timesteps = training_timesteps(batch)
        noisy, target = noisy_batch(clean, timesteps)
        return v_loss(predict(noisy, timesteps, embeds), target)

    run.train(loss_of)
    run.use_average()
    base.unet.requires_grad_(False)
    return base
