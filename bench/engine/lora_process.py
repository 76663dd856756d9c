"""Peer of lora-process.ts: the same with diffusers and PEFT in torch float32, by `load_lora_weights` and `set_adapters`.

Usage: started by lora-switch.ts --peer; arguments: CHECKPOINT THREADS SIZE
"""

import json
import re
import resource
import sys
import time

import torch
from diffusers import StableDiffusionPipeline
from diffusers.utils import logging

logging.set_verbosity_error()
folder, threads, side = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
torch.set_num_threads(threads)
pipe = StableDiffusionPipeline.from_pretrained(folder, safety_checker=None, requires_safety_checker=False)
unet = pipe.unet


def wave(*shape):
    index = torch.arange(torch.Size(shape).numel(), dtype=torch.float64)
    return (torch.sin(index * 12.9898) * 0.02).to(torch.float32).reshape(shape)


sample, states = wave(1, unet.config.in_channels, side, side), wave(1, 77, unet.config.cross_attention_dim)


def cpu_seconds():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def status(field):
    text = open("/proc/self/smaps_rollup").read() + open("/proc/self/status").read()
    return int(re.search(rf"{field}:\s+(\d+)", text)[1]) * 1024 / 1e9


names = 0
path = ""
print(json.dumps({"layers": 0}), flush=True)
with torch.inference_mode():
    for line in sys.stdin:
        started, before = time.perf_counter(), cpu_seconds()
        if line.strip() != path:
            if path:
                pipe.delete_adapters(f"lora{names}")
            path = line.strip()
            if path:
                names += 1
                pipe.load_lora_weights(path, adapter_name=f"lora{names}")
                pipe.set_adapters([f"lora{names}"], [1.0])
        unet(sample, 500, encoder_hidden_states=states)
        result = {"seconds": time.perf_counter() - started, "cpuSeconds": cpu_seconds() - before}
        print(json.dumps({**result, "gigabytes": status("Pss"), "peakGigabytes": status("VmHWM")}), flush=True)
