"""Stage `verify`: diffusers loads every shipped model and draws what Darkroom's engine draws (latents within 1e-4)."""

import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL, ControlNetModel, LCMScheduler, StableDiffusionPipeline
from PIL import Image
from safetensors.torch import load_file

from . import scenes

REPOSITORY = Path(__file__).resolve().parents[2]
COMMAND = REPOSITORY / "packages/server/bin/darkroom.js"
IDENTITY_SCRIPT = "scripts/golden/draw-identity.ts"
LATENT_TOLERANCE = 1e-4
#: Who is drawn again for the identity's case, and how.
SITTER = {
    "kind": "portrait", "style_fx": "", "who": "woman", "hair": "red", "style": "long", "skin": "fair", "eyes": "green", "beard": "none",
    "acc": "glasses", "hatcol": "red", "mood": "smiling", "cloth": "teal", "bg": "yellow", "time": "day", "x": 0.5, "y": 0.47, "s": 0.95,
    "yaw": 0.3, "seed": 1,
}  # fmt: skip
IDENTITY_PROMPT, IDENTITY_SEED, IDENTITY_STEPS, IDENTITY_SCALE = "a queen, blue background", 9, 4, 0.7


@dataclass
class Case:
    name: str
    checkpoint: str
    prompt: str
    seed: int
    steps: int
    guidance: float
    lcm: bool
    lora: str | None = None
    lora_scale: float = 1.0
    vae: str | None = None


def cases(models: Path) -> list[Case]:
    listed = [
        Case("base, DDIM, guidance 5", "pinhole-512", "a red circle on a yellow background", 3, 8, 5.0, lcm=False),
        Case("base at 1024, LCM", "pinhole-512", "a smiling king, blue background", 5, 4, 1.0, lcm=True, vae="pinhole-1024-vae"),
    ]
    for folder in sorted(models.glob("pinhole-*-lora")):
        lcm = folder.name == "pinhole-lcm-lora"
        file = str(folder / "pytorch_lora_weights.safetensors")
        listed.append(Case(folder.name, "pinhole-512", "a green car on a white background", 7, 4, 1.5, lcm, file, 0.9))
    return listed


def diffusers_latents(models: Path, case: Case) -> torch.Tensor:
    other = {"vae": AutoencoderKL.from_pretrained(models / case.vae, torch_dtype=torch.float32)} if case.vae else {}
    pipeline = StableDiffusionPipeline.from_pretrained(models / case.checkpoint, torch_dtype=torch.float32, **other)
    pipeline.set_progress_bar_config(disable=True)
    if case.lcm:
        pipeline.scheduler = LCMScheduler.from_config(pipeline.scheduler.config)
    if case.lora:
        merge_lora(pipeline, case.lora, case.lora_scale)
    return pipeline(
        case.prompt,
        num_inference_steps=case.steps,
        guidance_scale=case.guidance,
        generator=torch.Generator().manual_seed(case.seed),
        output_type="latent",
    ).images


def merge_lora(pipeline: StableDiffusionPipeline, file: str, scale: float) -> None:
    tensors = load_file(file)
    if any(".hada_" in key for key in tensors):
        merge_loha(pipeline.unet, tensors, scale)
    else:
        pipeline.load_lora_weights(file)
        pipeline.fuse_lora(lora_scale=scale)


def merge_loha(unet: torch.nn.Module, tensors: dict[str, torch.Tensor], scale: float) -> None:
    """LyCORIS' LoHa, which diffusers does not read: W + scale alpha / rank (w1_a w1_b) * (w2_a w2_b)."""
    weights = {f"lora_unet_{path.removesuffix('.weight').replace('.', '_')}": weight for path, weight in unet.named_parameters()}
    for key in [key for key in tensors if key.endswith(".alpha")]:
        layer = key.removesuffix(".alpha")
        w1_a, w1_b, w2_a, w2_b = (tensors[f"{layer}.hada_{part}"].float() for part in ("w1_a", "w1_b", "w2_a", "w2_b"))
        delta = (w1_a @ w1_b) * (w2_a @ w2_b) * (tensors[key].item() / w1_b.shape[0])
        weights[layer].data += scale * delta.reshape(weights[layer].shape)


