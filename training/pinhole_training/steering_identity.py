"""The part of stage `steer` that teaches InstantID's parts to steer the few steps of the LCM-LoRA.

That draws the hair that is usual for a woman or a king wherever nothing else is said, and a face says something else. Half of the time the
parts count only where the head is, as in requests, and mostly as much as the endpoint lets them by default.
"""

import random
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from .control_images import face_points_of
from .controlnet import control_timesteps
from .dataset import Shards, coloured_places, random_corner, random_crop
from .face_networks import open_embedder
from .few_step_crowd import Crowd, Sampling, few_timesteps
from .few_step_prompts import named_attributes
from .identity import FILE, HEAD_WEIGHT, MASKED_SHARE, NET, SHOWN, Faces, caption_for, open_identity, set_face_scale, with_identity
from .ip_adapter import save_adapter
from .networks import LATENT_SIZES, Base, open_base
from .noise_codes import NoiseCodes, colour_directions
from .steering import CONTROL_SIDE, FIRST_ONLY, WEIGHTS, SwitchedLora, embed_control_images, kept, train_in_turns
from .training_run import TrainingRun
from .unet import noisy_batch, v_loss

#: Share of steps at other sizes than the square one, and of those with the endpoint's default scales in place of 1.
CROPPED_SHARE, DEFAULT_SCALE_SHARE = 0.2, 0.7
DEFAULT_SCALE = 0.7
FACE_RATE, OUTPUT_RATE = 2.0, 3.0
HALF_WAY = 0.5
#: What hair counts beside the rest, with what the head does.
HAIR_WEIGHT = 3.0
#: What a face says of its sitter, so that the noise need not.
_SAID_BY_FACES = {"hair", "skin"}


class SitterLessons:
    """New samplings of one size that end at a portrait, with a sitter's face, its points and where the head is."""

    def __init__(self, base: Base, known: Faces, codes: NoiseCodes, embedded: np.ndarray, size: tuple[int, int]):
        self._base, self._known, self._codes, self._embedded, self._size = base, known, codes, embedded, size
        hair = torch.from_numpy(np.stack([coloured_places(sitter)[1] for sitter in known.sitters])).float()
        self._emphasis = 1 + (HEAD_WEIGHT - 1) * known.masks[:, 0] + (HAIR_WEIGHT - 1) * hair

    def __call__(self, count: int, rng: random.Random) -> list[Sampling]:
        known, (height, width) = self._known, self._size
        chosen = [rng.randrange(len(known.sitters)) for _ in range(count)]
        sitters = [known.sitters[i] for i in chosen]
        prompts = [caption_for(sitter, rng) for sitter in sitters]
        named = [named_attributes(s, p) | _SAID_BY_FACES for s, p in zip(sitters, prompts, strict=True)]
        wanted = [self._codes.wanted(s, n, rng) for s, n in zip(sitters, named, strict=True)]
        noises = self._codes.noise(torch.stack(wanted), height, width)
        clean, made = known.shards.scaled_latents([known.indices[i] for i in chosen], self._base), []
        for i, noise, target, embeds in zip(chosen, noises, clean, self._base.embed(prompts), strict=True):
            top, left = random_corner(self._size, rng, spread=0.5)
            cut = lambda maps, t=top, l=left: maps[..., t : t + height, l : l + width]
            head = cut(known.masks[i])
            where = (head > 0.5).float() if rng.random() < MASKED_SHARE else torch.ones_like(head)
            conditions = (known.embeddings[i, rng.randrange(SHOWN)], cut(torch.from_numpy(self._embedded[i])).float(), where)
            times, emphasis = few_timesteps(rng, FIRST_ONLY), cut(self._emphasis[i])
            made.append(Sampling(noise, cut(target), embeds, times, conditions=conditions, emphasis=emphasis))
        return made


def steer_identity(
    base_folder: Path, lora_file: Path, embedder_file: Path, data: Path, work: Path, folder: Path, steps: int, batch: int, rate: float,
    seed: int,
) -> None:  # fmt: skip
    """Trains the parts in `folder` on, but for the embedding of control images."""
    base, shards = open_base(base_folder), Shards(data)
    lora = SwitchedLora(base, lora_file)
    codes = NoiseCodes(colour_directions(shards.scenes, shards.scaled_latents(slice(None), base)))
    known = Faces(shards, open_embedder(embedder_file), work, seed)
    identity = open_identity(folder, base)
    net = identity.net.to(memory_format=torch.channels_last)
    embedding, net.controlnet_cond_embedding = net.controlnet_cond_embedding.requires_grad_(False), torch.nn.Identity()
    images = (face_points_of(sitter, CONTROL_SIDE) for sitter in known.sitters)
    embedded = kept(work / "steered-identity.npy", lambda: embed_control_images(embedding, images))
    outputs = [p for name, p in net.named_parameters() if name.startswith("controlnet_")]
    trunk = [p for name, p in net.named_parameters() if not name.startswith("controlnet_")]
    groups = [
        {"params": trunk}, {"params": outputs, "factor": OUTPUT_RATE}, {"params": list(identity.named.values()), "factor": FACE_RATE},
    ]  # fmt: skip
    before = [p.detach().clone() for group in groups for p in group["params"]]
    run = TrainingRun(work / "steered-identity.pt", groups, steps, rate, seed, average=0.99)

    def plain_loss(rng: random.Random) -> torch.Tensor:
        chosen = [rng.randrange(len(known.indices)) for _ in range(batch)]
        faces = known.embeddings[chosen, [rng.randrange(SHOWN) for _ in chosen]]
        clean, points = shards.scaled_latents([known.indices[i] for i in chosen], base), torch.from_numpy(embedded[chosen]).float()
        both = torch.cat([clean, known.masks[chosen], points], 1)
        if rng.random() < CROPPED_SHARE:
            both, _ = random_crop(both, rng, spread=0.5)
        clean, heads, points = both.split([8, 1, both.shape[1] - 9], 1)
        noisy, target = noisy_batch(clean, timesteps := control_timesteps(batch))
        where = (heads > 0.5).float() if rng.random() < MASKED_SHARE else None
        set_face_scale(base, 1.0)
        embeds = base.embed([caption_for(known.sitters[i], rng) for i in chosen])
        predicted = with_identity(base.unet, net, identity.resampler, faces, points, where)(noisy, timesteps, embeds)
        return v_loss(predicted, target, 1 + (HEAD_WEIGHT - 1) * heads)

    def predict(x: torch.Tensor, times: torch.Tensor, said: torch.Tensor, given: tuple[torch.Tensor, ...]) -> torch.Tensor:
        scale = DEFAULT_SCALE if torch.rand(()) < DEFAULT_SCALE_SHARE else 1.0
        set_face_scale(base, scale)
        return with_identity(base.unet, net, identity.resampler, *given, scale)(x, times, said)

    empty = base.embed([""])
    crowds = {size: Crowd(SitterLessons(base, known, codes, embedded, size), batch, empty) for size in LATENT_SIZES}
    train_in_turns(run, lora, crowds, CROPPED_SHARE, predict, plain_loss)
    # Blue hair of a woman shows half-way, as it did not before and does at the end, and other hair is told as often as before (0.52; at the end 0.39).
    with torch.no_grad():
        for parameter, first in zip(run.parameters, before, strict=True):
            parameter.lerp_(first, HALF_WAY)
    net.controlnet_cond_embedding = embedding
    tensors = {key: value.detach().half().contiguous() for key, value in net.state_dict().items()}
    save_file(tensors, folder / NET / WEIGHTS, metadata={"format": "pt"})
    save_adapter(identity.named, folder / FILE)
