"""Golden values of whole pipelines: final latents and 8-bit pixels of diffusers, float32, on tiny random checkpoints.

    python scripts/golden/pipelines.py                 # the committed subset
    python scripts/golden/pipelines.py --all FOLDER    # every combination, for scripts/golden/compare-pipelines.ts

Each case is what `darkroom generate` (or an endpoint) would ask; the case list is written beside the values, so that the
TypeScript side runs exactly the same requests.
"""
import argparse
import itertools
import json
import pathlib

import diffusers
import numpy as np
import torch
from PIL import Image
from safetensors.numpy import save_file

ROOT = pathlib.Path(__file__).resolve().parents[2] / "packages/engine/test/golden/data"
CHECKPOINTS = ROOT / "checkpoints"

SCHEDULERS = {
    None: (None, {}),
    "DPM++ 2M": (diffusers.DPMSolverMultistepScheduler, {}),
    "DPM++ 2M Karras": (diffusers.DPMSolverMultistepScheduler, {"use_karras_sigmas": True}),
    "DPM++ 2M SDE": (diffusers.DPMSolverMultistepScheduler, {"algorithm_type": "sde-dpmsolver++"}),
    "DPM++ 2M SDE Karras": (
        diffusers.DPMSolverMultistepScheduler,
        {"algorithm_type": "sde-dpmsolver++", "use_karras_sigmas": True},
    ),
    "Euler": (diffusers.EulerDiscreteScheduler, {}),
    "Euler A": (diffusers.EulerAncestralDiscreteScheduler, {}),
    "Euler (trailing timesteps)": (diffusers.EulerDiscreteScheduler, {"timestep_spacing": "trailing"}),
    "LCM": (diffusers.LCMScheduler, {}),
    "LCM (trailing timesteps)": (diffusers.LCMScheduler, {"timestep_spacing": "trailing"}),
    "DDIM": (diffusers.DDIMScheduler, {}),
    "TCD": (diffusers.TCDScheduler, {}),
}

DEFAULTS = {
    "checkpoint": "tiny-sd15",
    "scheduler": None,
    "prompt": "a red house by the sea",
    "negative_prompt": "night",
    "width": 64,
    "height": 48,
    "steps": 4,
    "timesteps": None,
    "sigmas": None,
    "guidance_scale": 5.0,
    "guidance_rescale": 0.0,
    "eta": 0.0,
    "clip_skip": 0,
    "seed": 7,
    "num_images": 1,
    "prediction_type": None,
    "strength": None,
    "inpaint": None,
}

