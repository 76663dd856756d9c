"""Stage `judge`: a network that says what a picture shows, trained apart from all that draws.

It reads the scenes' attributes and a portrait's key points from pictures of 128 pixels. Only `evaluate` uses it: for subjects,
styles, hair and clothes, for where a head is, and its features for a distance between sets of pictures.

Each attribute is read where the judge looks for it. Where hair, clothes and backdrops are it is told while it learns: a
first judge, which read everything from the picture's mean and greatest values, told hair in 0.81 and things in 0.28 of drawn scenes.
"""

import random
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from . import scenes
from .dataset import LATENT_SIDE, Shards, coloured_places
from .text_encoder import ATTRIBUTES, UNSEEN, labels, said_loss
from .training_run import TrainingRun

SIDE, WIDTHS = 128, (24, 48, 96)
#: Key points whose place in a picture of a head can be told; elbows are mostly outside.
POINTS = ("nose", "neck", "right shoulder", "left shoulder", "right eye", "left eye", "right ear", "left ear")
POINT_WEIGHT, LOOK_WEIGHT = 20.0, 0.7
#: Shapes are harder to tell than colours.
WEIGHTS = {"thing": 4, "who": 2, "style_fx": 2, "hair": 2, "col": 2}
#: People whom the scenes draw alike (with the hair and beards that are usual for them), so that nobody can tell them apart.
ALIKE = (("man", "woman", "boy", "girl", "old man", "old woman"), ("king", "queen"))


