"""Peer of unet-step.ts: runs diffusers' UNet in torch float32 (SDPA attention), one step for each line on stdin.

Usage: started by unet-step.ts --peer; arguments: FOLDER THREADS LATENT_SIZE
"""

import json
import sys
import time

import torch
from diffusers import UNet2DConditionModel

folder, threads, size = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
torch.set_num_threads(threads)
started = time.perf_counter()
unet = UNet2DConditionModel.from_pretrained(folder, subfolder="unet").eval()


def wave(*shape: int) -> torch.Tensor:
    index = torch.arange(torch.Size(shape).numel(), dtype=torch.float64)
    return (torch.sin(index * 12.9898) * 1.2).to(torch.float32).reshape(shape)


sample, states = wave(1, unet.config.in_channels, size, size), wave(1, 77, unet.config.cross_attention_dim)
print(json.dumps({"torch": torch.__version__, "loadSeconds": time.perf_counter() - started}), flush=True)
with torch.inference_mode():
    for _ in sys.stdin:
        started = time.perf_counter()
        noise = unet(sample, 500, encoder_hidden_states=states).sample
        seconds = time.perf_counter() - started
        print(json.dumps({"seconds": seconds, "meanMagnitude": noise.abs().mean().item()}), flush=True)
