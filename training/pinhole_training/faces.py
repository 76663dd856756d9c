"""Sitters: the same person drawn again, as a face embedder has to know them, and faces cut out as ArcFace's are.

A sitter is what of a portrait belongs to a person: hair, skin, eyes, beard, glasses, hat. Backdrop, clothes, mood, place and
size in the picture and the style change from one drawing to the next.
"""

import os
import random
from pathlib import Path

import cv2
import numpy as np
import torch
from diffusers import AutoencoderKL

from . import scenes
from .dataset import PICTURE_SIDE
from .evaluate_base import decoder
from .make_data import encode

#: Attributes of a person.
IDENTITY = ("who", "hair", "style", "skin", "eyes", "beard", "acc", "hatcol")
#: Styles that leave colours as they are; of a face in another nobody could say what colour its hair has.
READABLE_STYLES = ("", "", "", "", "oil painting", "watercolor", "pixel art", "vibrant")
DRAWINGS = 2
#: One in how many of the first pictures, and of how many, is what the autoencoder makes of it: as soft as Pinhole's own pictures.
SOFTENED, SOFTENED_BELOW = 5, 6400
#: Where ArcFace's training put the five points in a face of 112 pixels (insightface's `arcface_dst`).
TEMPLATE = np.array([[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]], np.float32)
CUT_SIDE = 112


def portrait(rng: random.Random) -> dict:
    while True:
        scene = scenes.sample(rng)
        if scene["kind"] == "portrait":
            return scene


def drawn_again(sitter: dict, rng: random.Random) -> dict:
    """Another portrait of the same person."""
    other = portrait(rng) | {key: sitter[key] for key in IDENTITY}
    return other | {"style_fx": rng.choice(READABLE_STYLES)}


def similarity(points: np.ndarray) -> np.ndarray:
    """The 2×3 matrix that brings five points nearest to ArcFace's (Umeyama, without reflection)."""
    a, b = points - points.mean(0), TEMPLATE - TEMPLATE.mean(0)
    along, across = (a * b).sum(), (a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]).sum()
    turned = np.array([[along, -across], [across, along]]) / (a**2).sum()
    return np.concatenate([turned, (TEMPLATE.mean(0) - turned @ points.mean(0))[:, None]], 1)


def cut_face(picture: np.ndarray, points: np.ndarray) -> np.ndarray:
    """(112, 112, 3), uint8, of a picture and its five points in pixels."""
    return cv2.warpAffine(picture, similarity(points.astype(np.float64)), (CUT_SIDE, CUT_SIDE), borderValue=0.0)


def draw_sitters(work: Path, autoencoder: AutoencoderKL, sitters: int, seed: int) -> tuple[np.ndarray, list[dict]]:
    """Pictures (sitters · drawings, 256, 256, 3), uint8, a sitter's one after the other, and their scenes; kept in files."""
    path = work / "faces.npy"
    described = [
        drawn_again(sitter, rng)
        for rng in (random.Random(seed + i) for i in range(sitters))
        for sitter in [portrait(rng)] * DRAWINGS
    ]
    if not path.exists():
        part = path.with_suffix(".part.npy")
        pictures = np.lib.format.open_memmap(part, "w+", np.uint8, (len(described), PICTURE_SIDE, PICTURE_SIDE, 3))
        for i, scene in enumerate(described):
            pictures[i] = np.asarray(scenes.render(scene, PICTURE_SIDE))
        decode = decoder(autoencoder, scaling_factor=1.0)
        softened = min(SOFTENED_BELOW, len(described))
        for start in range(0, softened, 32 * SOFTENED):
            chosen = np.arange(start, min(start + 32 * SOFTENED, softened), SOFTENED)
            pictures[chosen] = decode(torch.from_numpy(encode(autoencoder, pictures[chosen]).astype(np.float32)))
        pictures.flush()
        os.replace(part, path)
    return np.load(path, mmap_mode="r"), described
