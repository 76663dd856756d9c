"""Grows a ControlNet's conditioning embedding from 256-pixel control images to those of a base's own size.

The first convolution of the core (stride 1 at 256 pixels) is replaced by levels that start with it: 512- and 1024-pixel
images are reduced by stride-2 convolutions to features that are trained to equal the core's. The rest stays as it is.
They start as the core's convolution followed by plain halving: from a random start, thin coloured lines were still three
quarters off after eighty steps.
"""

import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from diffusers import ControlNetModel

from .controlnet import to_tensor
from .training_run import TrainingRun

#: Added before one activation and taken off behind it, where SiLU passes everything on as it is.
SHIFT = 6.0
#: About what SiLU takes off numbers of this size.
SILU_LOSS = 1.3


def grow_controlnet(core: ControlNetModel, levels: int) -> tuple[ControlNetModel, list[torch.nn.Parameter]]:
    """A ControlNet with `levels` more in its embedding, and the parameters that are to be trained."""
    config = dict(core.config)
    # diffusers notes the folder that a model was read from.
    config.pop("_name_or_path", None)
    channels = tuple(config["conditioning_embedding_out_channels"])
    config["conditioning_embedding_out_channels"] = channels[:1] * levels + channels
    model = ControlNetModel.from_config(config)
    start_as_halving(model.controlnet_cond_embedding, core.controlnet_cond_embedding.conv_in, levels)
    state = {}
    for key, value in core.state_dict().items():
        parts = key.split(".")
        if key.startswith("controlnet_cond_embedding.blocks."):
            parts[2] = str(int(parts[2]) + 2 * levels)
        if not key.startswith("controlnet_cond_embedding.conv_in."):
            state[".".join(parts)] = value
    model.load_state_dict(state, strict=False)
    model.requires_grad_(False)
    outer = [model.controlnet_cond_embedding.conv_in, *model.controlnet_cond_embedding.blocks[: 2 * levels]]
    parameters = [p for module in outer for p in module.requires_grad_(True).parameters()]
    return model.to(memory_format=torch.channels_last), parameters


@torch.no_grad()
def start_as_halving(embedding: torch.nn.Module, first: torch.nn.Conv2d, levels: int) -> None:
    """Gives the outer convolutions weights with which they do what `first` does, and then halve."""
    embedding.conv_in.weight.copy_(first.weight)
    embedding.conv_in.bias.copy_(first.bias)
    same = torch.eye(first.out_channels)
    for passing, halving in zip(embedding.blocks[: 2 * levels : 2], embedding.blocks[1 : 2 * levels : 2], strict=True):
        passing.weight.zero_()
        passing.weight[:, :, 1, 1] = same
        passing.bias.fill_(SHIFT)
        halving.weight.zero_()
        # With stride 2 and a border of one, these four taps are the pixels of a 2×2 block.
        halving.weight[:, :, 1:, 1:] = (SILU_LOSS / 4 * same)[:, :, None, None]
        halving.bias.fill_(-SILU_LOSS * SHIFT)


def _outer_features(model: ControlNetModel, image: torch.Tensor, levels: int) -> torch.Tensor:
    embedding = model.controlnet_cond_embedding
    x = torch.nn.functional.silu(embedding.conv_in(image))
    for block in embedding.blocks[: 2 * levels]:
        x = torch.nn.functional.silu(block(x))
    return x


def train_outer_control_levels(
    core: ControlNetModel,
    levels: int,
    images: Callable[[random.Random], tuple[np.ndarray, np.ndarray]],
    checkpoint: Path,
    steps: int,
    batch: int,
    seed: int,
) -> ControlNetModel:
    """`images` draws a control image at the outer size and the same at 256 pixels, both (side, side, 3), uint8."""
    torch.manual_seed(seed)
    model, parameters = grow_controlnet(core, levels)
    run = TrainingRun(checkpoint, [{"params": parameters}], steps, 5e-3, seed, average=0.99, warm_up=20)
    first = core.controlnet_cond_embedding.conv_in

    def loss_of(rng: random.Random) -> torch.Tensor:
        pairs = [images(rng) for _ in range(batch)]
        with torch.no_grad():
            wanted = torch.nn.functional.silu(first(to_tensor([small for _, small in pairs])))
        found = _outer_features(model, to_tensor([large for large, _ in pairs]), levels)
        return (found - wanted).square().mean() / wanted.square().mean()

    run.train(loss_of, report_every=20)
    run.use_average()
    return model.requires_grad_(False)
