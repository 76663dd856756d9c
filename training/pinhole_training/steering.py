"""Stage `steer`: ControlNets and the IP-Adapter, trained on until they steer the few steps of the LCM-LoRA too.

The LoRA learnt from scenes whose things lie at one place, with no adapter beside it, and what steers the base alone hardly moves
the two together. So the LoRA stays as it is, and the adapters go on: in most steps with the LoRA merged, in a crowd of samplings
that meet their own pictures; in the others with the base alone, as they were trained at first, so that many steps without the
LoRA are steered as before.
"""

import os
import random
import shutil
from collections.abc import Callable, Iterable
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from diffusers import ControlNetModel
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import CLIPVisionModelWithProjection

from . import scenes
from .clip_vision import see_all, see_nothing
from .control_images import pose_of, stretch_depth
from .controlnet import CROPPED_SHARE, POSE_CROPPED_SHARE, chosen_for, control_timesteps, controlled, to_tensor
from .dataset import Shards, random_corner, random_crop, varied_caption
from .evaluate_base import merge_kohya
from .few_step_crowd import Crowd, Sampling, SteeredPredictor, few_timesteps
from .few_step_prompts import named_attributes
from .few_step_scenes import at_one_place
from .ip_adapter import EMPTY_TEXT, FILES, PROJECTIONS, attach_file, save_adapter, shown_scenes_loss, with_image
from .make_data import encode
from .networks import LATENT_SIDE, LATENT_SIZES, Base, open_autoencoder, open_base
from .noise_codes import NoiseCodes, colour_directions
from .training_run import TrainingRun
from .unet import noisy_batch, v_loss

#: Share of steps with the LCM-LoRA, and of its samplings that end after the first step, where layout is settled.
FEW_STEP_SHARE, FIRST_ONLY = 0.75, 0.5
#: What shipped ControlNets take for 16×16 latents.
CONTROL_SIDE = 512
#: How many scenes have their control images embedded, which takes longer than a few hundred steps of training.
CONTROLS = 2500
OUTPUT_RATE = 5.0
#: Edges of control images larger than that come fainter when they are shrunk. Shown bright ones alone, it took faint ones for none.
EDGE_BRIGHTNESS = (255, 255, 127, 255, 255, 89)
WEIGHTS = "diffusion_pytorch_model.safetensors"


class SwitchedLora:
    """The base's UNet with a LoRA merged or without, by turns."""

    def __init__(self, base: Base, lora: Path):
        before = [(p, p.data.clone()) for p in base.unet.parameters()]
        merge_kohya(base, lora)
        self._weights = [(p, plain, p.data) for p, plain in before if not torch.equal(plain, p.data)]
        self.turn(on=False)

    def turn(self, on: bool) -> None:
        for parameter, plain, merged in self._weights:
            parameter.data = merged if on else plain


def kept(path: Path, make: Callable[[], np.ndarray]) -> np.ndarray:
    """What is in a file, or is made and put there."""
    if not path.exists():
        part = path.with_suffix(".part.npy")
        np.save(part, make())
        os.replace(part, path)
    return np.load(path)


def train_in_turns(
    run: TrainingRun, lora: SwitchedLora, crowds: dict[tuple[int, int], Crowd], other_sizes: float, predict: SteeredPredictor,
    plain_loss: Callable[[random.Random], torch.Tensor],
) -> None:  # fmt: skip
    """Teaches what is trained beside the LoRA, by a crowd for each size, and beside the base alone, by turns.

    `other_sizes` is the share of the crowds' steps at sizes that are not square.
    """

    def loss_of(rng: random.Random) -> torch.Tensor:
        few = rng.random() < FEW_STEP_SHARE
        lora.turn(on=few)
        if not few:
            return plain_loss(rng)
        return crowds[rng.choice(LATENT_SIZES[1:]) if rng.random() < other_sizes else LATENT_SIZES[0]].step(predict, rng)

    run.train(loss_of, report_every=20)
    run.use_average()


def _control_image(kind: str, index: int, shards: Shards) -> np.ndarray:
    """(512, 512, 3), uint8."""
    if kind == "pose":
        return pose_of(shards.scenes[index], CONTROL_SIDE)
    if kind == "canny":
        return np.repeat(shards.edges(index)[..., None] * EDGE_BRIGHTNESS[index % len(EDGE_BRIGHTNESS)], 3, axis=2)
    return stretch_depth(np.asarray(Image.fromarray(shards.depth(index)).resize((CONTROL_SIDE, CONTROL_SIDE), Image.BILINEAR)))


