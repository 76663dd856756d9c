"""Stage `face-embedder`: what tells drawn portraits apart, in the place of ArcFace.

It learns to say the same of one sitter drawn twice and something else of others, and its numbers to hold hair, skin, eyes,
beard, glasses and hat where a linear reading finds them. It has never seen a photograph.
"""

import random
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL

from . import scenes
from .dataset import PICTURE_SIDE
from .face_networks import EMBEDDING_WIDTH, Embedder, save_embedder
from .faces import DRAWINGS, IDENTITY, cut_face, draw_sitters
from .text_encoder import ATTRIBUTES, UNSEEN, labels
from .training_run import TrainingRun

SITTERS, FIRST_SITTER = 5000, 7_000_000
TEMPERATURE, CONTRAST_WEIGHT = 0.1, 1.0
#: What the detector's key points are off, as a share of the head's size.
KEY_POINT_NOISE = 0.02
#: Colours are what a portrait takes over first.
WEIGHTS = {"hair": 3.0, "skin": 2.0, "acc": 2.0, "style": 1.5, "hatcol": 1.5}


def varied(pixels: torch.Tensor) -> torch.Tensor:
    """Pictures in −1 … 1, some of them softer, lighter or darker."""
    factor = 1 + 0.06 * torch.randn(len(pixels), 3, 1, 1)
    changed = (pixels + 1) * factor - 1
    softer = F.avg_pool2d(F.pad(changed, (1, 1, 1, 1), mode="replicate"), 3, 1)
    share = torch.rand(len(pixels), 1, 1, 1)
    return (changed + share * (softer - changed) + 0.02 * torch.randn_like(pixels)).clamp(-1, 1)


def identity_loss(heads: torch.nn.ModuleDict, embeddings: torch.Tensor, answers: torch.Tensor) -> torch.Tensor:
    """Cross entropy of the attributes of a person."""
    losses = []
    for name in IDENTITY:
        wanted = answers[:, list(ATTRIBUTES).index(name)]
        if (wanted != UNSEEN).any():
            losses.append(WEIGHTS.get(name, 1.0) * F.cross_entropy(heads[name](embeddings), wanted, ignore_index=UNSEEN))
    return torch.stack(losses).sum()


def train_embedder(work: Path, autoencoder: AutoencoderKL, out: Path, steps: int, batch: int, rate: float, seed: int) -> Embedder:
    pictures, described = draw_sitters(work, autoencoder, SITTERS, FIRST_SITTER)
    answers = torch.tensor([labels(scene) for scene in described])
    points = np.array([scenes.face_points(scene) for scene in described]) * PICTURE_SIDE
    sizes = np.array([scene["s"] for scene in described]) * PICTURE_SIDE
    torch.manual_seed(seed)
    embedder = Embedder().to(memory_format=torch.channels_last)
    heads = torch.nn.ModuleDict({name: torch.nn.Linear(EMBEDDING_WIDTH, len(ATTRIBUTES[name])) for name in IDENTITY})
    parameters = [{"params": [*embedder.parameters(), *heads.parameters()]}]
    run = TrainingRun(work / "face-embedder.pt", parameters, steps, rate, seed, average=0.98)

    def loss_of(rng: random.Random) -> torch.Tensor:
        sitters = rng.sample(range(SITTERS), batch // DRAWINGS)
        chosen = [DRAWINGS * sitter + drawing for drawing in range(DRAWINGS) for sitter in sitters]
        noise = np.random.default_rng(rng.randrange(1 << 30)).normal(0, KEY_POINT_NOISE, (len(chosen), 5, 2))
        cut = [cut_face(pictures[i], points[i] + noise[k] * sizes[i]) for k, i in enumerate(chosen)]
        pixels = varied(torch.from_numpy(np.stack(cut)).permute(0, 3, 1, 2).float() / 127.5 - 1)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            told = embedder(pixels.contiguous(memory_format=torch.channels_last))
        embeddings = told.float()
        first, second = F.normalize(embeddings, dim=1).chunk(DRAWINGS)
        similar, same = first @ second.T / TEMPERATURE, torch.arange(len(sitters))
        contrast = (F.cross_entropy(similar, same) + F.cross_entropy(similar.T, same)) / 2
        return identity_loss(heads, embeddings, answers[chosen]) + CONTRAST_WEIGHT * contrast

    run.train(loss_of)
    run.use_average()
    save_embedder(embedder, out)
    return embedder
