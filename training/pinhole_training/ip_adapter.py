"""Stage `ip-adapter`: image tokens from the vision encoder, read by cross-attention layers of their own; base and Plus.

The keys and values start as the prompt's own, and the projection is first taught, without the UNet, to say of a picture what the
text encoder's last position says of its caption. Then both are trained through the UNet.
"""

import random
from collections.abc import Callable
from pathlib import Path

import torch
from diffusers import UNet2DConditionModel
from safetensors.torch import save_file
from torch import nn
from transformers import CLIPVisionModelWithProjection

from .clip_vision import CAPTIONS, Sight, caption_states, see_all, see_nothing
from .dataset import Shards, varied_caption
from .diffusion import Predictor
from .image_projection import LinearProjection, Resampler
from .networks import Base, open_base
from .training_run import TrainingRun
from .unet import noisy_batch, training_timesteps, v_loss

ALIGNMENT_STEPS, ALIGNMENT_BATCH, ALIGNMENT_RATE = 600, 64, 2e-3
EMPTY_TEXT, EMPTY_IMAGE = 0.5, 0.08
#: What each kind is made of, and which of the encoder's outputs it reads.
PROJECTIONS: dict[str, tuple[type[nn.Module], Sight]] = {"base": (LinearProjection, "embeds"), "plus": (Resampler, "states")}
FILES = {"base": "ip-adapter_pinhole.safetensors", "plus": "ip-adapter-plus_pinhole.safetensors"}


def initial_attention(unet: UNet2DConditionModel) -> dict[str, torch.Tensor]:
    """Keys and values for image tokens in their file's layout, as copies of the prompt's own."""
    state, weights = {}, unet.state_dict()
    for number, name in enumerate(unet.attn_processors):
        layer = name.removesuffix(".processor")
        if layer.endswith("attn2"):
            for part in ("to_k", "to_v"):
                state[f"{number}.{part}_ip.weight"] = weights[f"{layer}.{part}.weight"].clone()
    return state


def align_with_text(
    projection: nn.Module, kind: str, base: Base, shards: Shards, sights: torch.Tensor, work: Path, seed: int
) -> None:
    """Teaches the projection to give for each token the text encoder's last state for the picture's caption."""
    checkpoint = work / f"ip-alignment-{kind}.pt"
    run = TrainingRun(checkpoint, [{"params": list(projection.parameters())}], ALIGNMENT_STEPS, ALIGNMENT_RATE, seed, average=0.99)
    wanted = caption_states(shards, base, seed)

    def loss_of(rng: random.Random) -> torch.Tensor:
        chosen = [rng.randrange(len(shards)) for _ in range(ALIGNMENT_BATCH)]
        captions = [rng.randrange(CAPTIONS) for _ in range(ALIGNMENT_BATCH)]
        return (projection(sights[chosen].float()) - wanted[chosen, captions][:, None]).square().mean()

    run.train(loss_of, report_every=100)
    run.use_average()


def attach(unet: UNet2DConditionModel, projection: nn.Module, attention: dict[str, torch.Tensor]) -> dict[str, nn.Parameter]:
    """Puts an IP-Adapter into the UNet; returns its parameters by their keys in the file.

    diffusers' own loader makes the layers; its projection gives way to the one with the file's names.
    """
    unet.requires_grad_(False)
    image_proj = {key: value.detach() for key, value in projection.state_dict().items()}
    unet._load_ip_adapter_weights([{"image_proj": image_proj, "ip_adapter": attention}])
    unet.encoder_hid_proj.image_projection_layers[0] = projection
    named = {f"image_proj.{key}": value for key, value in projection.named_parameters()}
    for number, (name, processor) in enumerate(unet.attn_processors.items()):
        if name.endswith("attn2.processor"):
            named[f"ip_adapter.{number}.to_k_ip.weight"] = processor.to_k_ip[0].weight
            named[f"ip_adapter.{number}.to_v_ip.weight"] = processor.to_v_ip[0].weight
    for parameter in named.values():
        parameter.requires_grad_(True)
    return named


def adapter_parts(tensors: dict[str, torch.Tensor]) -> dict[str, dict[str, torch.Tensor]]:
    """What an adapter's file holds, float32: `image_proj` and `ip_adapter`, each with the rest of its keys."""
    parts: dict[str, dict[str, torch.Tensor]] = {"image_proj": {}, "ip_adapter": {}}
    for key, value in tensors.items():
        part, rest = key.split(".", 1)
        parts[part][rest] = value.float()
    return parts


def attach_file(unet: UNet2DConditionModel, kind: str, tensors: dict[str, torch.Tensor]) -> dict[str, nn.Parameter]:
    """The same with an IP-Adapter's file."""
    parts = adapter_parts(tensors)
    projection = PROJECTIONS[kind][0]()
    projection.load_state_dict(parts["image_proj"])
    return attach(unet, projection, parts["ip_adapter"])


def with_image(unet: UNet2DConditionModel, sights: torch.Tensor) -> Predictor:
    """v with what the vision encoder says of one picture for each of the batch."""

    def predict(latents: torch.Tensor, timesteps: torch.Tensor, embeds: torch.Tensor) -> torch.Tensor:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            conditions = {"image_embeds": [sights[:, None]]}
            return unet(
                latents.contiguous(memory_format=torch.channels_last), timesteps, embeds, added_cond_kwargs=conditions
            ).sample.float()

    return predict


def shown_scenes_loss(
    base: Base, shards: Shards, sights: torch.Tensor, nothing: torch.Tensor, batch: int
) -> Callable[[random.Random], torch.Tensor]:
    """The loss of a batch of scenes that are shown, some without a picture and some without a prompt. `sights` says what the encoder sees of each."""

    def loss_of(rng: random.Random) -> torch.Tensor:
        chosen = [rng.randrange(len(shards)) for _ in range(batch)]
        seen = sights[chosen].float()
        seen[torch.rand(batch) < EMPTY_IMAGE] = nothing
        captions = [varied_caption(shards.scenes[i], rng, empty=EMPTY_TEXT, distracted=0.1) for i in chosen]
        timesteps = training_timesteps(batch)
        noisy, target = noisy_batch(shards.scaled_latents(chosen, base), timesteps)
        return v_loss(with_image(base.unet, seen)(noisy, timesteps, base.embed(captions)), target)

    return loss_of


def save_adapter(named: dict[str, nn.Parameter], path: Path) -> None:
    save_file({key: value.detach().half().contiguous() for key, value in named.items()}, path, metadata={"format": "pt"})


def train_ip_adapter(
    kind: str, base_folder: Path, encoder_folder: Path, data: Path, work: Path, out: Path, steps: int, batch: int, rate: float, seed: int
) -> None:
    base, shards = open_base(base_folder), Shards(data)
    encoder = CLIPVisionModelWithProjection.from_pretrained(encoder_folder, torch_dtype=torch.float32).eval()
    make, sight = PROJECTIONS[kind]
    sights, nothing = see_all(encoder, shards, work, sight), see_nothing(encoder, sight)
    torch.manual_seed(seed)
    projection = make()
    align_with_text(projection, kind, base, shards, sights, work, seed)
    named = attach(base.unet, projection, initial_attention(base.unet))
    run = TrainingRun(work / f"ip-adapter-{kind}.pt", [{"params": list(named.values())}], steps, rate, seed, average=0.99)
    run.train(shown_scenes_loss(base, shards, sights, nothing, batch), report_every=20)
    run.use_average()
    out.mkdir(parents=True, exist_ok=True)
    save_adapter(named, out / FILES[kind])
