"""Stage `controlnet`: canny, pose and depth ControlNets for the base.

Without cross-attention and with one resnet in the middle, as the small SDXL ControlNets are built: 2.1 million parameters.
The trunk is trained on control images of 256 pixels (factor 16, as the autoencoder's core); `outer_control_levels`
then grows the conditioning embedding to the factor of `pinhole-512`.
"""

import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from diffusers import ControlNetModel, UNet2DConditionModel

from .control_images import pose_of, stretch_depth
from .dataset import Shards, random_crop, varied_caption
from .diffusion import Predictor
from .networks import Base, open_base
from .training_run import TrainingRun
from .unet import noisy_batch, v_loss

EMBEDDING_CHANNELS = (8, 16, 32, 64, 64)
CROPPED_SHARE = 0.15
#: Scenes have heads near the middle, where the base puts them anyhow; cuts from anywhere have them at the sides.
POSE_CROPPED_SHARE = 0.6
FRESH_RATE, OUTPUT_RATE = 2.0, 8.0
SILU_GAIN, FIRST_GAIN, LAST_GAIN = 1.68, 3.0, 0.4
PIXELS_PER_LATENT = 16

#: (scene number, scene, shards) → control image (256, 256, 3), uint8
ControlImage = Callable[[int, dict, Shards], np.ndarray]


def _canny(index: int, _: dict, shards: Shards) -> np.ndarray:
    edges = shards.edges(index).reshape(256, 2, 256, 2).max((1, 3)) * 255
    return np.repeat(edges[..., None], 3, axis=2)


CONTROL_IMAGES: dict[str, ControlImage] = {
    "canny": _canny,
    "pose": lambda _, scene, __: pose_of(scene),
    "depth": lambda index, _, shards: stretch_depth(shards.depth(index)),
}


def new_controlnet(unet: UNet2DConditionModel, embedding_channels: tuple[int, ...]) -> ControlNetModel:
    """A ControlNet that starts as the UNet's own encoder and changes nothing yet."""
    taken = ("in_channels", "flip_sin_to_cos", "freq_shift", "block_out_channels", "layers_per_block", "norm_num_groups")
    config = {key: unet.config[key] for key in (*taken, "cross_attention_dim", "attention_head_dim")}
    model = ControlNetModel(
        **config,
        down_block_types=("DownBlock2D",) * len(unet.config.block_out_channels),
        mid_block_type="UNetMidBlock2D",
        conditioning_embedding_out_channels=embedding_channels,
    )
    own = model.state_dict()
    model.load_state_dict({k: v for k, v in unet.state_dict().items() if k in own}, strict=False)
    keep_signal(model.controlnet_cond_embedding)
    return model.to(memory_format=torch.channels_last)


def keep_signal(embedding: torch.nn.Module) -> None:
    """Starts the embedding's convolutions so that a sparse control image is still seen after ten of them.

    With torch's own start it is a thousandth of its size there, and with the last convolution at zero as well (the ControlNet's
    outputs begin at zero anyhow) four hundred steps of 32 pictures taught nothing.
    """
    convolutions = [embedding.conv_in, *embedding.blocks, embedding.conv_out]
    for conv in convolutions:
        fan_in = conv.weight[0].numel()
        torch.nn.init.normal_(conv.weight, std=SILU_GAIN / fan_in**0.5)
        torch.nn.init.zeros_(conv.bias)
    with torch.no_grad():
        embedding.conv_in.weight.mul_(FIRST_GAIN)
        embedding.conv_out.weight.mul_(LAST_GAIN)


def controlled(unet: UNet2DConditionModel, controlnet: ControlNetModel, control: torch.Tensor, scale: float = 1.0) -> Predictor:
    """v with the ControlNet's residuals. `control` is (n, 3, height, width) in 0 … 1; with guidance, both halves see it."""

    def predict(latents: torch.Tensor, timesteps: torch.Tensor, embeds: torch.Tensor) -> torch.Tensor:
        image = control if len(control) == len(latents) else torch.cat([control, control])
        latents = latents.contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            down, mid = controlnet(latents, timesteps, embeds, image, conditioning_scale=scale, return_dict=False)
            return unet(
                latents, timesteps, embeds, down_block_additional_residuals=down, mid_block_additional_residual=mid
            ).sample.float()

    return predict


