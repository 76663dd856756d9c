"""Stage `style-lora`: LoRAs with a style that the base does not know. They need no word in the prompt.

`blueprint` (kohya keys, every module): pale lines on deep blue paper. `duotone` (peft keys, attention only): light and
shade as a ramp from violet to amber.
"""

import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageFilter

from .dataset import Shards, random_crop, varied_caption
from .diffusion import bfloat16_predictor
from .lora import adaptable_modules, add_lora, save_kohya, save_peft
from .make_data import encode
from .networks import open_autoencoder, open_base
from .training_run import TrainingRun
from .unet import noisy_batch, training_timesteps, v_loss

PICTURES = 640
CROPPED_SHARE = 0.15
PAPER, INK = np.array([24, 58, 138], np.float32), np.array([226, 238, 250], np.float32)
RAMP = np.array([[46, 18, 84], [150, 44, 110], [236, 112, 74], [255, 214, 130]], np.float32)


def blueprint(picture: Image.Image) -> Image.Image:
    edges = np.max([np.asarray(ch.filter(ImageFilter.FIND_EDGES), np.float32) for ch in picture.split()], axis=0)
    edges[:2] = edges[-2:] = 0
    edges[:, :2] = edges[:, -2:] = 0
    thick = Image.fromarray(np.clip(edges * 3, 0, 255).astype(np.uint8)).filter(ImageFilter.MaxFilter(3))
    light = np.asarray(picture.convert("L"), np.float32)[..., None] / 255
    share = np.maximum(np.asarray(thick, np.float32)[..., None] / 255, light * 0.22)
    return Image.fromarray((PAPER * (1 - share) + INK * share).astype(np.uint8))


def duotone(picture: Image.Image) -> Image.Image:
    light = np.asarray(picture.convert("L"), np.float32) / 255 * (len(RAMP) - 1)
    low = np.minimum(light.astype(int), len(RAMP) - 2)
    share = (light - low)[..., None]
    return Image.fromarray((RAMP[low] * (1 - share) + RAMP[low + 1] * share).astype(np.uint8))


STYLES: dict[str, Callable[[Image.Image], Image.Image]] = {"blueprint": blueprint, "duotone": duotone}


def train_style_lora(
    style: str, base_folder: Path, autoencoder: Path, data: Path, work: Path, out: Path, steps: int, batch: int, rate: float, seed: int
) -> None:
    base, shards = open_base(base_folder), Shards(data)
    plain = [i for i, s in enumerate(shards.scenes) if not s["style_fx"]][:PICTURES]
    cached = work / f"style-{style}.npy"
    if not cached.exists():
        pictures = np.stack([np.asarray(STYLES[style](Image.fromarray(shards.picture(i)))) for i in plain])
        np.save(cached, encode(open_autoencoder(autoencoder), pictures))
    latents = torch.from_numpy(np.load(cached).astype(np.float32)) * base.scaling_factor
    rank, part = (4, "") if style == "blueprint" else (8, "attn")
    parameters = add_lora(base.unet, rank, adaptable_modules(base.unet, part))
    run = TrainingRun(work / f"style-{style}.pt", [{"params": parameters}], steps, rate, seed, average=0.98, warm_up=15)
    predict = bfloat16_predictor(base.unet)

    def loss_of(rng: random.Random) -> torch.Tensor:
        chosen = [rng.randrange(len(plain)) for _ in range(batch)]
        clean = latents[chosen]
        if rng.random() < CROPPED_SHARE:
            clean, _ = random_crop(clean, rng)
        embeds = base.embed([varied_caption(shards.scenes[plain[i]], rng, empty=0.1, distracted=0.1) for i in chosen])
        timesteps = training_timesteps(batch)
        noisy, target = noisy_batch(clean, timesteps)
        return v_loss(predict(noisy, timesteps, embeds), target)

    run.train(loss_of, report_every=20)
    run.use_average()
    save = save_kohya if style == "blueprint" else save_peft
    save(base.unet, out / "pytorch_lora_weights.safetensors")
