"""Golden latents of what requests of the lora endpoints set, each for SD1.5 and SDXL, on tiny random checkpoints, float32.
Written to packages/engine/test/golden/data/lora-fields/, with the adapters that the other scripts do not make.

    python scripts/golden/lora_fields.py        (after the other scripts)

diffusers draws them, as in pipelines.py and conditioning.py, whose cases these are.
"""

import contextlib
import functools
import json
import math

import diffusers
import torch
from conditioning import CONTROL, POOLED, PROMPT, NEGATIVE, PROMPT_IMAGE, SDXL_CONTROL
from conditioning import DEFAULTS as CONDITIONED_DEFAULTS
from conditioning import run as run_conditioned
from conditioning_models import flat, ip_adapter
from diffusers import UNet2DConditionModel
from lora_pipelines import SCALE, apply_lora
from pipelines import CHECKPOINTS, DEFAULTS, SCHEDULERS, load, run
from prompt_weighting import CASES as WEIGHTED
from prompt_weighting import sd15, sdxl
from safetensors.torch import load_file, save_file

OUT = CHECKPOINTS.parent / "lora-fields"
BASES = {"sd15": "tiny-sd15", "sdxl": "tiny-sdxl"}

# One value of a field each, asked of both bases.
FIELDS = [
    *({"name": f"scheduler-{name or 'own'}", "scheduler": name, "steps": 5} for name in SCHEDULERS),
    {"name": "timesteps-DPM++", "scheduler": "DPM++ 2M", "timesteps": [999, 700, 400, 100]},
    {"name": "timesteps-LCM", "scheduler": "LCM", "timesteps": [999, 759, 499]},
    {"name": "timesteps-Euler", "scheduler": "Euler", "timesteps": [950, 500, 100]},
    {"name": "sigmas", "scheduler": "Euler", "sigmas": [14.6146, 4.0817, 0.6932, 0.0]},
    {"name": "eta-DDIM", "scheduler": "DDIM", "eta": 0.7},
    {"name": "eta-TCD", "scheduler": "TCD", "eta": 1.0},
    {"name": "prediction-type", "scheduler": "DPM++ 2M", "prediction_type": "v_prediction"},
    {"name": "rescale-betas", "scheduler": "Euler (trailing timesteps)", "prediction_type": "v_prediction", "rescale_betas": True},
    {"name": "rescale-betas-DDIM", "scheduler": "DDIM", "prediction_type": "v_prediction", "rescale_betas": True},
    {"name": "num-images", "scheduler": "Euler A", "num_images": 3, "seed": 2**63 + 5},
    {"name": "no-steps-but-one", "scheduler": "LCM", "steps": 1},
    {"name": "guidance-0", "scheduler": "DDIM", "guidance_scale": 0.0},
    {"name": "guidance-20", "scheduler": "DDIM", "guidance_scale": 20.0},
    {"name": "clip-skip-1", "scheduler": "DDIM", "clip_skip": 1},
    {"name": "clip-skip-2", "scheduler": "DDIM", "clip_skip": 2},
    {"name": "negative-prompt", "scheduler": "DDIM", "negative_prompt": ""},
    {"name": "image-size", "scheduler": "DDIM", "width": 40, "height": 72},
    {"name": "prompt-weighting", "scheduler": "DDIM", "prompt_weighting": "weights"},
    {"name": "prompt-weighting-long", "scheduler": "DDIM", "prompt_weighting": "long", "clip_skip": 0},
    {"name": "prompt-weighting-break", "scheduler": "DDIM", "prompt_weighting": "break"},
    {"name": "unet-name", "scheduler": "DDIM", "unet": True},
    {"name": "image-to-image", "scheduler": "DPM++ 2M Karras", "strength": 0.6, "steps": 6},
    {"name": "inpaint", "scheduler": "Euler", "strength": 0.6, "steps": 6, "inpaint": "plain"},
    {"name": "inpaint-trained", "scheduler": "Euler", "strength": 0.8, "steps": 5, "inpaint": "trained"},
]
LORAS = {
    "sd15": [[["plain-kohya", 0.5]], [["plain-kohya", -0.7]], [["plain-kohya", 0.5], ["attention-processors", 0.4], ["plain-kohya", 0.3]]],
    "sdxl": [[["kohya-sgm", 1.3]], [["kohya-sgm", -0.7]], [["kohya-sgm", 0.5], ["peft-sdxl", 0.4], ["kohya-sgm", 0.3]]],
}  # fmt: skip

