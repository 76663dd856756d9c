"""The UNet's part of stage `portraits`: its attention learns to follow several colours in the prompt of a portrait.

The text encoder is frozen (`portrait_words`). Training is mostly on portraits, and on the places of clothes and hair, which
are small. The convolutions stay as they were, so that adapters stay of use.
"""

import random
from pathlib import Path

import numpy as np
import torch

from .dataset import Shards, coloured_places, random_crop, varied_caption
from .diffusion import bfloat16_predictor
from .networks import Base
from .training_run import TrainingRun
from .unet import CROPPED_SHARE, noisy_batch, training_timesteps, v_loss

#: What clothes and hair count beside the rest of the picture, of which they are a seventh and less.
CLOTHES_WEIGHT, HAIR_WEIGHT = 4.0, 5.0
#: Share of a batch in the noisiest tenth of the schedule, where the prompt alone decides.
NOISIEST = 0.3
CROSS_ATTENTION_RATE = 2.5


def train_attention(
    base: Base, data: Path, checkpoint: Path, portraits: float, steps: int, batch: int, rate: float, seed: int
) -> None:
    """`portraits` is the share of a batch that is drawn from portraits alone; every other caption of these names all."""
    shards = Shards(data)
    attention = {name: p for name, p in base.unet.named_parameters() if ".transformer_blocks." in name}
    cross = [p.requires_grad_(True) for name, p in attention.items() if "attn2" in name]
    other = [p.requires_grad_(True) for name, p in attention.items() if "attn2" not in name]
    groups = [{"params": other}, {"params": cross, "factor": CROSS_ATTENTION_RATE}]
    run = TrainingRun(checkpoint, groups, steps, rate, seed, average=0.99)
    predict = bfloat16_predictor(base.unet)
    people = [i for i, s in enumerate(shards.scenes) if s["kind"] == "portrait"]
    places = torch.from_numpy(np.stack([coloured_places(s) for s in shards.scenes])).float()
    added = torch.tensor([CLOTHES_WEIGHT - 1, HAIR_WEIGHT - 1])[:, None, None]
    of_people = round(portraits * batch)

    def loss_of(rng: random.Random) -> torch.Tensor:
        indices = [rng.choice(people) for _ in range(of_people)] + [rng.randrange(len(shards)) for _ in range(batch - of_people)]
        thorough = [1.0 if k < of_people and k % 2 == 0 else 0.0 for k in range(batch)]
        captions = [varied_caption(shards.scenes[i], rng, 0.08, 0.2, t) for i, t in zip(indices, thorough, strict=True)]
        clean = shards.scaled_latents(indices, base)
        weights = 1 + (places[indices] * added).sum(1, keepdim=True)
        if rng.random() < CROPPED_SHARE:
            both, _ = random_crop(torch.cat([clean, weights], 1), rng)
            clean, weights = both[:, :-1], both[:, -1:]
        timesteps = training_timesteps(batch, NOISIEST)
        noisy, target = noisy_batch(clean, timesteps)
        return v_loss(predict(noisy, timesteps, base.embed(captions)), target, weights)

    run.train(loss_of)
    run.use_average()
    base.unet.requires_grad_(False)
