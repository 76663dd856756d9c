"""Do the pictures show what the prompt names? By the judge, which had no part in training; beside it, what it says of drawn scenes."""

import random
from pathlib import Path

import numpy as np
import torch

from . import scenes
from .colours import NAMES
from .diffusion import Predictor, bfloat16_predictor, guided, sample_lcm, solve
from .evaluate_base import decoder, merge_kohya
from .judge import Verdicts, open_judge, set_distance
from .networks import open_autoencoder, open_base

EACH, FIRST_SEED = 32, 9_500_000
WITH_HAIR = ("man", "woman", "boy", "girl", "queen")
#: What each group of prompts names, and so is asked of its pictures.
ASKED = {
    "portrait": ("kind", "who", "hair", "cloth", "bg"), "thing": ("kind", "thing", "col", "bg"), "landscape": ("kind", "place", "time"),
    "style": ("style_fx",),
}  # fmt: skip


def described(group: str, rng: random.Random) -> tuple[dict, str]:
    """A scene of a group, and a prompt that names all that is asked of it."""
    while True:
        scene = scenes.sample(rng)
        scene["style_fx"] = ""
        if group == "style":
            style = rng.choice([s for s in scenes.STYLES if s])
            return scene | {"style_fx": style}, f"{scenes.caption(scene, rng)}, {style}"
        if scene["kind"] != group:
            continue
        if group == "landscape":
            when = {"day": "sunny day", "sunset": "at sunset", "night": "at night", "dawn": "at dawn"}[scene["time"]]
            return scene, f"{scene['place']}, {when}"
        if scene["bg"] not in NAMES:
            continue
        if group == "thing" and scene["col"] in NAMES:
            return scene, f"a {scene['col']} {scene['thing']} on a {scene['bg']} background"
        if group == "portrait" and scene["who"] in WITH_HAIR and scene["style"] != "bald" and scene["cloth"] in NAMES:
            if scene["acc"] in ("none", "glasses"):
                worn = f"wearing a {scene['cloth']} shirt"
                return scene, f"portrait of a {scene['who']}, {scene['hair']} hair, {worn}, {scene['bg']} background"


@torch.no_grad()
def evaluate_subjects(models: Path, judge_file: Path) -> None:
    """Prints shares of right answers and distances to fresh scenes, a line for each sampler."""
    judge = open_judge(judge_file)
    rng = random.Random(FIRST_SEED)
    groups = {group: [described(group, rng) for _ in range(EACH)] for group in ASKED}
    wanted = [scene for pairs in groups.values() for scene, _ in pairs]
    drawn = np.stack([np.asarray(scenes.render(scene)) for scene in wanted])
    fresh = np.stack([np.asarray(scenes.render(described(g, rng)[0])) for g in ASKED for _ in range(EACH)])
    features = Verdicts(judge, fresh).features

    def report(name: str, pictures: np.ndarray) -> None:
        shares = {}
        for number, group in enumerate(ASKED):
            part = slice(number * EACH, (number + 1) * EACH)
            verdicts = Verdicts(judge, pictures[part])
            shares |= {f"{group} {key}": verdicts.agreement(wanted[part], key) for key in ASKED[group]}
        distance = set_distance(Verdicts(judge, pictures).features, features)
        print(name, {k: round(v, 2) for k, v in shares.items()}, "distance", round(distance, 2), flush=True)

    report("drawn scenes", drawn)
    base = open_base(models / "pinhole-512")
    decode = decoder(open_autoencoder(models / "pinhole-512"), base.scaling_factor)
    embeds = base.embed([prompt for pairs in groups.values() for _, prompt in pairs])
    noise = torch.randn(len(embeds), 8, 16, 16, generator=torch.Generator().manual_seed(21))
    plain: Predictor = bfloat16_predictor(base.unet)
    strong = guided(plain, 3, base.embed([""]))
    parts = [solve(strong, x, torch.full((len(x),), 999), y, 20) for x, y in zip(noise.split(64), embeds.split(64), strict=True)]
    report("20 steps, guidance 3", decode(torch.cat(parts)))
    report("LCM, 6 steps, no LoRA", decode(sample_lcm(plain, noise, embeds, 6, seed=0)))
    merge_kohya(base, models / "pinhole-lcm-lora" / "pytorch_lora_weights.safetensors")
    for steps in (6, 4):
        report(f"LCM, {steps} steps, LCM-LoRA", decode(sample_lcm(plain, noise, embeds, steps, seed=0)))