TILE = [128, 128, 64, 80]
LARGE = {"width": 160, "height": 144, "steps": 3}
POOLED_SDXL = {**SDXL_CONTROL, "config": {"global_pool_conditions": True, "controlnet_conditioning_channel_order": "bgr"}}
CONTROLS = {"sd15": (CONTROL, POOLED), "sdxl": (SDXL_CONTROL, {**SDXL_CONTROL, "model": "controlnet-sdxl-small", "image": 2})}
IMAGES = {
    "sd15": {kind: {**PROMPT_IMAGE, "adapter": kind} for kind in ("base", "plus", "full")},
    "sdxl": {
        "base": {**PROMPT_IMAGE, "adapter": "base-sdxl"},
        "plus": {**PROMPT_IMAGE, "adapter": "../lora-fields/image-plus-sdxl"},
        "full": {**PROMPT_IMAGE, "adapter": "../lora-fields/image-full-sdxl"},
    },
}
BLOCKS = {
    "sd15": {"down": {"block_1": 0.5}, "mid": 0.9, "up": {"block_1": [0.2, 1.0]}},
    "sdxl": {"down": {"block_1": [0.0, 0.7]}, "mid": 0.4, "up": {"block_0": [0.2, 1.0, 0.5]}},
}


def conditioned(base):
    control, other = CONTROLS[base]
    image = IMAGES[base]
    loras = LORAS[base][2][:2]
    cases = [
        {"name": "control-scale", "controlnets": [{**control, "scale": 0.6}]},
        {"name": "control-range", "controlnets": [{**control, "start": 0.25, "end": 0.75}]},
        {"name": "control-mask", "controlnets": [{**control, "mask": "left"}]},
        {"name": "control-two", "controlnets": [{**control, "scale": 0.7, "end": 0.6}, {**other, "scale": 0.4}]},
        {"name": "control-guess", "guess_mode": True, "controlnets": [control]},
        {"name": "control-pooled", "controlnets": [POOLED if base == "sd15" else POOLED_SDXL]},
        {"name": "image", "image_prompts": [image["base"]]},
        {"name": "image-plus", "image_prompts": [image["plus"]]},
        {"name": "image-full", "image_prompts": [{**image["full"], "scale": -0.4}]},
        {"name": "image-several", "image_prompts": [{**image["plus"], "images": [3, 4, 6]}]},
        {"name": "image-two-adapters", "image_prompts": [image["base"], {**image["plus"], "images": [4], "scale": 0.3}]},
        {"name": "image-blocks", "image_prompts": [{**image["base"], "scale_json": BLOCKS[base]}]},
        {"name": "image-mask", "image_prompts": [{**image["base"], "masks": ["left"]}]},
        {"name": "image-noise", "image_prompts": [{**image["base"], "noise": 0.4}]},
        {"name": "image-noise-plus", "image_prompts": [{**image["plus"], "noise": 0.4}]},
        {"name": "tiles", **LARGE, "tile": TILE},
        {"name": "everything", **LARGE, "tile": TILE, "clip_skip": 1, "loras": loras, "embedding": True,
         "controlnets": [{**control, "mask": "top"}, {**other, "scale": 0.5}],
         "image_prompts": [{**image["base"], "masks": ["left"]}]},
    ]  # fmt: skip
    if base == "sd15":
        cases += [
            {"name": "ic-light-fc", "ic_light": {"model": "ic-light-fc", "image": 1, "background": None}},
            {"name": "ic-light-fbc", "ic_light": {"model": "ic-light-fbc", "image": 1, "background": 2}},
        ]
    return [{**CONDITIONED_DEFAULTS, **case, "checkpoint": BASES[base], "name": f"{base}-{case['name']}"} for case in cases]


def plain(base):
    cases = [{**case, "name": f"{base}-{case['name']}"} for case in FIELDS]
    cases += [{"name": f"{base}-loras-{i}", "scheduler": "DDIM", "loras": loras} for i, loras in enumerate(LORAS[base])]
    kinds = ["locon", "loha", "lokr", "dora", "full"]
    cases += [{"name": f"{base}-{kind}", "scheduler": "DDIM", "added": f"{kind}-{base}"} for kind in kinds]
    extra = {"prompt_weighting": None, "unet": False, "rescale_betas": False, "loras": [], "added": None}
    return [{**DEFAULTS, **extra, **case, "checkpoint": BASES[base]} for case in cases]


