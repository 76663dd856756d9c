"""Stage `judge`: a network that says what a picture shows, trained apart from all that draws.

It reads the scenes' attributes and a portrait's key points from pictures of 64 pixels. Only `evaluate` uses it: for subjects,
styles, hair and clothes, for where a head is, and its features for a distance between sets of pictures.
"""

import random
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from . import scenes
from .dataset import Shards
from .text_encoder import ATTRIBUTES, UNSEEN, attribute_heads, attribute_loss, labels
from .training_run import TrainingRun

SIDE, WIDTHS = 64, (32, 64, 128)
#: Key points whose place in a picture of a head can be told; elbows are mostly outside.
POINTS = ("nose", "neck", "right shoulder", "left shoulder", "right eye", "left eye", "right ear", "left ear")
POINT_WEIGHT = 20.0


class _Block(nn.Module):
    def __init__(self, channels: int):
        super().__init__()
        self.norm = nn.GroupNorm(8, channels)
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.conv(F.silu(self.norm(x)))


class Judge(nn.Module):
    """Three halvings, then one head for each attribute and one for the key points."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before, after in zip((3, *WIDTHS), WIDTHS, strict=False):
            layers += [nn.Conv2d(before, after, 3, stride=2, padding=1), nn.GroupNorm(8, after), nn.SiLU(), _Block(after)]
        self.body = nn.Sequential(*layers)
        self.mix = nn.Linear(2 * WIDTHS[-1], WIDTHS[-1])
        self.heads = attribute_heads(WIDTHS[-1])
        self.places = nn.Sequential(nn.Conv2d(WIDTHS[-1], 16, 1), nn.Flatten(), nn.SiLU(), nn.Linear(16 * 64, 2 * len(POINTS)))

    def forward(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Features (n, 128) and key points (n, 8, 2) as shares of the side, of pictures (n, 3, 64, 64) in −1 … 1."""
        maps = F.silu(self.body(pixels.contiguous(memory_format=torch.channels_last)))
        features = F.silu(self.mix(torch.cat([maps.mean((2, 3)), maps.amax((2, 3))], 1)))
        return features, self.places(maps).view(-1, len(POINTS), 2) + 0.5


def to_input(pictures: np.ndarray) -> torch.Tensor:
    """(n, 3, 64, 64) in −1 … 1 of pictures (n, side, side, 3), uint8, of 256 or 512 pixels."""
    factor = pictures.shape[1] // SIDE
    small = pictures.reshape(len(pictures), SIDE, factor, SIDE, factor, 3).mean((2, 4), dtype=np.float32)
    return torch.from_numpy(small).permute(0, 3, 1, 2) / 127.5 - 1


def true_points(scene: dict) -> list[tuple[float, float]]:
    """Key points of a portrait as shares of the side; NaN for anything else."""
    if scene["kind"] != "portrait":
        return [(float("nan"),) * 2] * len(POINTS)
    places = scenes.body_points(scene)
    return [places[name] for name in POINTS]


def _blurred(pixels: torch.Tensor, rng: random.Random) -> torch.Tensor:
    """As soft as what an autoencoder of this family decodes, or sharper."""
    sigma = rng.uniform(0, 0.8)
    taps = torch.exp(-torch.arange(-2.0, 3) ** 2 / (2 * max(sigma, 0.05) ** 2))
    kernel = (taps / taps.sum())[None, None, None].expand(3, 1, 1, 5)
    across = F.conv2d(F.pad(pixels, (2, 2, 0, 0), mode="replicate"), kernel, groups=3)
    return F.conv2d(F.pad(across, (0, 0, 2, 2), mode="replicate"), kernel.transpose(2, 3), groups=3)


def train_judge(data: Path, work: Path, out: Path, steps: int, batch: int, rate: float, seed: int) -> Judge:
    shards = Shards(data)
    torch.manual_seed(seed)
    judge = Judge().to(memory_format=torch.channels_last)
    run = TrainingRun(work / "judge.pt", [{"params": list(judge.parameters())}], steps, rate, seed, average=0.98)
    answers = torch.tensor([labels(s) for s in shards.scenes])
    places = torch.tensor([true_points(s) for s in shards.scenes])
    pictures = torch.cat([to_input(shards.picture(i)[None]) for i in range(len(shards))])

    def loss_of(rng: random.Random) -> torch.Tensor:
        chosen = [rng.randrange(len(shards)) for _ in range(batch)]
        pixels = _blurred(pictures[chosen], rng)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            features, found = judge(pixels + 0.02 * torch.randn_like(pixels))
        wanted = places[chosen]
        seen = ~wanted.isnan()
        misplaced = (found.float() - wanted)[seen].abs().mean() if seen.any() else torch.zeros(())
        return attribute_loss(judge.heads, features.float(), answers[chosen]) + POINT_WEIGHT * misplaced

    run.train(loss_of)
    run.use_average()
    torch.save(judge.state_dict(), out)
    return judge


def open_judge(path: Path) -> Judge:
    judge = Judge()
    judge.load_state_dict(torch.load(path, weights_only=True))
    return judge.requires_grad_(False).eval().to(memory_format=torch.channels_last)


class Verdicts:
    """What the judge says of pictures (n, side, side, 3), uint8."""

    @torch.no_grad()
    def __init__(self, judge: Judge, pictures: np.ndarray):
        self.features, self.points = judge(to_input(pictures))
        self._said = {name: judge.heads[name](self.features).argmax(1) for name in ATTRIBUTES}

    def agreement(self, described: list[dict], name: str) -> float:
        """Share of pictures that show an attribute as their scene has it, of those whose scene has it; NaN where none has."""
        column = list(ATTRIBUTES).index(name)
        wanted = torch.tensor([labels(s)[column] for s in described])
        seen = wanted != UNSEEN
        return float((self._said[name] == wanted)[seen].float().mean())

    def point_error(self, described: list[dict]) -> float:
        """Mean distance of key points, as a share of the side."""
        wanted = torch.tensor([true_points(s) for s in described])
        return float((self.points - wanted).norm(dim=2).mean())


def set_distance(a: torch.Tensor, b: torch.Tensor) -> float:
    """Fréchet distance of two sets of features as Gaussians, the FID's formula on the judge's features; 0 for equal sets."""
    means = (a.mean(0) - b.mean(0)).square().sum()
    first, second = torch.cov(a.T.double()), torch.cov(b.T.double())
    roots = torch.linalg.eigvals(first @ second).real.clamp(min=0).sqrt().sum()
    return float(means + torch.trace(first) + torch.trace(second) - 2 * roots)
