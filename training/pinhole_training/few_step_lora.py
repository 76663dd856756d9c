"""Stage `few-step`: the LCM-LoRA, trained on until what few steps draw is as sharp as scenes are.

What a sampling should end at is the scene that its prompt and first noise mean (`noise_codes`); how samplings are trained is in
`few_step_crowd`. Some begin with a noised picture, as image to image does. Adapters have no part in this: what always lies at one place
forgets them, and they are taught to steer it afterwards (`steering`).
"""

import json
import random
from itertools import accumulate
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch.func import functional_call

from .dataset import coloured_places
from .diffusion import LCM_TIMESTEPS, add_noise
from .few_step_crowd import Crowd, Sampling, SteeredPredictor, few_timesteps
from .few_step_prompts import named_attributes, prompt_of
from .few_step_scenes import make_few_step_scenes
from .lora import adaptable_modules
from .networks import LATENT_SIZES, Base, open_autoencoder, open_base
from .noise_codes import NoiseCodes, colour_directions
from .training_run import TrainingRun

#: Share of samplings that end after the first step, where layout is learnt, and of those that begin with a noised picture.
FIRST_ONLY, FROM_PICTURE = 0.65, 0.12
#: How often samplings that begin with a picture have guidance.
GUIDED_FROM_PICTURE = 0.3
#: Share of steps at other sizes than the square one.
CUT_SHARE = 0.12
#: Where in the work folder the scenes lie, and how many there are of each set.
SCENES = "few-step-scenes"
SETS = {"usual": 4250, "moved": 2250}
#: How often scenes are drawn by their kind, and those with a style beside those without.
KIND_WEIGHTS, STYLED_WEIGHT = {"thing": 1.4, "landscape": 1.2, "portrait": 1.0}, 0.8
#: What hair counts beside the rest of a portrait, of which it is a twentieth.
HAIR_WEIGHT = 3.0


class FewStepScenes:
    """Scenes, what samplings of them end at (scaled latents, (n, 8, 16, 16)), and by its number what some begin with."""

    def __init__(self, described: list[dict], ends: torch.Tensor, starts: dict[int, torch.Tensor] | None = None):
        self.scenes, self.ends, self.starts = described, ends, starts or {}
        hair = torch.from_numpy(np.stack([coloured_places(scene)[1] for scene in described]))
        self.emphasis = (1 + (HAIR_WEIGHT - 1) * hair).float()


def read_few_step_scenes(folder: Path, scaling_factor: float) -> FewStepScenes:
    """What `make_few_step_scenes` wrote."""
    described: list[dict] = []
    ends, starts = [], {}
    for path in sorted(folder.glob("*.json")):
        part = np.load(path.with_suffix(".npz"))
        for index, start in zip(part["indices"], part["starts"], strict=True):
            starts[len(described) + int(index)] = torch.from_numpy(start.astype(np.float32)) * scaling_factor
        described += json.loads(path.read_text())
        ends.append(torch.from_numpy(part["ends"].astype(np.float32)) * scaling_factor)
    return FewStepScenes(described, torch.cat(ends), starts)