SUBSET = [
    {"name": "lcm", "scheduler": "LCM", "guidance_scale": 1.5},
    {"name": "ddim", "scheduler": "DDIM"},
    {"name": "euler", "scheduler": "Euler"},
    {"name": "own", "steps": 10},
    {"name": "no-guidance", "scheduler": "LCM", "guidance_scale": 1.0},
    {"name": "odd-latents", "scheduler": "Euler", "width": 72, "height": 56},
    {"name": "two-images", "scheduler": "DPM++ 2M SDE", "num_images": 2, "seed": 2**63 + 5},
    {"name": "ancestral", "scheduler": "Euler A"},
    {"name": "tcd-eta", "scheduler": "TCD", "eta": 0.4},
    {"name": "ddim-eta", "scheduler": "DDIM", "eta": 0.7},
    {"name": "rescale", "scheduler": "DPM++ 2M Karras", "guidance_rescale": 0.7},
    {"name": "v-prediction", "scheduler": "DDIM", "prediction_type": "v_prediction"},
    {"name": "clip-skip", "scheduler": "Euler", "clip_skip": 1},
    {"name": "timesteps", "scheduler": "LCM", "timesteps": [999, 759, 499]},
    {"name": "sigmas", "scheduler": "Euler", "sigmas": [14.6146, 4.0817, 0.6932, 0.0]},
    {"name": "img2img", "scheduler": "Euler", "strength": 0.6, "steps": 6},
    {"name": "img2img-lcm", "scheduler": "LCM", "strength": 0.8, "guidance_scale": 1.0},
    {"name": "img2img-two", "scheduler": "DPM++ 2M SDE Karras", "strength": 0.5, "steps": 8, "num_images": 2},
    {"name": "sdxl", "checkpoint": "tiny-sdxl"},
    {"name": "sdxl-no-negative", "checkpoint": "tiny-sdxl", "scheduler": "DPM++ 2M", "negative_prompt": None},
    {"name": "sdxl-clip-skip", "checkpoint": "tiny-sdxl", "scheduler": "LCM", "clip_skip": 1, "guidance_scale": 2.0},
    {"name": "sdxl-img2img", "checkpoint": "tiny-sdxl", "scheduler": "DDIM", "strength": 0.7, "steps": 10},
    {"name": "guidance-embedding", "checkpoint": "tiny-lcm", "scheduler": "LCM", "guidance_scale": 8.0},
    {"name": "inpaint", "scheduler": "Euler", "strength": 0.6, "steps": 6, "inpaint": "plain"},
    {"name": "inpaint-all-steps", "scheduler": "DDIM", "strength": 1.0, "inpaint": "plain"},
    {"name": "inpaint-own", "strength": 0.7, "steps": 8, "inpaint": "plain"},
    {"name": "inpaint-trained", "scheduler": "Euler", "strength": 1.0, "inpaint": "trained"},
    {"name": "inpaint-trained-part", "scheduler": "LCM", "strength": 0.6, "steps": 5, "inpaint": "trained"},
    {"name": "sdxl-inpaint", "checkpoint": "tiny-sdxl", "scheduler": "DPM++ 2M", "strength": 0.5, "steps": 6, "inpaint": "plain"},
    {"name": "guidance-embedding-img2img", "checkpoint": "tiny-lcm", "scheduler": "LCM", "strength": 0.5},
]


def every_combination():
    combinations = itertools.product(
        ["tiny-sd15", "tiny-sdxl"], SCHEDULERS, [4, 10, 30], [None, 0.6], ["epsilon", "v_prediction"]
    )
    for checkpoint, scheduler, steps, strength, prediction_type in combinations:
        name = f"{checkpoint}_{scheduler}_{steps}_{'i2i' if strength else 't2i'}_{prediction_type}"
        yield {
            "name": "".join(c if c.isalnum() or c in "_-" else "-" for c in name),
            "checkpoint": checkpoint,
            "scheduler": scheduler,
            "steps": steps,
            "strength": strength,
            "prediction_type": prediction_type,
        }