def _halving(before: int, after: int, kernel: int = 3) -> list[nn.Module]:
    return [nn.Conv2d(before, after, kernel, stride=2, padding=kernel // 2), nn.BatchNorm2d(after), nn.SiLU()]


class _Block(nn.Module):
    def __init__(self, channels: int):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + F.silu(self.norm(self.conv(x)))


class Judge(nn.Module):
    """Three halvings to 16×16 places, then for each attribute a map of where to look and a head, and a map for each key point.

    Batch norms, not group norms: these take out of a picture how bright it is.
    """

    def __init__(self) -> None:
        super().__init__()
        first, second, width = WIDTHS
        layers = [*_halving(3, first, 5), *_halving(first, second), _Block(second), *_halving(second, width), _Block(width), _Block(width)]
        self.body = nn.Sequential(*layers)
        self.look = nn.Conv2d(width, len(ATTRIBUTES), 1)
        self.heads = nn.ModuleDict({name: nn.Linear(3 * width, len(values)) for name, values in ATTRIBUTES.items()})
        self.places = nn.Conv2d(width, len(POINTS), 1)

    def maps(self, pixels: torch.Tensor) -> torch.Tensor:
        """(n, 96, 256) of pictures (n, 3, 128, 128) in −1 … 1."""
        return self.body(pixels.contiguous(memory_format=torch.channels_last)).float().flatten(2)

    def looks(self, maps: torch.Tensor) -> torch.Tensor:
        """Log shares with which each attribute is read from each place, (n, attributes, 256)."""
        return self.look(maps[..., None])[..., 0].float().log_softmax(-1)

    def said(self, maps: torch.Tensor, looks: torch.Tensor) -> dict[str, torch.Tensor]:
        """For each attribute the logits of its values."""
        everywhere = torch.cat([maps.mean(2), maps.amax(2)], 1)
        seen = torch.einsum("nap,ncp->anc", looks.exp(), maps)
        return {name: self.heads[name](torch.cat([part, everywhere], 1)) for name, part in zip(ATTRIBUTES, seen, strict=True)}

    def found(self, maps: torch.Tensor) -> torch.Tensor:
        """Key points (n, 8, 2) as shares of the side, x first."""
        weights = self.places(maps[..., None])[..., 0].float().softmax(-1).view(len(maps), -1, LATENT_SIDE, LATENT_SIDE)
        middles = (torch.arange(LATENT_SIDE) + 0.5) / LATENT_SIDE
        return torch.stack([(weights.sum(2) * middles).sum(2), (weights.sum(3) * middles).sum(2)], 2)


def _shrunk(pictures: np.ndarray) -> torch.Tensor:
    """(n, 3, 128, 128), uint8, of pictures (n, side, side, 3), uint8, of 256 or 512 pixels."""
    factor = pictures.shape[1] // SIDE
    small = pictures.reshape(len(pictures), SIDE, factor, SIDE, factor, 3).mean((2, 4), dtype=np.float32)
    return torch.from_numpy(small.round().astype(np.uint8)).permute(0, 3, 1, 2)


def _to_input(shrunk: torch.Tensor) -> torch.Tensor:
    return shrunk.float() / 127.5 - 1


def true_points(scene: dict) -> list[tuple[float, float]]:
    """Key points of a portrait as shares of the side; NaN for anything else."""
    if scene["kind"] != "portrait":
        return [(float("nan"),) * 2] * len(POINTS)
    places = scenes.body_points(scene)
    return [places[name] for name in POINTS]


def where_to_look(scene: dict) -> np.ndarray:
    """Shares in which each attribute is read from each place, (attributes, 256); zeros where the judge is left alone."""
    told = np.zeros((len(ATTRIBUTES), LATENT_SIDE, LATENT_SIDE), np.float32)
    column = list(ATTRIBUTES).index
    y, x = (np.mgrid[:LATENT_SIDE, :LATENT_SIDE] + 0.5) / LATENT_SIDE
    if scene["kind"] == "portrait":
        told[column("cloth")], hair = coloured_places(scene)
        if scene["who"] != "robot" and scene["style"] != "bald":
            told[column("hair")] = hair
        told[column("bg")] = (np.abs(x - scene["x"]) > 0.36 * scene["s"]) & (y < scene["y"] + 0.3 * scene["s"])
    if scene["kind"] == "thing":
        away = np.hypot(x - scene["x"], y - scene["y"]) / scene["s"]
        told[column("bg")], told[column("col")], told[column("thing")] = away > 0.42, away < 0.2, away < 0.4
    flat = told.reshape(len(ATTRIBUTES), -1)
    return flat / np.maximum(flat.sum(1, keepdims=True), 1e-6)


def _blurred(pixels: torch.Tensor, rng: random.Random) -> torch.Tensor:
    """As soft as what an autoencoder of this family decodes, or sharper."""
    sigma = rng.uniform(0.05, 1.4)
    taps = torch.exp(-(torch.arange(-2.0, 3) ** 2) / (2 * sigma**2))
    taps /= taps.sum()
    padded = F.pad(pixels, (2, 2, 2, 2), mode="replicate")
    across = sum(tap * padded[..., i : i + SIDE] for i, tap in enumerate(taps))
    return sum(tap * across[:, :, i : i + SIDE] for i, tap in enumerate(taps))


def train_judge(data: Path, work: Path, out: Path, steps: int, batch: int, rate: float, seed: int) -> Judge:
    shards = Shards(data)
    torch.manual_seed(seed)
    judge = Judge().to(memory_format=torch.channels_last)
    run = TrainingRun(work / "judge.pt", [{"params": list(judge.parameters())}], steps, rate, seed, average=0.0)
    answers = torch.tensor([labels(s) for s in shards.scenes])
    places = torch.tensor([true_points(s) for s in shards.scenes])
    looks = torch.from_numpy(np.stack([where_to_look(s) for s in shards.scenes])).half()
    pictures = torch.cat([_shrunk(shards.picture(i)[None]) for i in range(len(shards))])

    def loss_of(rng: random.Random) -> torch.Tensor:
        chosen = [rng.randrange(len(shards)) for _ in range(batch)]
        pixels = _blurred(_to_input(pictures[chosen]), rng)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            maps = judge.maps(pixels + 0.02 * torch.randn_like(pixels))
        looked, wanted = judge.looks(maps), places[chosen]
        seen = ~wanted.isnan()
        misplaced = (judge.found(maps) - wanted)[seen].abs().mean() if seen.any() else torch.zeros(())
        astray = -(looked * looks[chosen].float()).sum((1, 2)).mean()
        return said_loss(judge.said(maps, looked), answers[chosen], WEIGHTS) + POINT_WEIGHT * misplaced + LOOK_WEIGHT * astray

    run.train(loss_of)
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
        maps = torch.cat([judge.maps(_to_input(part)) for part in _shrunk(pictures).split(64)])
        #: For `set_distance`, (n, 96).
        self.features, self.points = maps.mean(2), judge.found(maps)
        self._said = {name: logits.softmax(1) for name, logits in judge.said(maps, judge.looks(maps)).items()}

    def agreement(self, described: list[dict], name: str) -> float:
        """Share of pictures that show an attribute as their scene has it, of those whose scene has it; NaN where none has.

        Of people who are drawn alike, any is right.
        """
        column = list(ATTRIBUTES).index(name)
        wanted = torch.tensor([labels(s)[column] for s in described])
        group = torch.arange(len(ATTRIBUTES[name]))
        for alike in ALIKE if name == "who" else ():
            group[[ATTRIBUTES[name].index(who) for who in alike]] = ATTRIBUTES[name].index(alike[0])
        said = torch.zeros_like(self._said[name]).index_add_(1, group, self._said[name]).argmax(1)
        seen = wanted != UNSEEN
        return float((said == group[wanted])[seen].float().mean())

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
