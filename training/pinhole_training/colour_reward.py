"""How far a picture is from the colours that its prompt names, read from its latents and differentiable in them.

A linear map makes a thumbnail of 16×16 pixels of the latents (it is off by 11 of 255 in drawn scenes). Nothing is learnt
but that map, so there is no network whose mistakes could be drawn instead of the colours. Where hair, clothes, things and
backdrops are is known: all scenes have them at about the same places.
"""

from collections.abc import Iterable

import numpy as np
import torch
import torch.nn.functional as F

from . import scenes
from .dataset import LATENT_SIDE, PICTURE_SIDE, Shards
from .networks import Base
from .scenes.landscape import TIMES

PICTURES_FOR_MAP = 500
#: Rows and columns (first, end) of latents in which each attribute shows in nearly every scene, and what they count.
_PLACES = {
    "hair": ((3, 5, 5, 11, 1.0), (3, 5, 6, 10, 1.5), (2, 3, 6, 10, 0.5)),
    "cloth": ((14, 16, 4, 6, 1.0), (14, 16, 10, 12, 1.0)),
    "hatcol": ((1, 3, 6, 10, 1.0),),
    "col": ((7, 9, 7, 9, 1.0),),
    "time": ((0, 2, 0, 16, 1.0),),
    "behind a portrait": ((0, 4, 0, 2, 1.0), (0, 4, 14, 16, 1.0), (4, 8, 0, 1, 0.5), (4, 8, 15, 16, 0.5)),
    "behind a thing": (
        (0, 3, 0, 3, 1.0), (0, 3, 13, 16, 1.0), (13, 16, 0, 3, 1.0), (13, 16, 13, 16, 1.0), (6, 10, 0, 1, 1.0), (6, 10, 15, 16, 1.0),
    ),
}  # fmt: skip
WEIGHTS = {"hair": 2.2, "cloth": 1.0, "bg": 1.0, "col": 1.2, "hatcol": 1.0, "time": 0.3}
#: What a backdrop that the prompt leaves open counts where it takes a colour that is named of something else.
SPILT_WEIGHT, SPILT_DISTANCE = 8.0, 0.5
#: Squared distance of colours (−1 … 1) over which a colour is told from its neighbours, and that is near enough.
SOFTNESS, NEAR_ENOUGH = 0.12, 0.03
#: A confused place counts no more than this, and nothing where the colour is all but sure.
LARGEST, SURE = 6.0, 0.1
#: Whose hair is covered, and whose middle is of the colour that is named.
COVERED = ("king", "queen", "wizard", "robot", "astronaut")
FILLED = ("circle", "square", "triangle", "star", "heart", "apple", "balloon", "fish", "bird", "cat", "dog", "cup", "car")


def _colours(palette: dict[str, scenes.palette.Rgb]) -> torch.Tensor:
    return torch.tensor(list(palette.values())).float() / 127.5 - 1


_PALETTES = {name: scenes.COLORS for name in ("cloth", "hatcol", "col", "bg")} | {
    "hair": scenes.HAIR, "time": {time: sky[0] for time, sky in TIMES.items()},
}  # fmt: skip


def _place(boxes: Iterable[tuple[int, int, int, int, float]]) -> torch.Tensor:
    """Weights of the 256 places, of sum 1; where boxes overlap the last counts."""
    weights = torch.zeros(LATENT_SIDE, LATENT_SIDE)
    for top, bottom, left, right, weight in boxes:
        weights[top:bottom, left:right] = weight
    return (weights / weights.sum()).flatten()


class Thumbnails:
    """The linear map from 3×3 places of scaled latents to a pixel's colour in −1 … 1."""

    def __init__(self, shards: Shards, base: Base):
        chosen = np.arange(min(PICTURES_FOR_MAP, len(shards)))
        block = PICTURE_SIDE // LATENT_SIDE
        pictures = np.stack([shards.picture(i) for i in chosen]).reshape(-1, LATENT_SIDE, block, LATENT_SIDE, block, 3)
        pixels = torch.from_numpy(pictures.mean((2, 4), dtype=np.float32)) / 127.5 - 1
        seen = self._around(shards.scaled_latents(chosen, base)).transpose(1, 2).flatten(0, 1)
        self._map = torch.linalg.lstsq(torch.cat([seen, torch.ones(len(seen), 1)], 1), pixels.view(-1, 3)).solution

    def _around(self, latents: torch.Tensor) -> torch.Tensor:
        return F.unfold(F.pad(latents, (1, 1, 1, 1), mode="replicate"), 3)

    def __call__(self, latents: torch.Tensor) -> torch.Tensor:
        """(n, 3, 256) of latents (n, 8, 16, 16)."""
        return torch.einsum("npq,pc->ncq", self._around(latents), self._map[:-1]) + self._map[-1][:, None]


def _asked(scene: dict, named: dict[str, str]) -> list[tuple[str, str, int]]:
    """Of the colours that a prompt names (attribute, place, index in its palette), where they are certain to show."""
    found = []
    for name, colour in named.items():
        hidden = name == "hair" and (scene["who"] in COVERED or scene["acc"] == "hat")
        if not hidden and not (name == "col" and scene["thing"] not in FILLED):
            found.append((name, f"behind a {scene['kind']}" if name == "bg" else name, list(_PALETTES[name]).index(colour)))
    return found


class ColourReward:
    def __init__(self, thumbnails: Thumbnails):
        self._thumbnails = thumbnails
        self._places = {name: _place(boxes) for name, boxes in _PLACES.items()}
        self._colours = {name: _colours(palette) for name, palette in _PALETTES.items()}

    def __call__(self, latents: torch.Tensor, asked: list[tuple[dict, dict[str, str]]]) -> torch.Tensor:
        """The loss, of scaled latents (n, 8, 16, 16) and n scenes with the colours that their prompts name."""
        pixels, losses = self._thumbnails(latents), [latents.new_zeros(())]
        for picture, (scene, named) in zip(pixels, asked, strict=True):
            losses += [WEIGHTS[name] * self._missed(picture, name, place, colour) for name, place, colour in _asked(scene, named)]
            if scene["kind"] != "landscape" and "bg" not in named and scene["bg"] in scenes.COLORS:
                losses += [SPILT_WEIGHT * self._spilt(picture, scene, name) for name in named if name in ("col", "cloth", "hair")]
        return torch.stack(losses).sum() / len(latents)

    def _missed(self, pixels: torch.Tensor, name: str, place: str, colour: int) -> torch.Tensor:
        """How far the pixels (3, 256) of a place are from a colour, and how easily they are taken for another."""
        distances = (pixels[:, None] - self._colours[name].T[:, :, None]).square().sum(0)
        confused = -(-distances / SOFTNESS).log_softmax(0)[colour]
        each = (confused - SURE).relu().clamp(max=LARGEST) + 0.5 * (distances[colour] - NEAR_ENOUGH).relu()
        return (each * self._places[place]).sum()

    def _spilt(self, pixels: torch.Tensor, scene: dict, name: str) -> torch.Tensor:
        """How near a backdrop that the prompt leaves open is to a colour that is named of something else."""
        colour = self._colours[name][list(_PALETTES[name]).index(scene[name])]
        near = (SPILT_DISTANCE - (pixels - colour[:, None]).square().sum(0)).relu()
        return (near * self._places[f"behind a {scene['kind']}"]).sum()