class Lessons:
    """New samplings of one size for a crowd. Without `moved` scenes none begins with a picture."""

    def __init__(self, base: Base, usual: FewStepScenes, moved: FewStepScenes | None, codes: NoiseCodes, size: tuple[int, int]):
        self._base, self._usual, self._moved, self._codes, self._size = base, usual, moved, codes, size
        weights = (KIND_WEIGHTS[s["kind"]] * (STYLED_WEIGHT if s["style_fx"] else 1) for s in self._usual.scenes)
        self._weights_until = list(accumulate(weights))

    def _cut(self, latents: torch.Tensor) -> torch.Tensor:
        height, width = self._size
        top, left = (latents.shape[-2] - height) // 2, (latents.shape[-1] - width) // 2
        return latents[..., top : top + height, left : left + width]

    def __call__(self, count: int, rng: random.Random) -> list[Sampling]:
        picked = [self._picked(rng) for _ in range(count)]
        described = [shown.scenes[i] for shown, i in picked]
        prompts = [prompt_of(scene, rng) for scene in described]
        embeds = self._base.embed(prompts)
        wanted = [self._codes.wanted(s, named_attributes(s, p), rng) for s, p in zip(described, prompts, strict=True)]
        noises = self._codes.noise(torch.stack(wanted), *self._size)
        made = []
        for (shown, i), noise, said in zip(picked, noises, embeds, strict=True):
            if shown is self._moved:
                made.append(self._from_picture(shown, i, said, rng))
            else:
                times, emphasis = few_timesteps(rng, FIRST_ONLY), self._cut(shown.emphasis[i])
                made.append(Sampling(noise, self._cut(shown.ends[i]), said, times, emphasis=emphasis))
        return made

    def _picked(self, rng: random.Random) -> tuple[FewStepScenes, int]:
        if self._moved is not None and rng.random() < FROM_PICTURE:
            return self._moved, rng.randrange(len(self._moved.scenes))
        return self._usual, rng.choices(range(len(self._usual.scenes)), cum_weights=self._weights_until)[0]

    def _from_picture(self, moved: FewStepScenes, i: int, embeds: torch.Tensor, rng: random.Random) -> Sampling:
        target = self._cut(moved.ends[i])
        start, highest = target, rng.randrange(5, 48)
        if i in moved.starts:
            start, highest = self._cut(moved.starts[i]), rng.randrange(35, 49)
        steps = rng.choice((1, 2, 3, 4))
        places = sorted({round(highest * (1 - k / steps)) for k in range(steps)}, reverse=True)
        times = [int(LCM_TIMESTEPS[place]) for place in places]
        noisy = add_noise(start[None], torch.randn(1, *start.shape), torch.tensor(times[:1]))[0]
        emphasis = self._cut(moved.emphasis[i])
        return Sampling(noisy, target, embeds, times, rng.random() < GUIDED_FROM_PICTURE, emphasis=emphasis)


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

    def predictor(self) -> SteeredPredictor:
        weights = self.weights()

        def predict(latents: torch.Tensor, timesteps: torch.Tensor, embeds: torch.Tensor, _: tuple[torch.Tensor, ...]) -> torch.Tensor:
            with torch.autocast("cpu", dtype=torch.bfloat16):
                inputs = (latents.contiguous(memory_format=torch.channels_last), timesteps, embeds)
                return functional_call(self._unet, weights, inputs).sample.float()

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
    base_folder: Path, lora_file: Path, core: Path, work: Path, out: Path, rank: int, steps: int, batch: int, rate: float, seed: int
) -> None:
    """Trains the LCM-LoRA in `lora_file` on and writes it to `out`, with its new rank."""
    base = open_base(base_folder)
    sets = {}
    for number, (name, count) in enumerate(SETS.items()):
        folder = work / SCENES / name
        make_few_step_scenes(folder, open_autoencoder(core), count, moved=name == "moved", seed=seed + number)
        sets[name] = read_few_step_scenes(folder, base.scaling_factor)
    torch.manual_seed(seed)
    lora = LowRank(base.unet, adaptable_modules(base.unet), rank, load_file(lora_file))
    codes, empty = NoiseCodes(colour_directions(sets["moved"].scenes, sets["moved"].ends)), base.embed([""])
    crowds = {size: Crowd(Lessons(base, sets["usual"], sets["moved"], codes, size), batch, empty) for size in LATENT_SIZES}
    run = TrainingRun(work / "few-step.pt", [{"params": list(lora.parameters())}], steps, rate, seed, average=0.99)

    def loss_of(rng: random.Random) -> torch.Tensor:
        crowd = crowds[rng.choice(LATENT_SIZES[1:]) if rng.random() < CUT_SHARE else LATENT_SIZES[0]]
        return crowd.step(lora.predictor(), rng)

    run.train(loss_of, report_every=20)
    run.use_average()
    out.parent.mkdir(parents=True, exist_ok=True)
    save_file(lora.tensors(), out, metadata={"format": "pt"})
