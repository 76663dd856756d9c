"""Stage `colours`: the base's attention learns to draw the colours that a prompt names, in few steps, by being told how far off it is.

Training on scenes teaches colours slowly where a prompt names several: hair is a twentieth of the picture. Here the base
draws, from noise and in the steps of LCM sampling, and `ColourReward` says how far off the colours of its answer are; that flows back
through one step, the first more often than others, since colours are settled there. In most steps the LCM-LoRA is merged, so that base and LoRA learn
the same. Beside it the base goes on learning from scenes, and its answers keep the detail that they had: what is below the
thumbnail's scale is held, and for prompts of which no colour is asked everything.
"""

import random
from collections.abc import Mapping
from pathlib import Path

import torch
import torch.nn.functional as F
from torch.func import functional_call

from . import scenes
from .colour_prompts import named_colours, scene_and_prompt
from .colour_reward import ColourReward, Thumbnails
from .dataset import Shards, varied_caption
from .diffusion import Predictor, add_noise, bfloat16_predictor, clean_of_v, lcm_sampling_timesteps
from .evaluate_base import merge_kohya
from .networks import Base, open_base
from .portraits import ATTENTION, SceneLoss, attention_run

#: Share of steps with the LCM-LoRA, and of the steps that the loss flows through: first, second, last.
WITH_LORA, STEP_SHARES = 0.6, (0.58, 0.3, 0.12)
#: Scenes a step from the training set, and prompts of which nothing is asked in every second step.
SCENES, HELD = 10, 6
REWARD_WEIGHT, FINE_WEIGHT, HELD_WEIGHT = 0.15, 2.0, 1.6


class _Drawing:
    """The base with changed weights: differentiable in its own, with others added or put in their place."""

    def __init__(self, base: Base, lora: Path):
        self._unet = base.unet
        merged = open_base(base.folder)
        before = {name: p.detach().clone() for name, p in merged.unet.named_parameters()}
        merge_kohya(merged, lora)
        self.lora = {name: p - before[name] for name, p in merged.unet.named_parameters() if not torch.equal(p, before[name])}
        self.start = {name: p for name, p in before.items() if ATTENTION in name}

    def predictor(self, with_lora: bool, weights: Mapping[str, torch.Tensor] | None = None) -> Predictor:
        own = dict(self._unet.named_parameters()) | dict(weights or {})
        changed = {name: own[name] + change for name, change in self.lora.items()} if with_lora else {}

        def predict(latents: torch.Tensor, timesteps: torch.Tensor, embeds: torch.Tensor) -> torch.Tensor:
            with torch.autocast("cpu", dtype=torch.bfloat16):
                inputs = (latents.contiguous(memory_format=torch.channels_last), timesteps, embeds)
                return functional_call(self._unet, own | changed, inputs).sample.float()

        return predict


def _asked(rng: random.Random, count: int, held: int) -> tuple[list[str], list[tuple[dict, dict[str, str]]]]:
    """Prompts, and what is asked of each; of the first `held` nothing."""
    prompts, asked = [], []
    for _ in range(held):
        scene = scenes.sample(rng)
        prompts.append(varied_caption(scene, rng, empty=0, distracted=0.3))
        asked.append((scene, {}))
    while len(prompts) < count:
        scene, prompt = scene_and_prompt(rng)
        named = named_colours(scene, prompt)
        if named:
            prompts.append(prompt)
            asked.append((scene, named))
    return prompts, asked


def _detail(change: torch.Tensor) -> torch.Tensor:
    """What of a change of latents is finer than five places."""
    return change - F.avg_pool2d(F.pad(change, (2, 2, 2, 2), mode="replicate"), 5, 1)


def train_colours(base: Base, lora: Path, data: Path, work: Path, steps: int, batch: int, rate: float, seed: int) -> None:
    shards = Shards(data)
    reward, loss_on_scenes = ColourReward(Thumbnails(shards, base)), SceneLoss(base, shards)
    drawing = _Drawing(base, lora)
    run = attention_run(base, work / "colours.pt", steps, rate, seed, average=0.96)
    plain = bfloat16_predictor(base.unet)

    def loss_of(rng: random.Random) -> torch.Tensor:
        held = HELD if run.step % 2 == 0 else 0
        prompts, asked = _asked(rng, batch, held)
        embeds, with_lora = base.embed(prompts), rng.random() < WITH_LORA
        predict = drawing.predictor(with_lora)
        visited = lcm_sampling_timesteps(rng.choices((4, 6), (0.7, 0.3))[0])
        last = rng.choices((0, 1, len(visited) - 1), STEP_SHARES)[0]
        x = torch.randn(batch, 8, 16, 16)
        times = [torch.full((batch,), t) for t in visited]
        with torch.no_grad():
            for now, after in zip(times[:last], times[1:], strict=False):
                x = add_noise(clean_of_v(x, predict(x, now, embeds), now), torch.randn_like(x), after)
        clean = clean_of_v(x, predict(x, times[last], embeds), times[last])
        loss = REWARD_WEIGHT * reward(clean, asked) + loss_on_scenes(plain, rng, SCENES, portraits=0.3)
        if held:
            with torch.no_grad():
                before = clean_of_v(x, drawing.predictor(with_lora, drawing.start)(x, times[last], embeds), times[last])
            change = clean - before
            kept = 0.1 * change.square().mean() + 0.9 * _detail(change).square().mean()
            loss = loss + FINE_WEIGHT * kept + HELD_WEIGHT * change[:held].square().mean()
        return loss

    run.train(loss_of, report_every=20)
    run.use_average()
    base.unet.requires_grad_(False)
