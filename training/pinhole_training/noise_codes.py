"""What a prompt leaves open of a backdrop and a skin is decided by the first noise, and this says how: by numbers that are read from it linearly.

A network that cannot know a colour draws the mean of all. If the noise says it, there is one right answer for each prompt and noise, and the network can learn it by
plain regression. Each number is the scalar product of the noise with one of a set of orthonormal patterns (the same all over the picture, times a
direction of the channels), so of noise as samplers draw it all numbers are independent and standard normal. For training, a scene gives
the numbers of what its prompt leaves open, all others are left to chance, and the noise is shifted along the patterns to have them.
(Places of things, and the colours of things, clothes and hair by patterns that vary over the picture, were tried as well: the network hardly began to read them.)
"""

import math
import random
from statistics import NormalDist

import numpy as np
import torch

from . import scenes
from .few_step_scenes import OPEN_BACKDROPS

#: The numbers of a backdrop, in the three directions of the channels in which colours differ, and of a skin, in the fourth.
_BACKDROP, _SKIN, CODE_LENGTH = slice(0, 3), 3, 4


class ColourCells:
    """Shares the three-dimensional normal distribution among colours, in cells of equal mass whose neighbours are similar colours."""

    def __init__(self, palette: dict[str, scenes.palette.Rgb], draws: int = 40_000):
        colours = np.array(list(palette.values()), float)
        deviations = colours - colours.mean(0)
        self._colours = deviations / deviations.std()
        samples = np.random.default_rng(0).standard_normal((draws, 3))
        affinity, bias = samples @ self._colours.T, np.zeros(len(colours))
        for step in range(300):
            share = np.bincount((affinity + bias).argmax(1), minlength=len(colours)) / draws
            bias += (1 / len(colours) - share) * 3 / (1 + step / 60)
        owner = (affinity + bias).argmax(1)
        self._cells = {name: samples[owner == i] for i, name in enumerate(palette)}

    def draw(self, colour: str, rng: random.Random) -> list[float]:
        cell = self._cells[colour]
        return cell[rng.randrange(len(cell))].tolist()


def colour_directions(described: list[dict], latents: torch.Tensor) -> torch.Tensor:
    """(8, 8), orthonormal: first the three directions of the latents' channels in which plain scenes' backdrops differ most."""
    plain = [i for i, s in enumerate(described) if s["kind"] == "thing" and not s["style_fx"]]
    colours = torch.tensor([scenes.COLORS[described[i]["bg"]] for i in plain]).float() / 127.5 - 1
    solution = torch.linalg.lstsq(colours - colours.mean(0), latents[plain, :, :2, :2].mean((2, 3))).solution
    directions = torch.linalg.svd(solution.T, full_matrices=True).U.T
    return directions * directions.abs().max(1, keepdim=True).values.sign()


class NoiseCodes:
    def __init__(self, directions: torch.Tensor):
        """`directions` (8, 8): orthonormal rows over the latents' channels, the first three those in which colours differ."""
        self._directions = directions
        self._backdrops = ColourCells({name: scenes.COLORS[name] for name in OPEN_BACKDROPS})

    def patterns(self, height: int, width: int) -> torch.Tensor:
        """(numbers, 8·height·width), orthonormal rows."""
        return self._directions[:CODE_LENGTH].repeat_interleave(height * width, 1) / math.sqrt(height * width)

    def wanted(self, scene: dict, named: set[str], rng: random.Random) -> torch.Tensor:
        """The numbers that tell what of a scene its prompt does not name, (numbers,); NaN where anything may be.

        Backdrops that a prompt has to name have no numbers.
        """
        code = torch.full((CODE_LENGTH,), math.nan)
        if scene["kind"] == "portrait" and "skin" not in named:
            share = (list(scenes.SKIN).index(scene["skin"]) + rng.uniform(0.01, 0.99)) / len(scenes.SKIN)
            code[_SKIN] = NormalDist().inv_cdf(share)
        if "bg" not in named and scene.get("bg") in OPEN_BACKDROPS:
            code[_BACKDROP] = torch.tensor(self._backdrops.draw(scene["bg"], rng))
        return code

    def noise(self, codes: torch.Tensor, height: int, width: int) -> torch.Tensor:
        """Noise (n, 8, height, width) that says `codes` (n, numbers)."""
        patterns = self.patterns(height, width)
        noise = torch.randn(len(codes), patterns.shape[1])
        shift = torch.nan_to_num(codes - noise @ patterns.T, nan=0.0)
        return (noise + shift @ patterns).view(len(codes), 8, height, width)
