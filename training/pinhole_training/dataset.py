"""The training set on disk: scene parameters, latents, pictures and edge maps, in numbered shards."""

import json
import random
from pathlib import Path

import numpy as np
import torch

from . import scenes
from .networks import LATENT_SIDE, LATENT_SIZES, Base

PICTURE_SIDE = 256
EDGE_SIDE = 512
#: What people write into prompts beside what is to be seen. The models learn to look past these words.
DISTRACTIONS = """a an the of with in on at by and european medieval ancient modern futuristic cinematic lighting dramatic
soft light shadows bokeh film grain studio ultra realistic photorealistic hyper detailed render unreal engine concept art
digital artstation by famous artist epic fantasy magical mysterious elegant cute pretty handsome young 40 year old 30 years
age spots wrinkles head shot close up wide angle portrait photograph self golden hour warm cold pastel tones high resolution
quality best masterpiece hawaii paris london tokyo summer winter spring autumn morning evening very extremely really nice
great lovely happy moody atmosphere canon 50mm lens depth of field intricate details face eyes skin texture""".split()


class Shards:
    """All shards of a folder as one list. Pictures and edges are read from disk as they are needed."""

    def __init__(self, folder: Path):
        names = sorted(p.name.removesuffix(".latents.npy") for p in folder.glob("*.latents.npy"))
        if not names:
            raise FileNotFoundError(f"no shard with latents in {folder}: run the stages scenes and latents first")
        self.latents = np.concatenate([np.load(folder / f"{n}.latents.npy") for n in names])
        self.scenes: list[dict] = sum((json.loads((folder / f"{n}.json").read_text()) for n in names), [])
        self._files = {kind: [folder / f"{n}.{kind}.npy" for n in names] for kind in ("pictures", "edges", "depth")}
        self._open: dict[str, list[np.ndarray]] = {}
        self._ends = np.cumsum([np.load(folder / f"{n}.latents.npy", mmap_mode="r").shape[0] for n in names])

    def __len__(self) -> int:
        return len(self.scenes)

    def _at(self, kind: str, index: int) -> np.ndarray:
        if kind not in self._open:
            self._open[kind] = [np.load(path, mmap_mode="r") for path in self._files[kind]]
        shard = int(np.searchsorted(self._ends, index, side="right"))
        return self._open[kind][shard][index - (self._ends[shard - 1] if shard else 0)]

    def picture(self, index: int) -> np.ndarray:
        """(256, 256, 3), uint8."""
        return self._at("pictures", index)

    def edges(self, index: int) -> np.ndarray:
        """Canny edges of the scene before any style, (512, 512), 0 or 1."""
        return np.unpackbits(self._at("edges", index), axis=1)

    def depth(self, index: int) -> np.ndarray:
        """Inverse depth, (256, 256), uint8, from 0 (farthest) on."""
        return self._at("depth", index)

    def scaled_latents(self, indices: np.ndarray, base: Base) -> torch.Tensor:
        return torch.from_numpy(self.latents[indices].astype(np.float32)) * base.scaling_factor


def varied_caption(scene: dict, rng: random.Random, empty: float, distracted: float, thorough: float = 0.0) -> str:
    """A caption, empty or with distracting words in the given shares of cases; `thorough` as in `scenes.caption`."""
    if rng.random() < empty:
        return ""
    text = scenes.caption(scene, rng, thorough)
    if rng.random() < distracted:
        words = text.split(" ")
        for _ in range(rng.randint(1, 5)):
            known = rng.choice(DISTRACTIONS)
            letters = "".join(rng.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(rng.randint(3, 9)))
            place = rng.choice([0, len(words), rng.randint(0, len(words))])
            words.insert(place, (known if rng.random() < 0.7 else letters) + rng.choice(["", ","]))
        text = " ".join(words)
    return text


def coloured_places(scene: dict) -> tuple[np.ndarray, np.ndarray]:
    """Shares in which the latents' places lie on a portrait's clothes and on its hair, (16, 16) each; zeros of anything else."""
    if scene["kind"] != "portrait":
        return np.zeros((LATENT_SIDE, LATENT_SIDE)), np.zeros((LATENT_SIDE, LATENT_SIDE))
    x, y, size = scene["x"], scene["y"], scene["s"]

    def covered(start: float, end: float) -> np.ndarray:
        """Of each of 16 cells along a side the share between two places, given as shares of the side."""
        cells = np.arange(LATENT_SIDE)
        return np.clip(np.minimum(cells + 1, end * LATENT_SIDE) - np.maximum(cells, start * LATENT_SIDE), 0, 1)

    clothes = np.outer(covered(y + 0.4 * size, 1), covered(x - 0.42 * size, x + 0.42 * size))
    hair = np.outer(covered(y - 0.38 * size, y - 0.1 * size), covered(x - 0.28 * size, x + 0.28 * size))
    return clothes, hair


def random_corner(size: tuple[int, int], rng: random.Random, spread: float) -> tuple[int, int]:
    """The corner (top, left) of a cut of this size. `spread` is how far from the middle it may lie: 0.5 reaches the edges."""
    top, left = (round((LATENT_SIDE - side) * rng.uniform(0.5 - spread, 0.5 + spread)) for side in size)
    return top, left


def random_crop(latents: torch.Tensor, rng: random.Random, spread: float = 0.2) -> tuple[torch.Tensor, tuple[int, int]]:
    """Latents cut to one of the base's other sizes, and the cut's corner, which is `random_corner`'s."""
    height, width = size = rng.choice(LATENT_SIZES[1:])
    top, left = random_corner(size, rng, spread)
    return latents[:, :, top : top + height, left : left + width], (top, left)