def run_plain(case):
    pipe = load(case["checkpoint"], case["strength"] is not None, case["inpaint"])
    if case["unet"]:
        with torch.no_grad():
            for key, value in pipe.unet.named_parameters():
                if key.startswith("mid_block"):
                    value.mul_(0.75)
    for i, (name, scale) in enumerate(case["loras"]):
        apply_lora(pipe, name, f"a{i}", scale)
    if case["loras"]:
        pipe.set_adapters([f"a{i}" for i in range(len(case["loras"]))], [scale for _, scale in case["loras"]])
    if case["added"]:
        for key, delta in load_file(OUT / f"{case['added']}.deltas.safetensors").items():
            pipe.unet.get_parameter(key).data.add_(delta)
    if case["prompt_weighting"]:
        encode_weighted(pipe, case)
    config = dict(pipe.scheduler.config)
    if case["rescale_betas"]:
        config["rescale_betas_zero_snr"] = True
    with recorded_passes(SCHEDULERS[case["scheduler"]][0] or type(pipe.scheduler)) as passes:
        return torch.from_numpy(run(pipe, config, type(pipe.scheduler), case)[0]), torch.stack(passes)


@contextlib.contextmanager
def recorded_passes(scheduler):
    """What each step gives, of schedulers of this class."""
    step, passes = scheduler.step, []

    # Pipelines look at the signature for what they pass.
    @functools.wraps(step)
    def recording(self, *args, **kwargs):
        result = step(self, *args, **kwargs)
        passes.append(result[0])
        return result

    scheduler.step = recording
    try:
        yield passes
    finally:
        scheduler.step = step


def encode_weighted(pipe, case):
    weighted = next(each for each in WEIGHTED if each["name"] == case["prompt_weighting"])
    case["prompt"], case["negative_prompt"] = weighted["prompt"], weighted["negative_prompt"]
    base = "sd15" if case["checkpoint"] == "tiny-sd15" else "sdxl"
    with torch.no_grad():
        found = {key: torch.from_numpy(value) for key, value in (sd15 if base == "sd15" else sdxl)(weighted).items()}
    halves = [found[f"{base}.{weighted['name']}.{half}"] for half in ("positive", "negative")]
    if base == "sdxl":
        halves += [found[f"{base}.{weighted['name']}.{half}.pooled"] for half in ("positive", "negative")]
    pipe.encode_prompt = lambda *args, **kwargs: tuple(halves)


def numbers(*shape):
    return torch.randn(shape) * 0.3


def name_of(path):
    return f"lora_unet_{path.replace('.', '_')}"


def peft_sdxl():
    """UNet and both encoders in PEFT's names, one rank and no alpha; `apply_lora` takes it from the folder of the others."""
    torch.manual_seed(40)
    block = "down_blocks.1.attentions.1.transformer_blocks.0"
    layer = "text_model.encoder.layers.1.self_attn.q_proj"
    modules = [("unet", "conv_in"), ("unet", f"{block}.attn2.to_k"), ("unet", f"{block}.ff.net.0.proj"), ("unet", "mid_block.resnets.0.conv1")]
    tensors, deltas = {}, {}
    for component, path in [*modules, ("text_encoder", layer), ("text_encoder_2", layer)]:
        folder = CHECKPOINTS / "tiny-sdxl" / component
        weight = load_file(next(folder.glob("*.safetensors")))[f"{path}.weight"]
        down = numbers(4, *weight.shape[1:])
        up = numbers(weight.shape[0], 4, *([1, 1] if weight.ndim == 4 else []))
        tensors |= {f"{component}.{path}.lora_A.weight": down, f"{component}.{path}.lora_B.weight": up}
        deltas[f"{component}/{path}.weight"] = SCALE * (up.flatten(1) @ down.flatten(1)).reshape(weight.shape)
    folder = CHECKPOINTS.parent / "lora"
    save_file(tensors, folder / "peft-sdxl.safetensors")
    save_file(deltas, folder / "peft-sdxl.deltas.safetensors")


