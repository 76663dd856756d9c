"""The colours that a prompt leaves open are decided by the first noise, and this says how: by numbers that are read from it linearly.

A network that cannot know a colour draws the mean of all. If the noise says it, there is one right answer for each prompt and noise, and the network can learn it by
plain regression. Each number is the scalar product of the noise with one of a set of orthonormal patterns (low frequencies over the picture times a
direction of the channels), so of noise as samplers draw it all numbers are independent and standard normal. For training, a scene gives
the numbers of what its prompt leaves open, all others are left to chance, and the noise is shifted along the patterns to have them.
(Places of things were tried as well: within 250 steps the network did not begin to read them.)
"""

import math
import random
from statistics import NormalDist

import numpy as np
import torch

from . import scenes

#: For each attribute its numbers' patterns: frequencies across and down (or both ways), direction of the channels. Directions 0 to 2 are those of colours.
_BOTH_WAYS = "both ways"
_LAYOUT: dict[str, list[tuple[object, int]]] = {
    "bg": [((0, 0), 0), ((0, 0), 1), ((0, 0), 2)], "main": [(_BOTH_WAYS, 0), (_BOTH_WAYS, 1), (_BOTH_WAYS, 2)],
    "hair": [((0, 1), 0), ((0, 1), 1), ((0, 1), 2)], "skin": [((0, 0), 3)],
}  # fmt: skip
_NUMBERS = [(name, part) for name, parts in _LAYOUT.items() for part in range(len(parts))]
_FIRST = {name: _NUMBERS.index((name, 0)) for name in _LAYOUT}
CODE_LENGTH = len(_NUMBERS)


def _wave(frequency: int, size: int) -> torch.Tensor:
    """A row of the orthonormal discrete cosine transform."""
    wave = torch.cos(math.pi * frequency * (torch.arange(size) + 0.5) / size)
    return wave / wave.norm()


def _pattern(kind: object, height: int, width: int) -> torch.Tensor:
    plain = lambda across, down: torch.outer(_wave(down, height), _wave(across, width))
    if isinstance(kind, tuple):
        return plain(*kind)
    return (plain(2, 0) + plain(0, 2)) / math.sqrt(2)


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
        self._colours, self._hair = ColourCells(scenes.COLORS), ColourCells(scenes.HAIR)
        self._patterns: dict[tuple[int, int], torch.Tensor] = {}

    def patterns(self, height: int, width: int) -> torch.Tensor:
        """(numbers, 8·height·width), orthonormal rows."""
        if (height, width) not in self._patterns:
            rows = [
                torch.einsum("c,hw->chw", self._directions[direction], _pattern(kind, height, width)).flatten()
                for parts in _LAYOUT.values() for kind, direction in parts
            ]  # fmt: skip
            self._patterns[height, width] = torch.stack(rows)
        return self._patterns[height, width]

    def wanted(self, scene: dict, named: set[str], rng: random.Random) -> torch.Tensor:
        """The numbers that tell what of a scene its prompt does not name, (numbers,); NaN where anything may be."""
        code = torch.full((CODE_LENGTH,), math.nan)

        def put(name: str, values: list[float]) -> None:
            code[_FIRST[name] : _FIRST[name] + len(values)] = torch.tensor(values)

        colour = {"thing": "col", "portrait": "cloth"}.get(scene["kind"], "")
        if colour and colour not in named:
            put("main", self._colours.draw(scene[colour], rng))
        if scene["kind"] == "portrait" and "hair" not in named:
            put("hair", self._hair.draw(scene["hair"], rng))
        if scene["kind"] == "portrait" and "skin" not in named:
            share = (list(scenes.SKIN).index(scene["skin"]) + rng.uniform(0.01, 0.99)) / len(scenes.SKIN)
            put("skin", [NormalDist().inv_cdf(share)])
        if colour and "bg" not in named and scene["bg"] in scenes.COLORS:
            put("bg", self._colours.draw(scene["bg"], rng))
        return code

    def noise(self, codes: torch.Tensor, height: int, width: int) -> torch.Tensor:
        """Noise (n, 8, height, width) that says `codes` (n, numbers)."""
        patterns = self.patterns(height, width)
        noise = torch.randn(len(codes), patterns.shape[1])
        shift = torch.nan_to_num(codes - noise @ patterns.T, nan=0.0)
        return (noise + shift @ patterns).view(len(codes), 8, height, width)