def start_image(width, height):
    """A smooth colour pattern that needs no file: both sides compute it from integers."""
    y, x = np.mgrid[0:height, 0:width]
    pattern = np.stack([x * 255 // (width - 1), y * 255 // (height - 1), (x * 7 + y * 13) % 256], axis=-1)
    return Image.fromarray(pattern.astype(np.uint8))


def mask_image(width, height):
    """Grey stripes, which both pipelines make black and white of."""
    y, x = np.mgrid[0:height, 0:width]
    return Image.fromarray(((x * 5 + y * 3) % 256).astype(np.uint8))


def widen(unet):
    """An inpainting UNet made of a plain one: five more channels of the first convolution, in small numbers that both sides compute."""
    old = unet.conv_in
    new = torch.nn.Conv2d(9, old.out_channels, 3, padding=1)
    count = old.out_channels * 5 * 9
    extra = (0.1 * torch.sin(torch.arange(count, dtype=torch.float64) * 1.7)).float().reshape(old.out_channels, 5, 3, 3)
    with torch.no_grad():
        new.weight.copy_(torch.cat([old.weight, extra], dim=1))
        new.bias.copy_(old.bias)
    unet.conv_in = new
    unet.register_to_config(in_channels=9)


def load(checkpoint, image_to_image, inpaint):
    folder = CHECKPOINTS / checkpoint
    classes = {
        "tiny-sd15": (
            diffusers.StableDiffusionPipeline,
            diffusers.StableDiffusionImg2ImgPipeline,
            diffusers.StableDiffusionInpaintPipeline,
        ),
        "tiny-sdxl": (
            diffusers.StableDiffusionXLPipeline,
            diffusers.StableDiffusionXLImg2ImgPipeline,
            diffusers.StableDiffusionXLInpaintPipeline,
        ),
        "tiny-lcm": (diffusers.LatentConsistencyModelPipeline, diffusers.LatentConsistencyModelImg2ImgPipeline),
    }[checkpoint]
    extra = {} if checkpoint == "tiny-sdxl" else {"safety_checker": None, "requires_safety_checker": False}
    pipe = classes[2 if inpaint else 1 if image_to_image else 0].from_pretrained(folder, **extra)
    if inpaint == "trained":
        widen(pipe.unet)
    if not hasattr(pipe.text_encoder, "text_model"):
        # transformers 5.6 and later have no inner module of that name, which diffusers' clip_skip still asks for.
        object.__setattr__(pipe.text_encoder, "text_model", pipe.text_encoder)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def run(pipe, own_config, own_class, case):
    cls, kwargs = SCHEDULERS[case["scheduler"]]
    if case["prediction_type"]:
        kwargs = {**kwargs, "prediction_type": case["prediction_type"]}
    pipe.scheduler = (cls or own_class).from_config(own_config, **kwargs)
    generators = [torch.Generator().manual_seed((case["seed"] + i) % 2**64) for i in range(case["num_images"])]
    arguments = {
        "prompt": case["prompt"],
        "num_inference_steps": case["steps"],
        "guidance_scale": case["guidance_scale"],
        "clip_skip": case["clip_skip"] or None,
        "num_images_per_prompt": case["num_images"],
        "generator": generators,
        "output_type": "latent",
    }
    guidance_embedding = case["checkpoint"] == "tiny-lcm"
    if not guidance_embedding:
        arguments.update(negative_prompt=case["negative_prompt"], eta=case["eta"])
        for key in ("timesteps", "sigmas"):
            if case[key]:
                arguments[key] = case[key]
        if case["strength"] is None or case["checkpoint"] == "tiny-sdxl":
            arguments["guidance_rescale"] = case["guidance_rescale"]
    if case["strength"] is None:
        arguments.update(width=case["width"], height=case["height"])
    else:
        arguments.update(image=start_image(case["width"], case["height"]), strength=case["strength"])
    if case["inpaint"]:
        size = {"width": case["width"], "height": case["height"]}
        arguments.update(mask_image=mask_image(**size), **size)
    with torch.no_grad():
        latents = pipe(**arguments).images
        decoded = pipe.vae.decode(latents / pipe.vae.config.scaling_factor).sample
        pixels = pipe.image_processor.postprocess(decoded, output_type="np")
    # safetensors writes an array's memory as it lies, whatever its strides say.
    return np.ascontiguousarray(latents.numpy()), np.ascontiguousarray((pixels * 255).round().astype(np.uint8))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--all", metavar="FOLDER")
    folder = parser.parse_args().all
    cases = [{**DEFAULTS, **case} for case in (every_combination() if folder else SUBSET)]
    target = pathlib.Path(folder) if folder else ROOT / "pipelines"
    target.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    tensors = {}
    for key, group in itertools.groupby(cases, lambda case: (case["checkpoint"], case["strength"] is not None, case["inpaint"])):
        pipe = load(*key)
        own_config, own_class = pipe.scheduler.config, type(pipe.scheduler)
        for case in group:
            latents, pixels = run(pipe, own_config, own_class, case)
            tensors[f"{case['name']}.latents"], tensors[f"{case['name']}.pixels"] = latents, pixels
    save_file(tensors, target / "pipelines.safetensors")
    for case in cases:
        case["seed"] = str(case["seed"])  # JSON readers lose digits beyond 2**53
    header = {"torch": torch.__version__, "diffusers": diffusers.__version__, "cases": cases}
    (target / "pipelines.json").write_text(json.dumps(header, indent=1) + "\n")
    print(f"{len(cases)} cases in {target}")


if __name__ == "__main__":
    main()
