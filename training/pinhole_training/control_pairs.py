"""Control images at two sizes, to grow a ControlNet for 256-pixel control images to those of 512."""

import random
from pathlib import Path

import numpy as np
from diffusers import ControlNetModel
from PIL import Image

from . import scenes
from .control_images import canny_edges, face_points_of, pose_of, stretch_depth
from .outer_control_levels import train_outer_control_levels

POOL = 48
BATCH, STEPS = 4, 150
#: Levels outside of the core's, which takes control images of 256 pixels.
LEVELS = 1
#: Control images of portraits, from their scenes alone.
_OF_PEOPLE = {"pose": pose_of, "identity": face_points_of}


def _shrink_most(image: np.ndarray, factor: int) -> np.ndarray:
    """The brightest of each block of pixels: thin lines stay lines."""
    side = len(image) // factor
    return image.reshape(side, factor, side, factor, 3).max((1, 3))


class ControlPairs:
    """Draws (control image at the outer side, the same at 256 pixels); keeps recent ones, since drawing is slow."""

    def __init__(self, kind: str):
        self._kind, self._factor = kind, 2**LEVELS
        self._pool: list[tuple[np.ndarray, np.ndarray]] = []

    def __call__(self, rng: random.Random) -> tuple[np.ndarray, np.ndarray]:
        if len(self._pool) < POOL or rng.random() < 0.1:
            scene = scenes.sample(rng)
            # A picture without a person has a black control image, which says nothing.
            while self._kind in _OF_PEOPLE and scene["kind"] != "portrait":
                scene = scenes.sample(rng)
            self._pool.append(self._draw(scene))
            if len(self._pool) > 2 * POOL:
                self._pool.pop(rng.randrange(len(self._pool)))
        return rng.choice(self._pool)

    def _draw(self, scene: dict) -> tuple[np.ndarray, np.ndarray]:
        side = 256 * self._factor
        if self._kind in _OF_PEOPLE:
            draw = _OF_PEOPLE[self._kind]
            return draw(scene, side), draw(scene, 256)
        if self._kind == "depth":
            depth = scenes.draw(scene, side).depth
            small = np.asarray(depth.resize((256, 256), Image.BOX))
            return stretch_depth(np.asarray(depth)), stretch_depth(small)
        edges = canny_edges(np.asarray(scenes.draw(scene, side).picture)) * 255
        large = np.repeat(edges[..., None], 3, axis=2)
        return large, _shrink_most(large, self._factor)


def grow_and_save(kind: str, core: ControlNetModel, work: Path, folder: Path) -> None:
    """For control images of 512 pixels; the engine shrinks them to that for the base of 1024, whose latents are the same."""
    checkpoint = work / f"controlnet-{kind}-outer.pt"
    grown = train_outer_control_levels(core, LEVELS, ControlPairs(kind), checkpoint, STEPS, BATCH, seed=50)
    grown.half().save_pretrained(folder)
