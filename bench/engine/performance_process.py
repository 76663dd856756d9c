"""Peers of performance-process.ts: torch with diffusers, and OpenVINO's own Python on the graph that the engine writes.

Usage: started by performance.ts; argument: JSON of a `Measurement` with library and dtype, or model; answers with one
line of JSON, a `ProcessAnswer`.
"""

import json
import re
import sys
import time

asked = json.loads(sys.argv[1])
threads, size, runs, part = asked["threads"], asked["size"], asked["runs"], asked["part"]


def wave(shape):
    import numpy as np

    count = int(np.prod(shape))
    return (np.sin(np.arange(count, dtype=np.float64) * 12.9898) * 1.2).astype(np.float32).reshape(shape)


def measured(load, run):
    seconds, processor = [], []
    for index in range(runs + 1):
        started, used = time.perf_counter(), time.process_time()
        run()
        # The first run touches the weights for the first time.
        if index > 0:
            seconds.append(time.perf_counter() - started)
            processor.append(time.process_time() - used)
    return {part: {"load": load, "seconds": seconds, "processor": processor, **memory()}}


def memory():
    status = open("/proc/self/status").read()
    in_bytes = lambda name: int(re.search(name + r":\s+(\d+)", status)[1]) * 1024
    return {"peakBytes": in_bytes("VmHWM"), "ownBytes": in_bytes("RssAnon")}


def openvino_part():
    import openvino

    started = time.perf_counter()
    core = openvino.Core()
    properties = {
        "INFERENCE_PRECISION_HINT": asked["dtype"], "NUM_STREAMS": 1, "INFERENCE_NUM_THREADS": threads,
        "CACHE_DIR": asked["cache"] + "/peer-compiled", "CACHE_MODE": "OPTIMIZE_SIZE",
    }  # fmt: skip
    request = core.compile_model(asked["model"], "CPU", properties).create_infer_request()
    feeds = {}
    for port in request.model_inputs:
        shape = [77 if d.is_dynamic else d.get_length() for d in port.get_partial_shape()]
        feeds[port.get_any_name()] = wave(shape)
    if "timestep" in feeds:
        feeds["timestep"][:] = 500
    return measured(time.perf_counter() - started, lambda: request.infer(feeds))


def torch_part():
    import torch
    from diffusers import AutoencoderKL, UNet2DConditionModel

    torch.set_num_threads(threads)
    dtype = getattr(torch, asked["dtype"])
    started = time.perf_counter()
    kind = AutoencoderKL if part == "vae" else UNet2DConditionModel
    model = kind.from_pretrained(asked["checkpoint"], subfolder=part, torch_dtype=dtype).eval()
    load = time.perf_counter() - started
    tensor = lambda *shape: torch.from_numpy(wave(shape)).to(dtype)
    if part == "vae":
        latents = tensor(1, model.config.latent_channels, *[size >> (len(model.config.block_out_channels) - 1)] * 2)
        run = lambda: model.decode(latents).sample
    else:
        vae = json.load(open(asked["checkpoint"] + "/vae/config.json"))
        side = size >> (len(vae["block_out_channels"]) - 1)
        config = model.config
        added = {}
        if config.addition_embed_type == "text_time":
            width = config.projection_class_embeddings_input_dim - 6 * config.addition_time_embed_dim
            added = {"text_embeds": tensor(1, width), "time_ids": tensor(1, 6)}
        sample, states = tensor(1, config.in_channels, side, side), tensor(1, 77, config.cross_attention_dim)
        run = lambda: model(sample, 500, encoder_hidden_states=states, added_cond_kwargs=added).sample
    with torch.inference_mode():
        return measured(load, run)


def torch_pictures():
    import torch
    from diffusers import DiffusionPipeline, LCMScheduler

    torch.set_num_threads(threads)
    used, started = time.process_time(), time.perf_counter()
    pipe = DiffusionPipeline.from_pretrained(
        asked["checkpoint"], torch_dtype=getattr(torch, asked["dtype"]), safety_checker=None
    )
    pipe.scheduler = LCMScheduler.from_config(pipe.scheduler.config)
    pipe.set_progress_bar_config(disable=True)
    load, opening = time.perf_counter() - started, time.process_time() - used
    spent = {}
    watch(spent, "text encoder", pipe, "encode_prompt")
    watch(spent, "UNet", pipe.unet, "forward")
    watch(spent, "VAE decoder", pipe.vae, "decode")
    drawn = []
    for index in range(runs + 1):
        spent.update({"text encoder": 0, "UNet": 0, "VAE decoder": 0})
        used, started = time.process_time(), time.perf_counter()
        with torch.inference_mode():
            pipe(
                asked["prompts"][index % len(asked["prompts"])], num_inference_steps=asked["steps"],
                guidance_scale=1.0, width=size, height=size,
            )  # fmt: skip
        drawn.append((time.perf_counter() - started, time.process_time() - used, dict(spent), memory()))
    (seconds, processor, _, of_first), *following = drawn
    first = {"load": load, "seconds": [load + seconds], "processor": [opening + processor], **of_first}
    return {
        "first": first,
        "following": {
            "seconds": [seconds for seconds, *_ in following],
            "processor": [processor for _, processor, *_ in following],
            "components": {name: [spent[name] for _, _, spent, _ in following] for name in spent},
            **drawn[-1][3],
        },
    }


def watch(spent, component, owner, method):
    """Has a method add the seconds that are spent in it to its component's."""
    work = getattr(owner, method)

    def watched(*args, **kwargs):
        started = time.perf_counter()
        result = work(*args, **kwargs)
        spent[component] += time.perf_counter() - started
        return result

    setattr(owner, method, watched)


if asked["library"] == "openvino":
    found = openvino_part()
elif part == "picture":
    found = torch_pictures()
else:
    found = torch_part()
print(json.dumps(found), flush=True)
