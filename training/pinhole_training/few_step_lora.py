"""Stage `few-step`: the LCM-LoRA, trained on until what few steps draw is as sharp as scenes are.

A batch is a crowd of samplings, each at a step of its own: the network answers all, every answer is compared with the scene that
the sampling's prompt and first noise mean (`noise_codes`), and then takes its sampling one step further, or ends it.
So the network meets its own pictures in every step, as it will in use, and no forward pass is without a lesson. Some samplings begin with
a noised picture, as image to image does, some have guidance, which asks the empty prompt too, and some a ControlNet.
"""

import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch.func import functional_call

from . import scenes
from .diffusion import LCM_TIMESTEPS, add_noise, clean_of_v, lcm_sampling_timesteps
from .few_step_controls import Controls, Residuals
from .few_step_prompts import named_attributes, prompt_of
from .few_step_scenes import make_few_step_scenes
from .lora import adaptable_modules
from .networks import LATENT_SIZES, Base, open_autoencoder, open_base
from .noise_codes import NoiseCodes
from .training_run import TrainingRun

ControlledPredictor = Callable[[torch.Tensor, torch.Tensor, torch.Tensor, Residuals | None], torch.Tensor]

#: Steps of samplings, and their shares; how often such a sampling has guidance.
STEPS, STEP_SHARES = (4, 6, 2, 8, 5), (0.42, 0.28, 0.12, 0.1, 0.08)
GUIDED = {2: 0.0, 4: 0.25, 5: 0.3, 6: 0.6, 8: 0.4}
#: The guidance that endpoints have by default, and how often samplings that begin with a picture have it.
GUIDANCE, GUIDED_FROM_PICTURE = 1.5, 0.3
HUBER, COARSE_WEIGHT, EMPTY_WEIGHT = 0.03, 0.5, 0.4
#: Share of steps at other sizes than the square one.
CUT_SHARE = 0.12
#: How many scenes there are of each set.
SETS = {"usual": 3250, "moved": 3500}
LANDSCAPE_WEIGHT = 0.7


@dataclass
class Lesson:
    """A part of the training: its schedule, and what it is about."""

    name: str
    steps: int
    batch: int
    rate: float
    #: Shares of samplings that end after the first step, where layout is learnt, that begin with a noised picture, and that have a ControlNet.
    first_only: float
    from_picture: float
    controlled: float
    guided: bool
    #: How often things and styled scenes are drawn, portraits without a style being 1.
    thing_weight: float
    styled_weight: float


LESSONS = (
    Lesson("shapes", 3600, 14, 2e-3, 0.65, 0.12, controlled=0, guided=False, thing_weight=2, styled_weight=0.4),
    Lesson("all", 700, 16, 5e-4, 0.35, 0.12, controlled=0.3, guided=True, thing_weight=1.5, styled_weight=0.8),
)


class FewStepScenes:
    """What `make_few_step_scenes` wrote, scaled."""

    def __init__(self, folder: Path, scaling_factor: float):
        self.scenes: list[dict] = []
        ends, self.starts = [], {}
        for path in sorted(folder.glob("*.json")):
            part = np.load(path.with_suffix(".npz"))
            for index, start in zip(part["indices"], part["starts"], strict=True):
                self.starts[len(self.scenes) + int(index)] = torch.from_numpy(start.astype(np.float32)) * scaling_factor
            self.scenes += json.loads(path.read_text())
            ends.append(torch.from_numpy(part["ends"].astype(np.float32)) * scaling_factor)
        self.ends = torch.cat(ends)

    def weights_until(self, lesson: Lesson) -> list[float]:
        """How often each scene is drawn in a lesson, summed up to it."""
        by_kind = {"thing": lesson.thing_weight, "landscape": LANDSCAPE_WEIGHT, "portrait": 1.0}
        return list(accumulate(by_kind[s["kind"]] * (lesson.styled_weight if s["style_fx"] else 1) for s in self.scenes))

    def colour_directions(self) -> torch.Tensor:
        """(8, 8), orthonormal: first the three directions of channels in which backdrops' colours differ most."""
        plain = [i for i, s in enumerate(self.scenes) if s["kind"] == "thing" and not s["style_fx"]]
        colours = torch.tensor([scenes.COLORS[self.scenes[i]["bg"]] for i in plain]).float() / 127.5 - 1
        solution = torch.linalg.lstsq(colours - colours.mean(0), self.ends[plain, :, :2, :2].mean((2, 3))).solution
        directions = torch.linalg.svd(solution.T, full_matrices=True).U.T
        return directions * directions.abs().max(1, keepdim=True).values.sign()


