"""ControlNets beside the few-step LoRA: it has to go on doing what they ask, though its own scenes have everything in one place."""

import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from diffusers import ControlNetModel

from . import scenes
from .control_images import canny_edges, pose_of, stretch_depth
from .controlnet import to_tensor

#: What the shipped ControlNets take for 16×16 latents.
_SIDE = 512
KINDS = ("canny", "depth", "pose")
#: Of each forward pass: what goes to the UNet's down path, and to its middle.
Residuals = tuple[list[torch.Tensor], torch.Tensor]


def _image(kind: str, scene: dict) -> np.ndarray:
    """(512, 512, 3), uint8."""
    if kind == "pose":
        return pose_of(scene, _SIDE)
    drawing = scenes.draw(scene, _SIDE)
    if kind == "depth":
        return stretch_depth(np.asarray(drawing.depth))
    return np.repeat((canny_edges(np.asarray(drawing.picture)) * 255)[..., None], 3, 2)


class Controls:
    def __init__(self, models: Path):
        self._nets: dict[str, ControlNetModel] = {}
        self._embeddings: dict[str, torch.nn.Module] = {}
        for kind in KINDS:
            net = ControlNetModel.from_pretrained(models / f"pinhole-{kind}", torch_dtype=torch.float32).requires_grad_(False).eval()
            # A sampling's control image stays the same, so its embedding is made once.
            self._embeddings[kind], net.controlnet_cond_embedding = net.controlnet_cond_embedding, torch.nn.Identity()
            self._nets[kind] = net.to(memory_format=torch.channels_last)

    @torch.no_grad()
    def of(self, scene: dict, rng: random.Random) -> tuple[str, torch.Tensor]:
        """A kind of control image that fits the scene, and its embedding (channels, 16, 16)."""
        kind = rng.choice(KINDS if scene["kind"] == "portrait" else KINDS[:2])
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return kind, self._embeddings[kind](to_tensor([_image(kind, scene)]))[0].float()

    @torch.no_grad()
    def residuals(
        self, asked: Sequence[tuple[str, torch.Tensor] | None], x: torch.Tensor, times: torch.Tensor, embeds: torch.Tensor
    ) -> Residuals | None:
        """For latents (n, 8, height, width) of which some have a control; zeros for the others, None where none has."""
        down: list[torch.Tensor] = []
        mid = None
        for kind, net in self._nets.items():
            rows = [i for i, control in enumerate(asked) if control is not None and control[0] == kind]
            if not rows:
                continue
            images = torch.stack([control[1] for control in asked if control is not None and control[0] == kind])
            with torch.autocast("cpu", dtype=torch.bfloat16):
                parts, middle = net(x[rows], times[rows], embeds[rows], images, return_dict=False)
            if mid is None:
                down, mid = [p.new_zeros(len(x), *p.shape[1:]) for p in parts], middle.new_zeros(len(x), *middle.shape[1:])
            for whole, part in zip([*down, mid], [*parts, middle], strict=True):
                whole[rows] = part
        return None if mid is None else (down, mid)
