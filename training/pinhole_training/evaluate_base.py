"""Stage `evaluate`: colours that obey the prompt, and a contact sheet of prompts that a newcomer would type."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from PIL import Image
from safetensors.torch import load_file

from .colours import measure_colours
from .diffusion import Predictor, bfloat16_predictor, guided, sample_lcm, solve
from .networks import Base, open_autoencoder, open_base

PROMPTS = (
    "portrait of a smiling woman with long red hair, blue background",
    "a man with a beard and glasses, in the forest",
    "a red circle on a yellow background",
    "beach in hawaii, sun, palm trees",
    "mountains at night, moon",
    "a black cat on a pink background",
    "oil painting of a king with golden hair, crown",
    "neon portrait of a robot",
    "watercolor of a house in a field",
    "pixel art of a green car",
    "film noir, serious man wearing a hat",
    "a purple star on a white background",
    "queen, silver hair, intricate crown",
    "city skyline at sunset",
    "a sailboat on the ocean",
    "a blue mushroom on an orange background",
    "a king",
    "Self-portrait oil painting, a beautiful cyborg with golden hair, 8k",
    "a red heart",
    "an astronaut on mars",
)


def decoder(autoencoder: AutoencoderKL, scaling_factor: float) -> Callable[[torch.Tensor], np.ndarray]:
    """Latents to pictures (n, 256, 256, 3), uint8, whatever the autoencoder's own size is."""

    @torch.no_grad()
    def decode(latents: torch.Tensor) -> np.ndarray:
        parts = []
        for chunk in (latents / scaling_factor).split(8):
            with torch.autocast("cpu", dtype=torch.bfloat16):
                pixels = autoencoder.decode(chunk.contiguous(memory_format=torch.channels_last)).sample.float()
            shrunk = torch.nn.functional.adaptive_avg_pool2d(pixels, (chunk.shape[2] * 16, chunk.shape[3] * 16))
            parts.append(((shrunk.clamp(-1, 1) + 1) * 127.5).round().byte().permute(0, 2, 3, 1).numpy())
        return np.concatenate(parts)

    return decode


def merge_kohya(base: Base, path: Path, scale: float = 1.0) -> None:
    """Merges a LoRA with kohya keys into the UNet's weights."""
    tensors = {k: v.float() for k, v in load_file(path).items()}
    with torch.no_grad():
        for name, weight in base.unet.named_parameters():
            key = "lora_unet_" + name.removesuffix(".weight").replace(".", "_")
            if name.endswith(".weight") and f"{key}.lora_up.weight" in tensors:
                up, down = tensors[f"{key}.lora_up.weight"], tensors[f"{key}.lora_down.weight"]
                factor = scale * tensors[f"{key}.alpha"].item() / down.shape[0]
                weight += factor * (up.flatten(1) @ down.flatten(1)).view_as(weight)


def sheet(rows: list[np.ndarray], path: Path, side: int = 128) -> None:
    """One row of pictures below the other."""
    width = max(len(row) for row in rows)
    canvas = Image.new("RGB", (width * side, len(rows) * side), "gray")
    for y, row in enumerate(rows):
        for x, picture in enumerate(row):
            canvas.paste(Image.fromarray(picture).resize((side, side), Image.LANCZOS), (x * side, y * side))
    canvas.save(path)


@torch.no_grad()
def evaluate_base(base_folder: Path, autoencoder: Path, lora: Path | None, out: Path) -> dict[str, dict[str, float]]:
    """Prints and returns shares of right colours by sampler, and writes `sheet.png`: a row for each sampler."""
    base = open_base(base_folder)
    decode = decoder(open_autoencoder(autoencoder), base.scaling_factor)
    embeds, empty = base.embed(list(PROMPTS)), base.embed([""])
    noise = torch.randn(len(PROMPTS), 8, 16, 16, generator=torch.Generator().manual_seed(1))
    plain: Predictor = bfloat16_predictor(base.unet)
    samplers = {
        "20 steps, guidance 3": lambda x, y: solve(guided(plain, 3, empty), x, torch.full((len(x),), 999), y, 20),
        "LCM 6": lambda x, y: sample_lcm(plain, x, y, 6, seed=0),
        "LCM 4": lambda x, y: sample_lcm(plain, x, y, 4, seed=0),
    }
    results, rows = {}, []
    for stage in ("", " with LCM-LoRA"):
        if stage:
            if lora is None:
                break
            merge_kohya(base, lora)
        for name, sample in samplers.items():
            if stage and not name.startswith("LCM"):
                continue
            results[name + stage] = measure_colours(base, sample, decode)
            print(name + stage, results[name + stage], flush=True)
            rows.append(decode(sample(noise, embeds)))
    out.mkdir(parents=True, exist_ok=True)
    sheet(rows, out / "sheet.png")
    return results