@torch.no_grad()
def embed_control_images(embedding: torch.nn.Module, images: Iterable[np.ndarray]) -> np.ndarray:
    """What a ControlNet's embedding makes of control images (512, 512, 3), uint8: (images, channels, 16, 16), float16."""
    parts, left = [], iter(images)
    while group := list(islice(left, 16)):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            parts.append(embedding(to_tensor(group)).half().contiguous().numpy())
    return np.concatenate(parts)


class ControlledLessons:
    """New samplings of one size, from noise that says the colours that the prompt leaves open, with a control's embedding each."""

    def __init__(
        self, base: Base, shards: Shards, codes: NoiseCodes, embedded: np.ndarray, chosen: list[int], size: tuple[int, int]
    ):
        self._base, self._shards, self._codes, self._embedded = base, shards, codes, embedded
        self._chosen, self._size = chosen, size

    def __call__(self, count: int, rng: random.Random) -> list[Sampling]:
        places = [rng.randrange(len(self._chosen)) for _ in range(count)]
        indices = [self._chosen[place] for place in places]
        described = [self._shards.scenes[i] for i in indices]
        prompts = [varied_caption(s, rng, empty=0.06, distracted=0.1, thorough=rng.choice((0.0, 1.0, 1.0))) for s in described]
        wanted = [self._codes.wanted(s, named_attributes(s, p), rng) for s, p in zip(described, prompts, strict=True)]
        noises = self._codes.noise(torch.stack(wanted), *self._size)
        clean, made = self._shards.scaled_latents(indices, self._base), []
        for place, noise, target, embeds in zip(places, noises, clean, self._base.embed(prompts), strict=True):
            (top, left), (height, width) = random_corner(self._size, rng, spread=0.5), self._size
            cut = lambda maps, t=top, l=left, h=height, w=width: maps[:, t : t + h, l : l + w]
            control = cut(torch.from_numpy(self._embedded[place])).float()
            made.append(Sampling(noise, cut(target), embeds, few_timesteps(rng, FIRST_ONLY), conditions=(control,)))
        return made


def _start(kind: str, folder: Path, work: Path) -> dict[str, torch.Tensor]:
    """The ControlNet's weights before this stage, float32; to others than canny's is added what the stage has changed in canny's.

    All have grown out of canny's, and what it learns of moving the LoRA is theirs too.
    """
    before = {name: work / f"before-steering-{name}.safetensors" for name in (kind, "canny")}
    if not before[kind].exists():
        shutil.copy(folder / WEIGHTS, before[kind])
    start = {key: value.float() for key, value in load_file(before[kind]).items()}
    if kind == "canny" or not before["canny"].exists():
        return start
    first, then = load_file(before["canny"]), load_file(folder.parent / "pinhole-canny" / WEIGHTS)
    return {key: value + then[key].float() - first[key].float() for key, value in start.items()}


