"""How well the ordinary base fills a hole, as pipelines without an inpainting UNet do it: what is around is put back at each step.

Things before plain backdrops; the middle half of both sides is drawn anew, once by a prompt that names another colour, once by the
picture's own, whose colours should go on across the hole's edge.
"""

import random
from pathlib import Path

import numpy as np
import torch

from . import scenes
from .colours import NAMES, nearest_name
from .diffusion import add_noise, bfloat16_predictor, clean_of_v, lcm_sampling_timesteps
from .evaluate_base import decoder, merge_kohya, sheet
from .make_data import encode
from .networks import LATENT_SIDE, open_autoencoder, open_base

COUNT, STEPS, FIRST_SEED = 32, 4, 9_700_000
HOLE = slice(LATENT_SIDE // 4, LATENT_SIDE * 3 // 4)
#: Pixels of 256 from the hole's edge to where colours are compared; decoding blurs what is nearer.
MARGIN = 6


def _cases() -> list[tuple[dict, str]]:
    """(scene, another colour)"""
    rng, found = random.Random(FIRST_SEED), []
    while len(found) < COUNT:
        scene, other = scenes.sample(rng), rng.choice(NAMES)
        if scene["kind"] == "thing" and not scene["style_fx"] and scene["bg"] in NAMES and other not in (scene["bg"], scene["col"]):
            found.append((scene, other))
    return found


def step_across(picture: np.ndarray) -> float:
    """Mean difference of colours (0 … 255) between both sides of the hole's edge."""
    low, high = HOLE.start * 16, HOLE.stop * 16
    along = np.arange(low + MARGIN, high - MARGIN)
    colour = picture.astype(float)
    pairs = [
        (colour[low - MARGIN, along], colour[low + MARGIN, along]), (colour[high + MARGIN, along], colour[high - MARGIN, along]),
        (colour[along, low - MARGIN], colour[along, low + MARGIN]), (colour[along, high + MARGIN], colour[along, high - MARGIN]),
    ]  # fmt: skip
    return float(np.mean([np.abs(a - b).mean() for a, b in pairs]))


@torch.no_grad()
def evaluate_inpainting(models: Path, out: Path) -> dict[str, float]:
    """The share of right colours in the hole, and the step across its edge, with what is around kept at each step and with it
    pasted at the end."""
    cases, base = _cases(), open_base(models / "pinhole-512")
    merge_kohya(base, models / "pinhole-lcm-lora" / "pytorch_lora_weights.safetensors")
    vae, predict = open_autoencoder(models / "pinhole-512"), bfloat16_predictor(base.unet)
    decode = decoder(vae, base.scaling_factor)
    pictures = np.stack([np.asarray(scenes.draw(scene, 512).picture) for scene, _ in cases])
    kept = torch.from_numpy(encode(vae, pictures).astype(np.float32)) * base.scaling_factor
    hole = torch.zeros(1, 1, LATENT_SIDE, LATENT_SIDE)
    hole[..., HOLE, HOLE] = 1
    another = [f"a {colour} {scene['thing']} on a {scene['bg']} background" for scene, colour in cases]
    own = [f"a {scene['col']} {scene['thing']} on a {scene['bg']} background" for scene, _ in cases]
    generator = torch.Generator().manual_seed(31)
    noise = torch.randn(kept.shape, generator=generator)

    def fill(prompts: list[str], around: bool) -> np.ndarray:
        embeds = base.embed(prompts)
        x, visited = noise, lcm_sampling_timesteps(STEPS)
        for k, timestep in enumerate(visited):
            t = torch.full((COUNT,), timestep)
            clean = clean_of_v(x, predict(x, t, embeds), t)
            if k + 1 == STEPS:
                return decode(hole * clean + (1 - hole) * kept)
            after = torch.full((COUNT,), visited[k + 1])
            x = add_noise(clean, torch.randn(x.shape, generator=generator), after)
            if around:
                x = hole * x + (1 - hole) * add_noise(kept, noise, after)
        raise ValueError("steps must be positive")

    rebuilt = decode(kept)
    recoloured, whole, pasted = fill(another, True), fill(own, True), fill(own, False)
    right = [nearest_name(p[112:144, 112:144]) == colour for p, (_, colour) in zip(recoloured, cases, strict=True)]
    results = {"colour": float(np.mean(right))}
    for name, filled in (("untouched", rebuilt), ("kept around", whole), ("pasted", pasted)):
        results[f"step, {name}"] = float(np.mean([step_across(p) for p in filled]))
    out.mkdir(parents=True, exist_ok=True)
    sheet([p[:12] for p in (rebuilt, recoloured, whole, pasted)], out / "inpainting.png")
    print("inpainting", {k: round(v, 2) for k, v in results.items()}, flush=True)
    return results
