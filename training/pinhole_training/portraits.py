"""The UNet's part of stage `portraits`: its attention learns to follow several colours in the prompt of a portrait.

The text encoder is frozen (`portrait_words`). Training is mostly on portraits, and on the places of clothes and hair, which
are small. The convolutions stay as they were, so that adapters stay of use.
"""

import random
from pathlib import Path

import numpy as np
import torch

from .dataset import Shards, coloured_places, random_crop, varied_caption
from .diffusion import Predictor, bfloat16_predictor
from .networks import Base
from .training_run import TrainingRun
from .unet import CROPPED_SHARE, noisy_batch, training_timesteps, v_loss

#: What clothes and hair count beside the rest of the picture, of which they are a seventh and less.
CLOTHES_WEIGHT, HAIR_WEIGHT = 4.0, 5.0
#: Share of a batch in the noisiest tenth of the schedule, where the prompt alone decides.
NOISIEST = 0.3
CROSS_ATTENTION_RATE = 2.5
#: In the names of the UNet's weights that are its attention.
ATTENTION = ".transformer_blocks."


class SceneLoss:
    """The loss on scenes of the training set, with clothes and hair counting more than what is around them."""

    def __init__(self, base: Base, shards: Shards):
        self._base, self._shards = base, shards
        self._people = [i for i, s in enumerate(shards.scenes) if s["kind"] == "portrait"]
        places = torch.from_numpy(np.stack([coloured_places(s) for s in shards.scenes])).float()
        added = torch.tensor([CLOTHES_WEIGHT - 1, HAIR_WEIGHT - 1])[:, None, None]
        self._weights = 1 + (places * added).sum(1, keepdim=True)

    def __call__(self, predict: Predictor, rng: random.Random, size: int, portraits: float) -> torch.Tensor:
        """`portraits` is the share of the batch that is drawn from portraits alone; every other caption of these names all."""
        of_people = round(portraits * size)
        chosen = [rng.choice(self._people) for _ in range(of_people)]
        chosen += [rng.randrange(len(self._shards)) for _ in range(size - of_people)]
        thorough = [1.0 if k < of_people and k % 2 == 0 else 0.0 for k in range(size)]
        captions = [varied_caption(self._shards.scenes[i], rng, 0.08, 0.2, t) for i, t in zip(chosen, thorough, strict=True)]
        clean, weights = self._shards.scaled_latents(chosen, self._base), self._weights[chosen]
        if rng.random() < CROPPED_SHARE:
            both, _ = random_crop(torch.cat([clean, weights], 1), rng)
            clean, weights = both[:, :-1], both[:, -1:]
        timesteps = training_timesteps(size, NOISIEST)
        noisy, target = noisy_batch(clean, timesteps)
        return v_loss(predict(noisy, timesteps, self._base.embed(captions)), target, weights)


def attention_run(base: Base, checkpoint: Path, steps: int, rate: float, seed: int, average: float) -> TrainingRun:
    """A run that trains the attention of the base's UNet, and nothing else of it."""
    attention = {name: p.requires_grad_(True) for name, p in base.unet.named_parameters() if ATTENTION in name}
    cross = [p for name, p in attention.items() if "attn2" in name]
    other = [p for name, p in attention.items() if "attn2" not in name]
    groups = [{"params": other}, {"params": cross, "factor": CROSS_ATTENTION_RATE}]
    return TrainingRun(checkpoint, groups, steps, rate, seed, average)


def train_attention(
    base: Base, data: Path, checkpoint: Path, portraits: float, steps: int, batch: int, rate: float, seed: int
) -> None:
    loss_on_scenes, predict = SceneLoss(base, Shards(data)), bfloat16_predictor(base.unet)
    run = attention_run(base, checkpoint, steps, rate, seed, average=0.99)
    run.train(lambda rng: loss_on_scenes(predict, rng, batch, portraits))
    run.use_average()
    base.unet.requires_grad_(False)