def steer_controlnet(
    kind: str, base_folder: Path, lora_file: Path, data: Path, work: Path, folder: Path, steps: int, batch: int, rate: float, seed: int
) -> None:
    """Trains the ControlNet in `folder` on, but for the embedding of its control images. Canny's should be the first."""
    base, shards = open_base(base_folder), Shards(data)
    lora = SwitchedLora(base, lora_file)
    codes = NoiseCodes(colour_directions(shards.scenes, shards.scaled_latents(slice(None), base)))
    model = ControlNetModel.from_pretrained(folder, torch_dtype=torch.float32).to(memory_format=torch.channels_last)
    model.load_state_dict(_start(kind, folder, work))
    embedding, model.controlnet_cond_embedding = model.controlnet_cond_embedding.requires_grad_(False), torch.nn.Identity()
    chosen = chosen_for(kind, shards)[:CONTROLS]
    images = (_control_image(kind, i, shards) for i in chosen)
    embedded = kept(work / f"steered-{kind}.npy", lambda: embed_control_images(embedding, images))
    outputs = [p for name, p in model.named_parameters() if name.startswith("controlnet_")]
    trunk = [p for name, p in model.named_parameters() if not name.startswith("controlnet_")]
    groups = [{"params": trunk}, {"params": outputs, "factor": OUTPUT_RATE}]
    run = TrainingRun(work / f"steered-{kind}.pt", groups, steps, rate, seed, average=0.99)
    empty, cropped = base.embed([""]), POSE_CROPPED_SHARE if kind == "pose" else CROPPED_SHARE
    lessons = {size: ControlledLessons(base, shards, codes, embedded, chosen, size) for size in LATENT_SIZES}

    def plain_loss(rng: random.Random) -> torch.Tensor:
        places = [rng.randrange(len(chosen)) for _ in range(batch)]
        indices = [chosen[place] for place in places]
        both = torch.cat([shards.scaled_latents(indices, base), torch.from_numpy(embedded[places]).float()], 1)
        if rng.random() < cropped:
            both, _ = random_crop(both, rng, spread=0.5)
        clean, control = both.split([8, both.shape[1] - 8], 1)
        embeds = base.embed([varied_caption(shards.scenes[i], rng, empty=0.2, distracted=0.1) for i in indices])
        noisy, target = noisy_batch(clean, timesteps := control_timesteps(batch))
        return v_loss(controlled(base.unet, model, control)(noisy, timesteps, embeds), target)

    predict = lambda x, times, said, given: controlled(base.unet, model, *given)(x, times, said)
    train_in_turns(run, lora, {size: Crowd(draw, batch, empty) for size, draw in lessons.items()}, cropped, predict, plain_loss)
    model.controlnet_cond_embedding = embedding
    tensors = {key: value.detach().half().contiguous() for key, value in model.state_dict().items()}
    save_file(tensors, folder / WEIGHTS, metadata={"format": "pt"})


class ShownLessons:
    """New samplings that are shown a picture and end at its scene laid out as the LoRA does it: image prompts say what, not where."""

    def __init__(self, base: Base, shards: Shards, targets: np.ndarray, sights: torch.Tensor):
        self._base, self._shards, self._targets, self._sights = base, shards, targets, sights

    def __call__(self, count: int, rng: random.Random) -> list[Sampling]:
        indices = [rng.randrange(len(self._shards)) for _ in range(count)]
        captions = [varied_caption(self._shards.scenes[i], rng, empty=EMPTY_TEXT, distracted=0.1) for i in indices]
        captions = [text or rng.choice(("", "a picture")) for text in captions]
        made = []
        for i, embeds in zip(indices, self._base.embed(captions), strict=True):
            target = torch.from_numpy(self._targets[i].astype(np.float32)) * self._base.scaling_factor
            # Colours are the picture's to say, so the noise is left to chance.
            noise, seen = torch.randn(target.shape), self._sights[i].float()
            made.append(Sampling(noise, target, embeds, few_timesteps(rng, FIRST_ONLY), conditions=(seen,)))
        return made


def steer_ip_adapter(
    kind: str, base_folder: Path, lora_file: Path, core: Path, data: Path, work: Path, folder: Path, steps: int, batch: int, rate: float,
    seed: int,
) -> None:  # fmt: skip
    base, shards = open_base(base_folder), Shards(data)
    lora, path = SwitchedLora(base, lora_file), folder / FILES[kind]
    encoder = CLIPVisionModelWithProjection.from_pretrained(folder / "image_encoder", torch_dtype=torch.float32).eval()
    sight = PROJECTIONS[kind][1]
    sights, nothing = see_all(encoder, shards, work, sight), see_nothing(encoder, sight)
    named = attach_file(base.unet, kind, load_file(path))
    laid_out = lambda: np.stack([np.asarray(scenes.render(at_one_place(s))) for s in shards.scenes])
    targets = kept(work / "steered-ip-targets.npy", lambda: encode(open_autoencoder(core), laid_out()))
    run = TrainingRun(work / f"steered-ip-{kind}.pt", [{"params": list(named.values())}], steps, rate, seed, average=0.99)
    plain_loss = shown_scenes_loss(base, shards, sights, nothing, batch)
    predict = lambda x, times, said, given: with_image(base.unet, *given)(x, times, said)
    crowd = Crowd(ShownLessons(base, shards, targets, sights), batch, base.embed([""]))
    train_in_turns(run, lora, {(LATENT_SIDE, LATENT_SIDE): crowd}, 0.0, predict, plain_loss)
    save_adapter(named, path)