def engine_latents(models: Path, case: Case) -> torch.Tensor:
    with tempfile.TemporaryDirectory() as folder:
        latents = Path(folder) / "latents.safetensors"
        values = {
            "--checkpoint": models / case.checkpoint, "--prompt": case.prompt, "--seed": case.seed, "--steps": case.steps,
            "--guidance": case.guidance, "--latents": latents, "--output": Path(folder) / "picture.png",
        }  # fmt: skip
        if case.lcm:
            values["--scheduler"] = "LCM"
        if case.vae:
            values["--vae"] = models / case.vae
        if case.lora:
            values["--lora"] = f"{case.lora}:{case.lora_scale}"
        arguments = [str(part) for pair in values.items() for part in pair]
        subprocess.run(["node", str(COMMAND), "generate", *arguments], check=True, capture_output=True, cwd=REPOSITORY)
        return load_file(latents)["latents"]


@torch.no_grad()
def identity_difference(models: Path) -> float:
    """Pinhole's InstantID: from the engine's embedding and picture of the points on, as InstantID's pipeline composes diffusers' models."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        scenes.render(SITTER, 512).save(folder / "face.png")
        arguments = [models, folder / "face.png", folder, IDENTITY_PROMPT, IDENTITY_SEED, IDENTITY_STEPS]
        command = ["npx", "tsx", IDENTITY_SCRIPT, *map(str, arguments)]
        subprocess.run(command, check=True, capture_output=True, cwd=REPOSITORY)
        drawn = load_file(folder / "identity.safetensors")
        pixels = np.asarray(Image.open(folder / "points.png").convert("RGB"))
    control = torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float() / 255
    pipeline = StableDiffusionPipeline.from_pretrained(models / "pinhole-512", torch_dtype=torch.float32)
    parts = models / "pinhole-instantid"
    pipeline.load_ip_adapter(parts, subfolder="", weight_name="ip-adapter.safetensors", image_encoder_folder=None)
    pipeline.set_ip_adapter_scale(IDENTITY_SCALE)
    net = ControlNetModel.from_pretrained(parts / "ControlNetModel", torch_dtype=torch.float32)
    scheduler = LCMScheduler.from_config(pipeline.scheduler.config)
    scheduler.set_timesteps(IDENTITY_STEPS)
    embeds, _ = pipeline.encode_prompt(IDENTITY_PROMPT, "cpu", 1, do_classifier_free_guidance=False)
    faces = drawn["embedding"].view(1, 1, -1)
    tokens = pipeline.unet.encoder_hid_proj.image_projection_layers[0](faces)
    generator = torch.Generator().manual_seed(IDENTITY_SEED)
    latents = torch.randn(1, 8, 16, 16, generator=generator)
    for timestep in scheduler.timesteps:
        down, mid = net(latents, timestep, tokens, control, conditioning_scale=IDENTITY_SCALE, return_dict=False)
        v = pipeline.unet(
            latents, timestep, embeds, added_cond_kwargs={"image_embeds": [faces[:, None]]},
            down_block_additional_residuals=down, mid_block_additional_residual=mid,
        ).sample  # fmt: skip
        latents = scheduler.step(v, timestep, latents, generator=generator, return_dict=False)[0]
    return float((drawn["latents"].view_as(latents) - latents).abs().max())


def verify(models: Path) -> bool:
    passed = True
    for case in cases(models):
        ours, theirs = engine_latents(models, case), diffusers_latents(models, case)
        difference = float((ours.reshape(theirs.shape) - theirs).abs().max())
        passed &= difference <= LATENT_TOLERANCE
        print(f"{case.name}: latents differ by at most {difference:.1e}", flush=True)
    difference = identity_difference(models)
    print(f"pinhole-instantid: latents differ by at most {difference:.1e}", flush=True)
    return passed and difference <= LATENT_TOLERANCE
