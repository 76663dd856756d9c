"""Do the pictures have the colours that the prompt names? Measured by median colours of places that are known."""

import random
from collections.abc import Callable

import numpy as np
import torch

from .networks import Base
from .scenes import COLORS

NAMES = ["red", "orange", "yellow", "green", "blue", "purple", "pink", "black", "white", "gray"]
PALETTE = np.array([COLORS[name] for name in NAMES], float)
#: Prompts and noise have a seed that nothing was trained, chosen or watched with.
PROMPTS, SEED = 128, 9_700_000


def prompts_and_answers() -> list[tuple[str, str, str]]:
    """(prompt, object colour, background colour): fixed, circles and squares in turn."""
    rng = random.Random(SEED)
    pairs = [rng.sample(NAMES, 2) for _ in range(PROMPTS)]
    shapes = ["circle", "square"] * (PROMPTS // 2)
    return [(f"a {a} {shape} on a {b} background", a, b) for (a, b), shape in zip(pairs, shapes, strict=True)]


def nearest_name(pixels: np.ndarray) -> str:
    """The name of the median colour of pixels of shape (…, 3), 0 … 255."""
    median = np.median(pixels.reshape(-1, 3), 0)
    return NAMES[int(((PALETTE - median) ** 2).sum(1).argmin())]


def measure_colours(
    base: Base, sample: Callable[[torch.Tensor, torch.Tensor], torch.Tensor], decode: Callable[[torch.Tensor], np.ndarray]
) -> dict[str, float]:
    """Shares of right colours. `sample` maps (noise, embeds) to latents, `decode` latents to pictures (n, 256, 256, 3)."""
    cases = prompts_and_answers()
    noise = torch.randn(PROMPTS, 8, 16, 16, generator=torch.Generator().manual_seed(SEED))
    pictures = decode(sample(noise, base.embed([prompt for prompt, _, _ in cases])))
    corners = [np.concatenate([p[8:24, 8:24], p[8:24, -24:-8], p[-24:-8, 8:24]]) for p in pictures]
    objects = [nearest_name(p[112:144, 112:144]) == a for p, (_, a, _) in zip(pictures, cases, strict=True)]
    backgrounds = [nearest_name(c) == b for c, (_, _, b) in zip(corners, cases, strict=True)]
    return {"object": float(np.mean(objects)), "background": float(np.mean(backgrounds))}
