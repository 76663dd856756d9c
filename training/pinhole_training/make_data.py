"""Stages `scenes` and `latents`: the training set, drawn and then encoded, in shards that are skipped when they exist."""

import json
import os
import random
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from PIL import Image

from . import scenes
from .control_images import canny_edges
from .dataset import EDGE_SIDE, PICTURE_SIDE

CANNY_THRESHOLDS = ((50, 100), (100, 200))


def render_shard(folder: Path, number: int, size: int, first_seed: int) -> None:
    """Pictures with styles, edges and depth without, and the scenes' parameters (written last: the shard is whole then)."""
    name = folder / f"{number:03d}"
    if name.with_suffix(".json").exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    shapes = {
        "pictures": (size, PICTURE_SIDE, PICTURE_SIDE, 3),
        "edges": (size, EDGE_SIDE, EDGE_SIDE // 8),
        "depth": (size, PICTURE_SIDE, PICTURE_SIDE),
    }
    arrays = {
        key: np.lib.format.open_memmap(name.with_suffix(f".{key}.npy"), "w+", np.uint8, shape) for key, shape in shapes.items()
    }
    parameters = []
    for i in range(size):
        p = scenes.sample(random.Random(first_seed + number * size + i))
        drawing = scenes.draw(p, EDGE_SIDE)
        edges = canny_edges(np.asarray(drawing.picture), *CANNY_THRESHOLDS[i % 2])
        arrays["edges"][i] = np.packbits(edges, axis=1)
        arrays["depth"][i] = np.asarray(drawing.depth.resize((PICTURE_SIDE, PICTURE_SIDE), Image.BOX))
        arrays["pictures"][i] = np.asarray(drawing.styled(PICTURE_SIDE))
        parameters.append(p)
    for array in arrays.values():
        array.flush()
    _write_json(name.with_suffix(".json"), parameters)


def _write_json(path: Path, value: object) -> None:
    part = path.with_suffix(".part")
    part.write_text(json.dumps(value))
    os.replace(part, path)


@torch.no_grad()
def encode(autoencoder: AutoencoderKL, pictures: np.ndarray) -> np.ndarray:
    """Means of the latents, unscaled, float16, of pictures (n, side, side, 3), uint8."""
    parts = []
    for start in range(0, len(pictures), 32):
        pixels = torch.from_numpy(np.array(pictures[start : start + 32])).permute(0, 3, 1, 2).float() / 127.5 - 1
        with torch.autocast("cpu", dtype=torch.bfloat16):
            mean = autoencoder.encode(pixels.contiguous(memory_format=torch.channels_last)).latent_dist.mean
        parts.append(mean.half().numpy())
    return np.concatenate(parts)


def encode_shards(folder: Path, autoencoder: AutoencoderKL) -> None:
    for scene_file in sorted(folder.glob("*.json")):
        path = scene_file.with_suffix(".latents.npy")
        if not path.exists():
            pictures = np.load(scene_file.with_suffix(".pictures.npy"), mmap_mode="r")
            part = path.with_suffix(".part.npy")
            np.save(part, encode(autoencoder, pictures))
            os.replace(part, path)
            print(f"encoded {scene_file.stem}", flush=True)