@dataclass
class Sampling:
    latents: torch.Tensor
    target: torch.Tensor
    embeds: torch.Tensor
    timesteps: list[int]
    guided: bool
    control: tuple[str, torch.Tensor] | None = None
    index: int = 0


class Crowd:
    """Samplings of one size, each at a step of its own."""

    def __init__(
        self, base: Base, sets: dict[str, FewStepScenes], codes: NoiseCodes, controls: Controls, lesson: Lesson, size: tuple[int, int]
    ):
        self._base, self._usual, self._moved, self._codes, self._controls = base, sets["usual"], sets["moved"], codes, controls
        self._lesson, self._size = lesson, size
        self._weights_until = self._usual.weights_until(lesson)
        self._samplings: list[Sampling] = []

    def _cut(self, latents: torch.Tensor) -> torch.Tensor:
        height, width = self._size
        top, left = (latents.shape[-2] - height) // 2, (latents.shape[-1] - width) // 2
        return latents[..., top : top + height, left : left + width]

    def fill(self, rng: random.Random) -> None:
        """New samplings in the place of those that ended."""
        missing = self._lesson.batch - len(self._samplings)
        if missing == 0:
            return
        picked = [self._picked(rng) for _ in range(missing)]
        described = [shown.scenes[i] for shown, i in picked]
        prompts = [prompt_of(scene, rng) for scene in described]
        embeds = self._base.embed(prompts)
        wanted = [self._codes.wanted(s, named_attributes(s, p), rng) for s, p in zip(described, prompts, strict=True)]
        noises = self._codes.noise(torch.stack(wanted), *self._size)
        for (shown, i), noise, said in zip(picked, noises, embeds, strict=True):
            if shown is self._moved and rng.random() * (self._lesson.from_picture + self._lesson.controlled) < self._lesson.from_picture:
                self._samplings.append(self._from_picture(i, said, rng))
            else:
                self._samplings.append(self._from_noise(shown, i, noise, said, rng))

    def _picked(self, rng: random.Random) -> tuple[FewStepScenes, int]:
        if rng.random() < self._lesson.from_picture + self._lesson.controlled:
            return self._moved, rng.randrange(len(self._moved.scenes))
        return self._usual, rng.choices(range(len(self._usual.scenes)), cum_weights=self._weights_until)[0]

    def _from_noise(self, shown: FewStepScenes, i: int, noise: torch.Tensor, embeds: torch.Tensor, rng: random.Random) -> Sampling:
        """Where a scene of the moved set has its things only a control says."""
        steps = rng.choices(STEPS, STEP_SHARES)[0]
        times, guided = lcm_sampling_timesteps(steps), self._lesson.guided and rng.random() < GUIDED[steps]
        if rng.random() < self._lesson.first_only:
            times = times[:1]
        control = None
        if shown is self._moved:
            kind, embedding = self._controls.of(shown.scenes[i], rng)
            control = (kind, self._cut(embedding))
        return Sampling(noise, self._cut(shown.ends[i]), embeds, times, guided, control)

    def _from_picture(self, i: int, embeds: torch.Tensor, rng: random.Random) -> Sampling:
        target = self._cut(self._moved.ends[i])
        start, highest = target, rng.randrange(5, 48)
        if i in self._moved.starts:
            start, highest = self._cut(self._moved.starts[i]), rng.randrange(35, 49)
        steps = rng.choice((1, 2, 3, 4))
        places = sorted({round(highest * (1 - k / steps)) for k in range(steps)}, reverse=True)
        times = [int(LCM_TIMESTEPS[place]) for place in places]
        noisy = add_noise(start[None], torch.randn(1, *start.shape), torch.tensor(times[:1]))[0]
        return Sampling(noisy, target, embeds, times, rng.random() < GUIDED_FROM_PICTURE)

    def step(self, predict: ControlledPredictor, empty: torch.Tensor) -> torch.Tensor:
        """One answer of every sampling; returns the loss."""
        group = self._samplings
        x, target = torch.stack([s.latents for s in group]), torch.stack([s.target for s in group])
        times = torch.tensor([s.timesteps[s.index] for s in group])
        asked = [i for i, s in enumerate(group) if s.guided]
        both = torch.cat([torch.arange(len(group)), torch.tensor(asked, dtype=torch.long)])
        said = torch.cat([torch.stack([s.embeds for s in group]), empty.expand(len(asked), -1, -1)])
        residuals = self._controls.residuals([group[i].control for i in both.tolist()], x[both], times[both], said)
        clean = clean_of_v(x[both], predict(x[both], times[both], said, residuals), times[both])
        weights = torch.ones(len(both))
        weights[len(group) :] = EMPTY_WEIGHT
        self._advance(clean.detach(), asked)
        return (_errors(clean, target[both]) * weights).mean()

    def _advance(self, clean: torch.Tensor, asked: list[int]) -> None:
        """Takes every sampling to the noise of its next step; those that were at their last are over."""
        answers = clean[: len(self._samplings)].clone()
        for place, i in enumerate(asked):
            u = clean[len(self._samplings) + place]
            answers[i] = u + GUIDANCE * (answers[i] - u)
        staying = []
        for sampling, answer in zip(self._samplings, answers, strict=True):
            sampling.index += 1
            if sampling.index < len(sampling.timesteps):
                after = torch.tensor([sampling.timesteps[sampling.index]])
                sampling.latents = add_noise(answer[None], torch.randn(1, *answer.shape), after)[0]
                staying.append(sampling)
        self._samplings = staying


