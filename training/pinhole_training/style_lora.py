"""Stage `style-lora`: LoRAs with a style that the base does not know. They need no word in the prompt.

`blueprint` (kohya keys, every module): pale lines on deep blue paper. `duotone` (peft keys, attention only): light and
shade as a ramp from violet to amber. `woodcut` (LyCORIS' LoHa, every module): dark brown ink on cream paper.

Trained for the base alone, they hardly showed beside the LCM-LoRA after `few-step` (blueprint was 14 of 255 from its colours in place of 6). So
they learn beside both, by turns.
"""

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageFilter

from . import scenes
from .dataset import Shards, random_crop, varied_caption
from .diffusion import bfloat16_predictor
from .few_step_crowd import Crowd
from .few_step_lora import SCENES, FewStepScenes, Lessons, read_few_step_scenes
from .lora import adaptable_modules, add_loha, add_lora, save_kohya, save_lycoris, save_peft
from .make_data import encode
from .networks import LATENT_SIZES, Base, open_autoencoder, open_base
from .noise_codes import NoiseCodes, colour_directions
from .steering import SwitchedLora, kept, train_in_turns
from .training_run import TrainingRun
from .unet import noisy_batch, training_timesteps, v_loss

#: Of the training set, and of few-step scenes.
PICTURES, FEW_STEP_PICTURES = 640, 500
CROPPED_SHARE = 0.15
CARVED, CREAM = np.array([52, 28, 18], np.float32), np.array([244, 232, 200], np.float32)
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


def woodcut(picture: Image.Image) -> Image.Image:
    """Black and white by a threshold that follows the picture, so that a light thing on a light backdrop is still seen."""
    gray = picture.convert("L")
    light = np.asarray(gray.filter(ImageFilter.GaussianBlur(1.2)), np.float32)
    around = np.asarray(gray.filter(ImageFilter.GaussianBlur(gray.width / 8)), np.float32)
    share = np.clip((light - 0.6 * around - 0.4 * 118) / 24 + 0.5, 0, 1)[..., None]
    return Image.fromarray((CARVED * (1 - share) + CREAM * share).astype(np.uint8))


@dataclass
class Style:
    draw: Callable[[Image.Image], Image.Image]
    rank: int
    part: str
    """Only modules whose name contains it."""
    add: Callable = add_lora
    save: Callable = save_kohya


STYLES: dict[str, Style] = {
    "blueprint": Style(blueprint, 4, ""),
    "duotone": Style(duotone, 8, "attn", save=save_peft),
    "woodcut": Style(woodcut, 3, "", add=add_loha, save=save_lycoris),
}


def style_latents(style: str, pictures: Iterable[Image.Image], autoencoder: Path, cached: Path) -> np.ndarray:
    """Latents (unscaled) of pictures in a style; made once."""
    draw = STYLES[style].draw
    return kept(cached, lambda: encode(open_autoencoder(autoencoder), np.stack([np.asarray(draw(picture)) for picture in pictures])))


def _few_step_scenes(style: str, base: Base, autoencoder: Path, work: Path) -> FewStepScenes:
    """Usual few-step scenes, in the style."""
    described = [scene for scene in read_few_step_scenes(work / SCENES / "usual", base.scaling_factor).scenes if not scene["style_fx"]]
    described = described[:FEW_STEP_PICTURES]
    unscaled = style_latents(style, (scenes.render(scene) for scene in described), autoencoder, work / f"style-{style}-few-step.npy")
    return FewStepScenes(described, torch.from_numpy(unscaled.astype(np.float32)) * base.scaling_factor)


def train_style_lora(
    style: str, base_folder: Path, lcm_lora: Path, autoencoder: Path, data: Path, work: Path, out: Path, steps: int, batch: int, rate: float,
    seed: int,
) -> None:  # fmt: skip
    base, shards = open_base(base_folder), Shards(data)
    plain = [i for i, s in enumerate(shards.scenes) if not s["style_fx"]][:PICTURES]
    pictures = (Image.fromarray(shards.picture(i)) for i in plain)
    unscaled = style_latents(style, pictures, autoencoder, work / f"style-{style}.npy")
    latents = torch.from_numpy(unscaled.astype(np.float32)) * base.scaling_factor
    in_style, lora = _few_step_scenes(style, base, autoencoder, work), SwitchedLora(base, lcm_lora)
    recipe = STYLES[style]
    parameters = recipe.add(base.unet, recipe.rank, adaptable_modules(base.unet, recipe.part))
    run = TrainingRun(work / f"style-{style}.pt", [{"params": parameters}], steps, rate, seed, average=0.98, warm_up=15)
    predict = bfloat16_predictor(base.unet)
    codes = NoiseCodes(colour_directions(shards.scenes, shards.scaled_latents(slice(None), base)))
    crowds = {size: Crowd(Lessons(base, in_style, None, codes, size), batch, base.embed([""])) for size in LATENT_SIZES}

    def plain_loss(rng: random.Random) -> torch.Tensor:
        chosen = [rng.randrange(len(plain)) for _ in range(batch)]
        clean = latents[chosen]
        if rng.random() < CROPPED_SHARE:
            clean, _ = random_crop(clean, rng)
        embeds = base.embed([varied_caption(shards.scenes[plain[i]], rng, empty=0.1, distracted=0.1) for i in chosen])
        timesteps = training_timesteps(batch)
        noisy, target = noisy_batch(clean, timesteps)
        return v_loss(predict(noisy, timesteps, embeds), target)

    train_in_turns(run, lora, crowds, CROPPED_SHARE, lambda x, times, said, _: predict(x, times, said), plain_loss)
    recipe.save(base.unet, out / "pytorch_lora_weights.safetensors")
