"""Stage `lcm-lora`: the base in four to six steps, distilled into a LoRA.

Plain latent consistency distillation, whose target is the student's own answer one step further, collapsed with this
base. Here the targets are not the student's: from noised training latents the base itself solves the probability-flow ODE to its
end, with guidance, and the student learns to jump there at once. The pairs are made first and kept on disk.

At the noisy end of the schedule the student keeps to the base's own first answer instead. That is a blurred picture in the
right colours, which the next step sharpens; learnt from a few thousand pairs, the ODE's end there cost colours (0.95 → 0.81).
"""

import random
from dataclasses import dataclass
from pathlib import Path

import torch

from .dataset import Shards, random_crop, varied_caption
from .diffusion import LCM_TIMESTEPS, add_noise, bfloat16_predictor, clean_of_v, guided, solve
from .lora import adaptable_modules, add_lora, save_kohya
from .networks import Base, open_base
from .training_run import TrainingRun

TEACHER_GUIDANCE = 2.0
FIRST_ANSWER_FROM, FIRST_ANSWER_GUIDANCE = 650, 1.5
#: What LCMScheduler visits in 4, 5 and 6 steps; the first of all is drawn more often, since all layout begins there.
VISITED = [999, 999, 999, 839, 799, 759, 679, 599, 499, 499, 399, 339, 259, 259, 199, 179]
CROPPED_SHARE = 0.12
PAIRS_PER_FILE = 16
HUBER = 0.03


@dataclass
class LcmOptions:
    pair_files: int
    steps: int
    batch: int = 32
    rank: int = 16
    rate: float = 5e-4
    seed: int = 2


@torch.no_grad()
def make_pairs(base: Base, data: Path, folder: Path, options: LcmOptions) -> None:
    """One file for each timestep drawn: noisy latents, captions and the ODE's end. Files that exist are kept."""
    folder.mkdir(parents=True, exist_ok=True)
    shards = Shards(data)
    teacher = guided(bfloat16_predictor(base.unet), TEACHER_GUIDANCE, base.embed([""]))
    for number in range(options.pair_files):
        path = folder / f"{number:04d}.pt"
        if path.exists():
            continue
        rng = random.Random(options.seed * 1_000_003 + number)
        torch.manual_seed(options.seed * 1_000_003 + number)
        timestep = rng.choice(VISITED) if rng.random() < 0.75 else int(rng.choice(LCM_TIMESTEPS.tolist()))
        indices = [rng.randrange(len(shards)) for _ in range(PAIRS_PER_FILE)]
        captions = [varied_caption(shards.scenes[i], rng, empty=0, distracted=0.1) for i in indices]
        clean = shards.scaled_latents(indices, base)
        if rng.random() < CROPPED_SHARE:
            clean, _ = random_crop(clean, rng)
        timesteps = torch.full((len(clean),), timestep)
        noise = torch.randn_like(clean)
        noisy = noise if timestep == 999 else add_noise(clean, noise, timesteps)
        end = solve(teacher, noisy, timesteps, base.embed(captions), steps=2 + timestep // 110)
        torch.save({"timestep": timestep, "captions": captions, "noisy": noisy.half(), "end": end.half()}, path)
        if number % 10 == 9:
            print(f"pairs {number + 1}/{options.pair_files} files", flush=True)


@torch.no_grad()
def open_pairs(base: Base, folder: Path) -> list[dict]:
    """All pairs; the ends of the noisiest are replaced by the base's first answer."""
    files = [torch.load(path, weights_only=True) for path in sorted(folder.glob("*.pt"))]
    teacher = guided(bfloat16_predictor(base.unet), FIRST_ANSWER_GUIDANCE, base.embed([""]))
    for pairs in files:
        if pairs["timestep"] >= FIRST_ANSWER_FROM:
            noisy = pairs["noisy"].float()
            timesteps = torch.full((len(noisy),), pairs["timestep"])
            pairs["end"] = clean_of_v(noisy, teacher(noisy, timesteps, base.embed(pairs["captions"])), timesteps)
    return files


def train_lcm_lora(base_folder: Path, data: Path, work: Path, out: Path, options: LcmOptions) -> None:
    base = open_base(base_folder)
    make_pairs(base, data, work / "lcm-pairs", options)
    files = open_pairs(base, work / "lcm-pairs")
    modules = adaptable_modules(base.unet)
    parameters = add_lora(base.unet, options.rank, modules)
    run = TrainingRun(work / "lcm-lora.pt", [{"params": parameters}], options.steps, options.rate, options.seed, average=0.99)
    predict = bfloat16_predictor(base.unet)
    square = [f for f in files if f["noisy"].shape[2] == f["noisy"].shape[3] == 16]
    other = [f for f in files if f["noisy"].shape[2:] != (16, 16)]

    def loss_of(rng: random.Random) -> torch.Tensor:
        chosen = [rng.choice(other)] if rng.random() < CROPPED_SHARE and other else rng.sample(square, options.batch // PAIRS_PER_FILE)
        noisy, end = (torch.cat([f[key] for f in chosen]).float() for key in ("noisy", "end"))
        timesteps = torch.cat([torch.full((len(f["noisy"]),), f["timestep"]) for f in chosen])
        embeds = base.embed([caption for f in chosen for caption in f["captions"]])
        clean = clean_of_v(noisy, predict(noisy, timesteps, embeds), timesteps)
        return ((clean - end).square() + HUBER**2).sqrt().mean() - HUBER

    run.train(loss_of, report_every=20)
    run.use_average()
    save_kohya(base.unet, out / "pytorch_lora_weights.safetensors")