def _errors(clean: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """(n,): how far off each answer is; places where the scene has detail count more."""
    difference = clean - target
    around = F.avg_pool2d(F.pad(target, (2, 2, 2, 2), mode="replicate"), 5, 1)
    detail = (target - around).square().mean(1, keepdim=True).sqrt()
    weights = 0.6 + (detail / detail.mean((1, 2, 3), keepdim=True).clamp(min=1e-3)).clamp(max=3)
    weights = weights / weights.mean((1, 2, 3), keepdim=True)
    fine = (weights * ((difference.square() + HUBER**2).sqrt() - HUBER)).mean((1, 2, 3))
    coarse = F.avg_pool2d(difference, 4, ceil_mode=True).square().mean((1, 2, 3))
    return fine + COARSE_WEIGHT * coarse


class LowRank(torch.nn.Module):
    """A LoRA of the UNet's weights, added to them before each pass; starts as the one in a file, with more rank."""

    def __init__(self, unet: torch.nn.Module, names: list[str], rank: int, start: dict[str, torch.Tensor]):
        super().__init__()
        self._unet, self._names, self.rank = unet, names, rank
        own = dict(unet.named_parameters())
        self.down, self.up = torch.nn.ParameterList(), torch.nn.ParameterList()
        for name in names:
            weight = own[f"{name}.weight"]
            inputs, outputs = weight[0].numel(), weight.shape[0]
            down, up = torch.randn(rank, inputs) / inputs**0.5, torch.zeros(outputs, rank)
            key = "lora_unet_" + name.replace(".", "_")
            if f"{key}.lora_up.weight" in start:
                before = start[f"{key}.lora_down.weight"].float().flatten(1)
                down[: len(before)], up[:, : len(before)] = before, start[f"{key}.lora_up.weight"].float().flatten(1)
            self.down.append(torch.nn.Parameter(down))
            self.up.append(torch.nn.Parameter(up))

    def weights(self) -> dict[str, torch.Tensor]:
        own = dict(self._unet.named_parameters())
        return own | {
            f"{name}.weight": own[f"{name}.weight"] + (up @ down).view_as(own[f"{name}.weight"])
            for name, down, up in zip(self._names, self.down, self.up, strict=True)
        }

    def predictor(self) -> ControlledPredictor:
        weights = self.weights()

        def predict(
            latents: torch.Tensor, timesteps: torch.Tensor, embeds: torch.Tensor, residuals: Residuals | None = None
        ) -> torch.Tensor:
            added = {}
            if residuals is not None:
                added = {"down_block_additional_residuals": residuals[0], "mid_block_additional_residual": residuals[1]}
            with torch.autocast("cpu", dtype=torch.bfloat16):
                inputs = (latents.contiguous(memory_format=torch.channels_last), timesteps, embeds)
                return functional_call(self._unet, weights, inputs, added).sample.float()

        return predict

    def tensors(self) -> dict[str, torch.Tensor]:
        """With kohya's keys, float16, alpha = rank."""
        found = {}
        own = dict(self._unet.named_parameters())
        for name, down, up in zip(self._names, self.down, self.up, strict=True):
            weight, key = own[f"{name}.weight"], "lora_unet_" + name.replace(".", "_")
            ones = (1,) * (weight.dim() - 2)
            found[f"{key}.lora_down.weight"] = down.detach().view(self.rank, *weight.shape[1:]).half().contiguous()
            found[f"{key}.lora_up.weight"] = up.detach().view(*up.shape, *ones).half().contiguous()
            found[f"{key}.alpha"] = torch.tensor(float(self.rank)).half()
        return found


def train_few_step_lora(
    base_folder: Path, lora_file: Path, models: Path, core: Path, work: Path, out: Path, rank: int, seed: int, steps: int | None
) -> None:
    """Trains the LCM-LoRA in `lora_file` on and writes it to `out`, with its new rank. `steps`, if any, are those of each lesson.

    `models` is the folder of the ControlNets.
    """
    base = open_base(base_folder)
    sets = {}
    for number, (name, count) in enumerate(SETS.items()):
        folder = work / "few-step-scenes" / name
        make_few_step_scenes(folder, open_autoencoder(core), count, moved=name == "moved", seed=seed + number)
        sets[name] = FewStepScenes(folder, base.scaling_factor)
    torch.manual_seed(seed)
    lora = LowRank(base.unet, adaptable_modules(base.unet), rank, load_file(lora_file))
    codes, controls, empty = NoiseCodes(sets["moved"].colour_directions()), Controls(models), base.embed([""])
    for number, lesson in enumerate(LESSONS):
        crowds = {size: Crowd(base, sets, codes, controls, lesson, size) for size in LATENT_SIZES}
        parameters = [{"params": list(lora.parameters())}]
        run = TrainingRun(work / f"few-step-{lesson.name}.pt", parameters, steps or lesson.steps, lesson.rate, seed + number, average=0.99)

        def loss_of(rng: random.Random, crowds: dict = crowds) -> torch.Tensor:
            crowd = crowds[rng.choice(LATENT_SIZES[1:]) if rng.random() < CUT_SHARE else LATENT_SIZES[0]]
            crowd.fill(rng)
            return crowd.step(lora.predictor(), empty)

        run.train(loss_of, report_every=20)
        run.use_average()
    out.parent.mkdir(parents=True, exist_ok=True)
    save_file(lora.tensors(), out, metadata={"format": "pt"})