def to_tensor(images: list[np.ndarray]) -> torch.Tensor:
    pixels = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float() / 255
    return pixels.contiguous(memory_format=torch.channels_last)


def control_timesteps(batch: int) -> torch.Tensor:
    """Half of all from where the composition is settled, a quarter from the noisiest tenth."""
    timesteps = torch.randint(0, 1000, (batch,))
    timesteps[: batch // 2] = torch.randint(450, 950, (batch // 2,))
    timesteps[: batch // 4] = torch.randint(900, 1000, (batch // 4,))
    return timesteps


def chosen_for(kind: str, shards: Shards) -> list[int]:
    """Scenes to learn a kind of control from. Pose says nothing about those without people: a few are enough to learn that."""
    return [i for i, s in enumerate(shards.scenes) if kind != "pose" or s["kind"] == "portrait" or i % 8 == 0]


def core_folder(kind: str, work: Path) -> Path:
    """Where a ControlNet for control images of 256 pixels lies between its training and its growing."""
    return work / f"controlnet-{kind}-core"


def train_controlnet(
    kind: str, base_folder: Path, data: Path, work: Path, steps: int, batch: int, rate: float, seed: int
) -> ControlNetModel:
    """The ControlNet for control images of 256 pixels, which it also writes to its core folder.

    Canny's is the first; the others start from it, if it is there: it has learnt how its outputs move the UNet, which takes
    most of the steps, and only what it looks for changes.
    """
    base, shards = open_base(base_folder), Shards(data)
    torch.manual_seed(seed)
    model = new_controlnet(base.unet, EMBEDDING_CHANNELS)
    first = core_folder("canny", work)
    if kind != "canny" and first.is_dir():
        model.load_state_dict(ControlNetModel.from_pretrained(first, torch_dtype=torch.float32).state_dict())
    chosen = chosen_for(kind, shards)
    by_name = list(model.named_parameters())
    outputs = [p for name, p in by_name if name.startswith(("controlnet_down_blocks", "controlnet_mid_block"))]
    embedding = [p for name, p in by_name if name.startswith("controlnet_cond_embedding")]
    trunk = [p for name, p in by_name if not name.startswith("controlnet_")]
    groups = [{"params": trunk}, {"params": embedding, "factor": FRESH_RATE}, {"params": outputs, "factor": OUTPUT_RATE}]
    run = TrainingRun(work / f"controlnet-{kind}.pt", groups, steps, rate, seed, average=0.99)

    def loss_of(rng: random.Random) -> torch.Tensor:
        indices = [rng.choice(chosen) for _ in range(batch)]
        clean = shards.scaled_latents(indices, base)
        control = to_tensor([CONTROL_IMAGES[kind](i, shards.scenes[i], shards) for i in indices])
        if rng.random() < (POSE_CROPPED_SHARE if kind == "pose" else CROPPED_SHARE):
            clean, (top, left) = random_crop(clean, rng, spread=0.5)
            (height, width), p = clean.shape[2:], PIXELS_PER_LATENT
            control = control[:, :, top * p : (top + height) * p, left * p : (left + width) * p]
        embeds = base.embed([varied_caption(shards.scenes[i], rng, empty=0.2, distracted=0.1) for i in indices])
        timesteps = control_timesteps(batch)
        noisy, target = noisy_batch(clean, timesteps)
        return v_loss(controlled(base.unet, model, control)(noisy, timesteps, embeds), target)

    run.train(loss_of, report_every=20)
    run.use_average()
    model.save_pretrained(core_folder(kind, work))
    return model
