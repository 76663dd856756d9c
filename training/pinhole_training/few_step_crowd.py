"""A crowd of samplings in a few LCM steps, each at a step of its own, so that what is trained meets its own pictures, as it will in use.

The network answers all at once, every answer is compared with the scene that its sampling is of, and then takes its sampling one
step further, or ends it. So no forward pass is without a lesson. Samplings with guidance ask the empty prompt too.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from .diffusion import add_noise, clean_of_v, lcm_sampling_timesteps

#: Steps of samplings, and their shares.
STEPS, STEP_SHARES = (4, 6, 2, 8, 5), (0.42, 0.28, 0.12, 0.1, 0.08)
#: The guidance that endpoints have by default.
GUIDANCE = 1.5
HUBER, COARSE_WEIGHT, EMPTY_WEIGHT = 0.03, 0.5, 0.4

#: (latents, timesteps, prompt embeds, what else steers each of them) → v
SteeredPredictor = Callable[[torch.Tensor, torch.Tensor, torch.Tensor, tuple[torch.Tensor, ...]], torch.Tensor]


@dataclass
class Sampling:
    latents: torch.Tensor
    target: torch.Tensor
    embeds: torch.Tensor
    timesteps: list[int]
    guided: bool = False
    #: What else steers it: as many tensors, of the same shapes, in all of a crowd.
    conditions: tuple[torch.Tensor, ...] = ()
    #: What each place counts, (height, width), or None in all of a crowd.
    emphasis: torch.Tensor | None = None
    index: int = 0


def few_timesteps(rng: random.Random, first_only: float) -> list[int]:
    """What a sampling from noise visits; in a share of cases no more than the first step, where layout is settled."""
    times = lcm_sampling_timesteps(rng.choices(STEPS, STEP_SHARES)[0])
    return times[:1] if rng.random() < first_only else times


class Crowd:
    """Samplings of one size. `draw` makes as many new ones as it is asked for."""

    def __init__(self, draw: Callable[[int, random.Random], list[Sampling]], batch: int, empty: torch.Tensor):
        """`empty` is the embedding of the empty prompt, shape (1, 77, width)."""
        self._draw, self._batch, self._empty = draw, batch, empty
        self._samplings: list[Sampling] = []

    def step(self, predict: SteeredPredictor, rng: random.Random) -> torch.Tensor:
        """Puts new samplings in the place of those that ended, and has one answer of every sampling; returns the loss."""
        if len(self._samplings) < self._batch:
            self._samplings += self._draw(self._batch - len(self._samplings), rng)
        group = self._samplings
        asked = [i for i, s in enumerate(group) if s.guided]
        both = torch.tensor([*range(len(group)), *asked])
        x, target = torch.stack([s.latents for s in group])[both], torch.stack([s.target for s in group])[both]
        times = torch.tensor([s.timesteps[s.index] for s in group])[both]
        said = torch.cat([torch.stack([s.embeds for s in group]), self._empty.expand(len(asked), -1, -1)])
        conditions = tuple(torch.stack(parts)[both] for parts in zip(*(s.conditions for s in group), strict=True))
        clean = clean_of_v(x, predict(x, times, said, conditions), times)
        weights = torch.ones(len(both))
        weights[len(group) :] = EMPTY_WEIGHT
        emphasis = None if group[0].emphasis is None else torch.stack([s.emphasis for s in group])[both, None]
        self._advance(clean.detach(), asked)
        return (_errors(clean, target, emphasis) * weights).mean()

    def _advance(self, clean: torch.Tensor, asked: list[int]) -> None:
        """Takes every sampling to the noise of its next step; those that were at their last are over."""
        answers = clean[: len(self._samplings)].clone()
        for place, i in enumerate(asked):
            u = clean[len(self._samplings) + place]
            answers[i] = u + GUIDANCE * (answers[i] - u)
        staying = []
        for sampling, answer in zip(self._samplings, answers, strict=True):
            sampling.index += 1
            if sampling.index < len(sampling.timesteps):
                after = torch.tensor([sampling.timesteps[sampling.index]])
                sampling.latents = add_noise(answer[None], torch.randn(1, *answer.shape), after)[0]
                staying.append(sampling)
        self._samplings = staying


def _errors(clean: torch.Tensor, target: torch.Tensor, emphasis: torch.Tensor | None) -> torch.Tensor:
    """(n,): how far off each answer is; places where the scene has detail count more, and those with emphasis (n, 1, height, width)."""
    difference = clean - target
    around = F.avg_pool2d(F.pad(target, (2, 2, 2, 2), mode="replicate"), 5, 1)
    detail = (target - around).square().mean(1, keepdim=True).sqrt()
    weights = 0.6 + (detail / detail.mean((1, 2, 3), keepdim=True).clamp(min=1e-3)).clamp(max=3)
    weights = weights if emphasis is None else weights * emphasis
    weights = weights / weights.mean((1, 2, 3), keepdim=True)
    fine = (weights * ((difference.square() + HUBER**2).sqrt() - HUBER)).mean((1, 2, 3))
    coarse = F.avg_pool2d(difference, 4, ceil_mode=True).square().mean((1, 2, 3))
    return fine + COARSE_WEIGHT * coarse
