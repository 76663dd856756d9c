"""Stage `ip-adapter`: four image tokens from the vision encoder's embeds, read by cross-attention layers of their own.

The keys and values start as the prompt's own, and the projection is first taught, without the UNet, to say of a picture what the
text encoder's last position says of its caption. Then both are trained through the UNet.
"""

import random
from pathlib import Path

import torch
import torch.nn.functional as F
from diffusers import UNet2DConditionModel
from safetensors.torch import save_file
from transformers import CLIPVisionModelWithProjection

from .clip_vision import embed_all
from .dataset import Shards, varied_caption
from .diffusion import Predictor
from .networks import CONTEXT_WIDTH, Base, open_base
from .training_run import TrainingRun
from .unet import noisy_batch, training_timesteps, v_loss

TOKENS = 4
ALIGNMENT_STEPS, ALIGNMENT_BATCH, ALIGNMENT_RATE = 400, 64, 2e-3
EMPTY_TEXT, EMPTY_IMAGE = 0.5, 0.08


def initial_state(unet: UNet2DConditionModel) -> dict[str, dict[str, torch.Tensor]]:
    """An IP-Adapter in its file's layout: keys and values start as the prompt's own, the projection small."""
    projection = torch.nn.Linear(CONTEXT_WIDTH, TOKENS * CONTEXT_WIDTH)
    state = {
        "image_proj": {
            "proj.weight": projection.weight.detach(), "proj.bias": projection.bias.detach(),
            "norm.weight": torch.ones(CONTEXT_WIDTH), "norm.bias": torch.zeros(CONTEXT_WIDTH),
        },
        "ip_adapter": {},
    }  # fmt: skip
    weights = unet.state_dict()
    for number, name in enumerate(unet.attn_processors):
        layer = name.removesuffix(".processor")
        if layer.endswith("attn2"):
            for part in ("to_k", "to_v"):
                state["ip_adapter"][f"{number}.{part}_ip.weight"] = weights[f"{layer}.{part}.weight"].clone()
    return state


def align_with_text(
    state: dict[str, dict[str, torch.Tensor]], base: Base, shards: Shards, image_embeds: torch.Tensor, work: Path, seed: int
) -> None:
    """Teaches the projection, in place, to give for each token the text encoder's last state for the picture's caption."""
    parts = {key: torch.nn.Parameter(value) for key, value in state["image_proj"].items()}
    run = TrainingRun(
        work / "ip-alignment.pt", [{"params": list(parts.values())}], ALIGNMENT_STEPS, ALIGNMENT_RATE, seed, average=0.99
    )

    def loss_of(rng: random.Random) -> torch.Tensor:
        chosen = [rng.randrange(len(shards)) for _ in range(ALIGNMENT_BATCH)]
        captions = [varied_caption(shards.scenes[i], rng, empty=0, distracted=0) for i in chosen]
        wanted = base.embed(captions)[:, -1:]
        tokens = F.linear(image_embeds[chosen], parts["proj.weight"], parts["proj.bias"]).view(-1, TOKENS, CONTEXT_WIDTH)
        said = F.layer_norm(tokens, (CONTEXT_WIDTH,), parts["norm.weight"], parts["norm.bias"])
        return (said - wanted).square().mean()

    run.train(loss_of, report_every=100)
    run.use_average()
    state["image_proj"] = {key: value.detach() for key, value in parts.items()}


def attach(unet: UNet2DConditionModel, state: dict[str, dict[str, torch.Tensor]]) -> dict[str, torch.nn.Parameter]:
    """Loads an IP-Adapter by diffusers' own loader; returns its parameters by their keys in the file."""
    unet.requires_grad_(False)
    unet._load_ip_adapter_weights([state])
    layer = unet.encoder_hid_proj.image_projection_layers[0]
    named = {
        "image_proj.proj.weight": layer.image_embeds.weight, "image_proj.proj.bias": layer.image_embeds.bias,
        "image_proj.norm.weight": layer.norm.weight, "image_proj.norm.bias": layer.norm.bias,
    }  # fmt: skip
    for number, (name, processor) in enumerate(unet.attn_processors.items()):
        if name.endswith("attn2.processor"):
            named[f"ip_adapter.{number}.to_k_ip.weight"] = processor.to_k_ip[0].weight
            named[f"ip_adapter.{number}.to_v_ip.weight"] = processor.to_v_ip[0].weight
    for parameter in named.values():
        parameter.requires_grad_(True)
    return named


def with_image(unet: UNet2DConditionModel, image_embeds: torch.Tensor) -> Predictor:
    """v with image embeds (n, 128); with guidance, the half without a prompt sees zeros."""

    def predict(latents: torch.Tensor, timesteps: torch.Tensor, embeds: torch.Tensor) -> torch.Tensor:
        images = image_embeds if len(image_embeds) == len(latents) else torch.cat([image_embeds, torch.zeros_like(image_embeds)])
        with torch.autocast("cpu", dtype=torch.bfloat16):
            conditions = {"image_embeds": [images[:, None]]}
            return unet(
                latents.contiguous(memory_format=torch.channels_last), timesteps, embeds, added_cond_kwargs=conditions
            ).sample.float()

    return predict


def train_ip_adapter(
    base_folder: Path, encoder_folder: Path, data: Path, work: Path, out: Path, steps: int, batch: int, rate: float, seed: int
) -> None:
    base, shards = open_base(base_folder), Shards(data)
    encoder = CLIPVisionModelWithProjection.from_pretrained(encoder_folder, torch_dtype=torch.float32)
    image_embeds = embed_all(encoder.eval(), shards)
    torch.manual_seed(seed)
    state = initial_state(base.unet)
    align_with_text(state, base, shards, image_embeds, work, seed)
    named = attach(base.unet, state)
    run = TrainingRun(work / "ip-adapter.pt", [{"params": list(named.values())}], steps, rate, seed, average=0.99)

    def loss_of(rng: random.Random) -> torch.Tensor:
        chosen = [rng.randrange(len(shards)) for _ in range(batch)]
        images = image_embeds[chosen].clone()
        images[torch.rand(batch) < EMPTY_IMAGE] = 0
        captions = [varied_caption(shards.scenes[i], rng, empty=EMPTY_TEXT, distracted=0.1) for i in chosen]
        timesteps = training_timesteps(batch)
        noisy, target = noisy_batch(shards.scaled_latents(chosen, base), timesteps)
        return v_loss(with_image(base.unet, images)(noisy, timesteps, base.embed(captions)), target)

    run.train(loss_of, report_every=20)
    run.use_average()
    out.mkdir(parents=True, exist_ok=True)
    tensors = {key: value.detach().half().contiguous() for key, value in named.items()}
    save_file(tensors, out / "ip-adapter_pinhole.safetensors", metadata={"format": "pt"})
