"""Peer of pipeline.ts: one LCM picture with diffusers, its phases as one line of JSON.

Usage: started by pipeline.ts --peer; arguments: FOLDER DTYPE THREADS SIZE STEPS
"""

import json
import sys
import time

import torch
from diffusers import LCMScheduler, StableDiffusionPipeline, StableDiffusionXLPipeline

folder, dtype, threads, size, steps = sys.argv[1], getattr(torch, sys.argv[2]), *map(int, sys.argv[3:6])
torch.set_num_threads(threads)
prompt = "an island in the ocean at sunset"


def seconds_since(started):
    return time.perf_counter() - started


started = time.perf_counter()
index = json.load(open(f"{folder}/model_index.json"))
if index["_class_name"] == "StableDiffusionPipeline":
    pipe = StableDiffusionPipeline.from_pretrained(
        folder, torch_dtype=dtype, safety_checker=None, requires_safety_checker=False
    )
else:
    pipe = StableDiffusionXLPipeline.from_pretrained(folder, torch_dtype=dtype)
pipe.scheduler = LCMScheduler.from_config(pipe.scheduler.config)
pipe.set_progress_bar_config(disable=True)
load = seconds_since(started)
with torch.inference_mode():
    started = time.perf_counter()
    pipe.encode_prompt(prompt, device="cpu", num_images_per_prompt=1, do_classifier_free_guidance=False)
    text = seconds_since(started)
    started = time.perf_counter()
    latents = pipe(
        prompt, num_inference_steps=steps, guidance_scale=1.0, width=size, height=size, output_type="latent"
    ).images
    denoise = seconds_since(started)
    started = time.perf_counter()
    pipe.image_processor.postprocess(pipe.vae.decode(latents / pipe.vae.config.scaling_factor).sample)
    decode = seconds_since(started)
picture = load + denoise + decode
print(json.dumps({"load": load, "text": text, "steps": denoise, "decode": decode, "picture": picture}), flush=True)
sys.stdin.read()
