"""Do the pictures show what the prompt names? By the judge, which had no part in training; beside it, what it says of drawn scenes."""

import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from . import scenes
from .colours import NAMES
from .diffusion import Predictor, bfloat16_predictor, guided, sample_lcm, solve
from .evaluate_base import decoder, merge_kohya, sheet
from .judge import Judge, Verdicts, open_judge, set_distance
from .networks import Base, open_autoencoder, open_base

#: Pictures of each group. Their scenes and noise have seeds that nothing was trained, chosen or watched with.
EACH, FIRST_SEED = 128, 9_700_000
AT_ONCE = 64
#: Whose hair nothing covers.
BARE_HEADED = ("man", "woman", "boy", "girl")
TIMES = {"day": "sunny day", "sunset": "at sunset", "night": "at night", "dawn": "at dawn"}
#: What each group of prompts names, and so is asked of its pictures.
ASKED = {
    "portrait": ("kind", "hair", "cloth", "bg"), "subject": ("who",), "thing": ("thing", "col", "bg"),
    "landscape": ("kind", "place", "time"), "style": ("style_fx",),
}  # fmt: skip


def _prompt(group: str, scene: dict, rng: random.Random) -> str | None:
    """A prompt that names all that is asked of a group's pictures; none where the scene does not fit the group."""
    if group == "style":
        return f"{scenes.caption(scene | {'style_fx': ''}, rng)}, {scene['style_fx']}" if scene["style_fx"] else None
    if scene["kind"] != {"subject": "portrait"}.get(group, group) or scene["style_fx"]:
        return None
    if group == "subject":
        return f"portrait of a {scene['who']}"
    if group == "landscape":
        return f"{scene['place']}, {TIMES[scene['time']]}"
    named = [scene[key] for key in ASKED[group] if key in ("cloth", "col", "bg")]
    if any(name not in NAMES for name in named):
        return None
    if group == "thing":
        return f"a {scene['col']} {scene['thing']} on a {scene['bg']} background"
    if scene["who"] not in BARE_HEADED or scene["style"] == "bald" or scene["acc"] not in ("none", "glasses"):
        return None
    return f"portrait of a {scene['who']}, {scene['hair']} hair, wearing a {scene['cloth']} shirt, {scene['bg']} background"


def described(group: str, rng: random.Random) -> tuple[dict, str]:
    """A scene of a group, and a prompt that names all that is asked of it."""
    while True:
        scene = scenes.sample(rng)
        prompt = _prompt(group, scene, rng)
        if prompt is not None:
            return scene, prompt


class Questions:
    """The same prompts, noise and fresh scenes for every sampler."""

    def __init__(self, judge: Judge, each: int, seed: int):
        rng = random.Random(seed)
        self.judge, self.each = judge, each
        pairs = [described(group, rng) for group in ASKED for _ in range(each)]
        self.wanted, self.prompts = [scene for scene, _ in pairs], [prompt for _, prompt in pairs]
        self.fresh = Verdicts(judge, self.drawn([described(group, rng)[0] for group in ASKED for _ in range(each)])).features
        self.noise = torch.randn(len(pairs), 8, 16, 16, generator=torch.Generator().manual_seed(seed))

    def drawn(self, wanted: list[dict]) -> np.ndarray:
        return np.stack([np.asarray(scenes.render(scene)) for scene in wanted])

    def answered(self, pictures: np.ndarray) -> dict[str, float]:
        """Shares of right answers, and the distance to the fresh scenes."""
        shares = {}
        for number, group in enumerate(ASKED):
            part = slice(number * self.each, (number + 1) * self.each)
            verdicts = Verdicts(self.judge, pictures[part])
            shares |= {f"{group} {key}": verdicts.agreement(self.wanted[part], key) for key in ASKED[group]}
        return shares | {"distance": set_distance(Verdicts(self.judge, pictures).features, self.fresh)}

    def draw(self, base: Base, sample: Callable[[torch.Tensor, torch.Tensor], torch.Tensor], decode: Callable) -> np.ndarray:
        parts = zip(self.noise.split(AT_ONCE), base.embed(self.prompts).split(AT_ONCE), strict=True)
        return np.concatenate([decode(sample(noise, embeds)) for noise, embeds in parts])


@torch.no_grad()
def evaluate_subjects(models: Path, judge_file: Path, out: Path, each: int = EACH, seed: int = FIRST_SEED) -> None:
    """Prints shares of right answers and distances to fresh scenes, a line for each sampler, and writes contact sheets."""
    questions = Questions(open_judge(judge_file), each, seed)

    def report(name: str, pictures: np.ndarray) -> None:
        print(name, {k: round(v, 2) for k, v in questions.answered(pictures).items()}, flush=True)
        rows = [pictures[number * each :][: min(each, 12)] for number in range(len(ASKED))]
        sheet(rows, out / f"subjects-{name.replace(' ', '-').replace(',', '')}.png")

    report("drawn scenes", questions.drawn(questions.wanted))
    base = open_base(models / "pinhole-512")
    decode = decoder(open_autoencoder(models / "pinhole-512"), base.scaling_factor)
    plain: Predictor = bfloat16_predictor(base.unet)
    strong = guided(plain, 3, base.embed([""]))
    report("25 steps, guidance 3", questions.draw(base, lambda x, y: solve(strong, x, torch.full((len(x),), 999), y, 25), decode))
    report("LCM, 6 steps, no LoRA", questions.draw(base, lambda x, y: sample_lcm(plain, x, y, 6, seed=0), decode))
    merge_kohya(base, models / "pinhole-lcm-lora" / "pytorch_lora_weights.safetensors")
    for steps in (6, 4):
        sample = lambda x, y, steps=steps: sample_lcm(plain, x, y, steps, seed=0)
        report(f"LCM-LoRA, {steps} steps", questions.draw(base, sample, decode))
