"""Stage `face-detector`: finds heads of drawn portraits and their five points, in the place of SCRFD.

MTCNN, which comes with the repository, finds six in ten of them. Pictures are moved and resized, so that heads are anywhere
and from an eighth of the picture on; scenes without a person have none.
"""

import random
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL

from . import scenes
from .dataset import PICTURE_SIDE, Shards
from .face_embedder import FIRST_SITTER, SITTERS, varied
from .face_networks import ANCHORS, DETECTOR_SIDE, STRIDES, Detector, save_detector
from .faces import draw_sitters
from .training_run import TrainingRun

#: Sides of heads, in pixels of the detector's side, up to which each stride is for them.
LARGEST_OF_STRIDE = (28.0, 56.0, 1000.0)
EMPTY_SHARE = 0.2
#: What a picture is enlarged by; below 1 it stands on black, as where a letterbox fills up.
SMALLEST, LARGEST = 0.25, 1.4
POINT_WEIGHT, BOX_WEIGHT, SCORE_WEIGHT = 10.0, 3.0, 8.0


def moved(pictures: np.ndarray, rng: random.Random) -> tuple[torch.Tensor, np.ndarray]:
    """Pictures (n, 3, 128, 128) in −1 … 1, enlarged and shifted, and for each (scale, x, y): places go to scale · place + (x, y)."""
    pixels = torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 127.5 - 1
    changes = []
    for _ in pictures:
        scale = SMALLEST * (LARGEST / SMALLEST) ** rng.random() if rng.random() < 0.6 else rng.uniform(0.9, 1.15)
        room = abs(1 - scale)
        changes.append((scale, (1 - scale) / 2 + rng.uniform(-0.5, 0.5) * room, (1 - scale) / 2 + rng.uniform(-0.5, 0.5) * room))
    # The grid says where in the picture each place of the result comes from, in −1 … 1.
    rows = [[[1 / s, 0, (1 - 2 * x) / s - 1], [0, 1 / s, (1 - 2 * y) / s - 1]] for s, x, y in changes]
    grid = F.affine_grid(torch.tensor(rows), [len(rows), 3, DETECTOR_SIDE, DETECTOR_SIDE], align_corners=False)
    half = F.interpolate(pixels, scale_factor=0.5, mode="area")
    return F.grid_sample(half + 1, grid, align_corners=False) - 1, np.array(changes)


class Targets:
    """What the detector should say of a batch: a head belongs to the place of its stride's grid that is nearest to its middle."""

    def __init__(self, described: list[dict], changes: np.ndarray):
        self.rows: list[list[int]] = [[] for _ in STRIDES]
        self.places: list[list[int]] = [[] for _ in STRIDES]
        self.offsets: list[list[np.ndarray]] = [[] for _ in STRIDES]
        for row, (scene, (scale, x, y)) in enumerate(zip(described, changes, strict=True)):
            if scene["kind"] != "portrait":
                continue
            to_side = lambda places: (np.array(places) * scale + (x, y)) * DETECTOR_SIDE  # noqa: B023
            (left, top), (right, bottom) = to_side(np.reshape(scenes.head_box(scene), (2, 2)))
            level = next(i for i, largest in enumerate(LARGEST_OF_STRIDE) if right - left <= largest)
            stride = STRIDES[level]
            columns = DETECTOR_SIDE // stride
            column, line = (min(columns - 1, max(0, round((a + b) / 2 / stride))) for a, b in ((left, right), (top, bottom)))
            at = np.array([column, line]) * stride
            sides = np.array([at[0] - left, at[1] - top, right - at[0], bottom - at[1]])
            points = (to_side(scenes.face_points(scene)) - at).ravel()
            self.rows[level].append(row)
            self.places[level].append(line * columns + column)
            self.offsets[level].append(np.concatenate([sides, points]) / stride)

    def loss(self, told: list[torch.Tensor]) -> torch.Tensor:
        losses = []
        for level in range(len(STRIDES)):
            scores, boxes, points = told[level][..., 0], told[level + 3], told[level + 6]
            wanted = torch.zeros_like(scores)
            for row, place in zip(self.rows[level], self.places[level], strict=True):
                wanted[row, ANCHORS * place : ANCHORS * (place + 1)] = 1
            losses.append(SCORE_WEIGHT * F.binary_cross_entropy_with_logits(scores, wanted, reduction="sum") / (ANCHORS * len(scores)))
            if self.rows[level]:
                rows, places = torch.tensor(self.rows[level]), torch.tensor(self.places[level])
                offsets = torch.tensor(np.stack(self.offsets[level])).float()
                for anchor in range(ANCHORS):
                    at = ANCHORS * places + anchor
                    share = len(rows) / len(scores) / ANCHORS
                    losses.append(share * BOX_WEIGHT * F.smooth_l1_loss(boxes[rows, at], offsets[:, :4], beta=0.05))
                    losses.append(share * POINT_WEIGHT * F.smooth_l1_loss(points[rows, at], offsets[:, 4:], beta=0.02))
        return torch.stack(losses).sum()


def train_detector(
    work: Path, data: Path, autoencoder: AutoencoderKL, out: Path, steps: int, batch: int, rate: float, seed: int
) -> Detector:
    pictures, described = draw_sitters(work, autoencoder, SITTERS, FIRST_SITTER)
    shards = Shards(data)
    empty = [i for i, scene in enumerate(shards.scenes) if scene["kind"] != "portrait"]
    torch.manual_seed(seed)
    detector = Detector().to(memory_format=torch.channels_last)
    run = TrainingRun(work / "face-detector.pt", [{"params": list(detector.parameters())}], steps, rate, seed, average=0.98)
    without = round(EMPTY_SHARE * batch)

    def loss_of(rng: random.Random) -> torch.Tensor:
        chosen, others = [rng.randrange(len(pictures)) for _ in range(batch - without)], rng.choices(empty, k=without)
        shown = np.stack([*(pictures[i] for i in chosen), *(shards.picture(i) for i in others)])
        pixels, changes = moved(shown, rng)
        targets = Targets([*(described[i] for i in chosen), *(shards.scenes[i] for i in others)], changes)
        scaled = varied(pixels) * (127.5 / 128)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            told = detector(scaled.contiguous(memory_format=torch.channels_last))
        return targets.loss([part.float() for part in told])

    run.train(loss_of)
    run.use_average()
    save_detector(detector, out)
    return detector