def other_kinds(base, seed):
    """A file of each kind that diffusers does not load, and its change by the kind's formula, of a matrix and a convolution."""
    torch.manual_seed(seed)
    unet = load_file(CHECKPOINTS / BASES[base] / "unet/diffusion_pytorch_model.safetensors")
    block = {"sd15": "down_blocks.0", "sdxl": "down_blocks.1"}[base]
    matrix, convolution = f"{block}.attentions.0.transformer_blocks.0.attn1.to_q", f"{block}.resnets.0.conv2"
    files = {kind: ({}, {}) for kind in ("locon", "loha", "lokr", "dora", "full")}

    def put(kind, path, parts, delta):
        tensors, deltas = files[kind]
        tensors.update({f"{name_of(path)}.{part}": value for part, value in parts.items()})
        deltas[f"{path}.weight"] = delta.float().reshape(unet[f"{path}.weight"].shape).contiguous()

    for path in (matrix, convolution):
        weight = unet[f"{path}.weight"]
        out, inputs, *kernel = weight.shape
        width = inputs * math.prod(kernel)
        a, b, c, d = numbers(out, 3), numbers(3, width), numbers(out, 3), numbers(3, width)
        product = (a.double() @ b.double()) * (c.double() @ d.double())
        parts = {"hada_w1_a": a, "hada_w1_b": b, "hada_w2_a": c, "hada_w2_b": d, "alpha": torch.tensor(2.0)}
        put("loha", path, parts, SCALE * 2 / 3 * product)
        first, second = numbers(2, 2), numbers(out // 2, inputs // 2, *kernel)
        # [2, 2] ⊗ [out/2, in/2] at each place of the kernel.
        places = second.double().reshape(out // 2, inputs // 2, -1).unbind(-1)
        delta = torch.stack([torch.kron(first.double(), place) for place in places], dim=-1)
        put("lokr", path, {"lokr_w1": first, "lokr_w2": second}, SCALE * delta)
        down, up = numbers(3, inputs, *kernel), numbers(out, 3, *[1 for _ in kernel])
        changed = weight.double() + SCALE * (up.double().flatten(1) @ down.double().flatten(1)).reshape(weight.shape)
        norms = weight.flatten(1).norm(dim=1) * 1.2
        grown = changed * (norms.double() / changed.flatten(1).norm(dim=1)).reshape(-1, *[1 for _ in range(weight.ndim - 1)])
        parts = {"lora_down.weight": down, "lora_up.weight": up, "dora_scale": norms.reshape(-1, *[1 for _ in weight.shape[1:]])}
        put("dora", path, parts, grown - weight.double())
        difference = numbers(*weight.shape)
        put("full", path, {"diff": difference}, SCALE * difference)
    out, inputs, *kernel = unet[f"{convolution}.weight"].shape
    down, mid, up = numbers(3, inputs, 1, 1), numbers(3, 3, *kernel), numbers(out, 3, 1, 1)
    delta = torch.einsum("op,pqhw,qi->oihw", up.double()[..., 0, 0], mid.double(), down.double()[..., 0, 0])
    put("locon", convolution, {"lora_down.weight": down, "lora_mid.weight": mid, "lora_up.weight": up}, SCALE * delta)
    norm = f"{block}.resnets.0.norm1"
    weight, bias = numbers(unet[f"{norm}.weight"].shape[0]), numbers(unet[f"{norm}.weight"].shape[0])
    put("full", norm, {"w_norm": weight, "b_norm": bias}, SCALE * weight)
    files["full"][1][f"{norm}.bias"] = SCALE * bias
    for kind, (tensors, deltas) in files.items():
        save_file({key: value.contiguous() for key, value in tensors.items()}, OUT / f"{kind}-{base}.safetensors")
        save_file(deltas, OUT / f"{kind}-{base}.deltas.safetensors")


def image_adapters():
    unet = UNet2DConditionModel.from_pretrained(CHECKPOINTS / "tiny-sdxl/unet")
    for kind, seed in (("plus", 31), ("full", 33)):
        tensors = {key: value.contiguous() for key, value in flat(ip_adapter(unet, kind, seed)).items()}
        save_file(tensors, OUT / f"image-{kind}-sdxl.safetensors", metadata={"format": "pt"})


def main():
    torch.set_num_threads(1)
    OUT.mkdir(parents=True, exist_ok=True)
    image_adapters()
    peft_sdxl()
    latents, header = {}, {}
    for seed, base in enumerate(BASES):
        other_kinds(base, 50 + seed)
        plain_cases, conditioned_cases = plain(base), conditioned(base)
        for case in plain_cases:
            latents[case["name"]], passes = run_plain(case)
            if case["name"].endswith("num-images"):
                latents[f"{case['name']}.passes"] = passes
            case["seed"] = str(case["seed"])
        with torch.no_grad():
            for case in conditioned_cases:
                latents[case["name"]] = run_conditioned(case)
        header.setdefault("plain", []).extend(plain_cases)
        header.setdefault("conditioned", []).extend(conditioned_cases)
    save_file(latents, OUT / "latents.safetensors")
    for path in [*OUT.glob("*.deltas.safetensors"), CHECKPOINTS.parent / "lora/peft-sdxl.deltas.safetensors"]:
        path.unlink()
    for path in OUT.iterdir():
        path.chmod(0o644)
    versions = {"torch": torch.__version__, "diffusers": diffusers.__version__}
    header = {**versions, "prompt": PROMPT, "negative_prompt": NEGATIVE, "added_scale": SCALE, **header}
    (OUT / "cases.json").write_text(json.dumps(header, indent=1) + "\n")
    print(len(latents), "cases")


if __name__ == "__main__":
    main()
