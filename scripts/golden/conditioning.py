"""Golden latents of conditioned pipelines: ControlNets, IP-Adapters, IC-Light, tiles and all at once, on tiny random checkpoints, float32.
Written to packages/engine/test/golden/data/conditioning/pipelines.{json,safetensors}.

    python scripts/golden/conditioning.py        (after conditioning_models.py)

diffusers' pipelines draw them. What diffusers does not have is composed around its models: masks of ControlNets and a ControlNet that
attends to image prompts (as InstantID does), tiles (windows averaged uniformly), IC-Light.
"""

import json
import types

import diffusers
import numpy as np
import torch
import torch.nn.functional as F
from checkpoints import DATA as CHECKPOINTS
from conditioning_models import DATA
from diffusers import ControlNetModel
from diffusers.image_processor import IPAdapterMaskProcessor
from diffusers.models.controlnets.multicontrolnet import MultiControlNetModel
from lora import apply_lora
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import CLIPImageProcessor, CLIPVisionModelWithProjection

PROMPT, NEGATIVE = "a red <cat-toy> house by the sea", "night"
EMBEDDINGS = {"tiny-sd15": "diffusers", "tiny-sdxl": "pivotal"}
DEFAULTS = {
    "checkpoint": "tiny-sd15", "width": 64, "height": 48, "steps": 4, "guidance_scale": 5.0, "clip_skip": 0, "seed": 7,
    "controlnets": [], "guess_mode": False, "image_prompts": [], "tile": None, "ic_light": None,
    "loras": [], "embedding": False, "strength": None, "scheduler": "DDIM",
}  # fmt: skip
SCHEDULERS = {
    "DDIM": (diffusers.DDIMScheduler, {}),
    "LCM": (diffusers.LCMScheduler, {}),
    "DPM++ 2M Karras": (diffusers.DPMSolverMultistepScheduler, {"use_karras_sigmas": True}),
}
CONTROL = {"model": "controlnet-sd15", "image": 1, "scale": 1.0, "start": 0.0, "end": 1.0, "mask": None, "tokens": None}
POOLED = {**CONTROL, "model": "controlnet-pooled", "image": 2}
SDXL_CONTROL = {**CONTROL, "model": "controlnet-sdxl"}
PROMPT_IMAGE = {"adapter": "base", "images": [3], "faces": None, "masks": None, "scale": 0.8, "scale_json": None, "shortcut": True,
                "averaged": False, "resampling": "bicubic"}  # fmt: skip
CONTROL_SIZE = (60, 60)
BICUBIC_MASK = IPAdapterMaskProcessor.downsample
TILE = [32, 32, 20, 24]  # width, height and the strides

IDENTITY = {**SDXL_CONTROL, "scale": 0.7, "tokens": 0}
INSTANTID = {
    "checkpoint": "tiny-sdxl", "scheduler": "LCM", "steps": 5, "guidance_scale": 1.5, "loras": [["kohya-sgm", 1.0]],
    "controlnets": [{**IDENTITY, "mask": "face"}, {**SDXL_CONTROL, "model": "controlnet-sdxl-small", "image": 2, "scale": 0.4}],
    "image_prompts": [{**PROMPT_IMAGE, "adapter": "instantid-sdxl", "images": None, "faces": [8], "scale": 0.7, "masks": ["face"],
                       "resampling": "nearest"}],
}  # fmt: skip
AVERAGED = {
    "scheduler": "DPM++ 2M Karras", "steps": 10, "guidance_scale": 7.0, "strength": 0.8, "controlnets": [CONTROL],
    "image_prompts": [{**PROMPT_IMAGE, "adapter": "plus", "images": [3, 4, 6], "averaged": True, "scale": 0.7}],
}  # fmt: skip

CASES = [
    {"name": "control", "controlnets": [{**CONTROL, "scale": 0.8}]},
    {"name": "control-steps", "controlnets": [{**CONTROL, "start": 0.25, "end": 0.75}]},
    {"name": "control-guess", "guess_mode": True, "controlnets": [CONTROL]},
    {"name": "control-guess-no-guidance", "guess_mode": True, "guidance_scale": 1.0, "controlnets": [CONTROL]},
    {"name": "control-pooled", "controlnets": [POOLED]},
    {"name": "control-two", "controlnets": [{**CONTROL, "scale": 0.7, "end": 0.6}, {**POOLED, "scale": 0.4}]},
    {"name": "control-odd", "width": 72, "height": 56, "controlnets": [CONTROL]},
    {"name": "control-mask", "controlnets": [{**CONTROL, "mask": "left"}]},
    {"name": "control-image-to-image", "strength": 0.6, "steps": 6, "controlnets": [{**CONTROL, "start": 0.3}]},
    {"name": "control-sdxl", "checkpoint": "tiny-sdxl", "controlnets": [SDXL_CONTROL]},
    {"name": "control-sdxl-small", "checkpoint": "tiny-sdxl", "guess_mode": True,
     "controlnets": [{**SDXL_CONTROL, "model": "controlnet-sdxl-small"}]},
    {"name": "image", "image_prompts": [PROMPT_IMAGE]},
    {"name": "image-no-guidance", "guidance_scale": 1.0, "image_prompts": [{**PROMPT_IMAGE, "adapter": "plus"}]},
    {"name": "image-plus-two", "image_prompts": [{**PROMPT_IMAGE, "adapter": "plus", "images": [3, 4]}]},
    {"name": "image-full", "image_prompts": [{**PROMPT_IMAGE, "adapter": "full"}]},
    {"name": "image-two-adapters", "image_prompts": [PROMPT_IMAGE, {**PROMPT_IMAGE, "adapter": "plus", "images": [4], "scale": -0.3}]},
    {"name": "image-blocks", "image_prompts": [
        {**PROMPT_IMAGE, "scale_json": {"down": {"block_1": 0.5}, "mid": 0.9, "up": {"block_1": [0.2, 1.0]}}}]},
    {"name": "image-masks", "width": 72, "height": 56, "image_prompts": [
        {**PROMPT_IMAGE, "images": [3, 4], "masks": ["left", "right"]}, {**PROMPT_IMAGE, "adapter": "plus", "masks": ["top"]}]},
    {"name": "image-sdxl", "checkpoint": "tiny-sdxl", "image_prompts": [{**PROMPT_IMAGE, "adapter": "base-sdxl"}]},
    {"name": "face-id", "image_prompts": [{**PROMPT_IMAGE, "adapter": "face-id", "images": None, "faces": [5, 6]}]},
    {"name": "face-id-plus", "image_prompts": [{**PROMPT_IMAGE, "adapter": "face-id-plus", "faces": [5]}]},
    {"name": "face-id-plus-v1", "image_prompts": [{**PROMPT_IMAGE, "adapter": "face-id-plus", "faces": [5], "shortcut": False}]},
    {"name": "face-id-lora", "image_prompts": [{**PROMPT_IMAGE, "adapter": "face-id-lora", "images": None, "faces": [5]}]},
    {"name": "instantid", "checkpoint": "tiny-sdxl", "controlnets": [{**SDXL_CONTROL, "tokens": 0}],
     "image_prompts": [{**PROMPT_IMAGE, "adapter": "instantid-sdxl", "images": None, "faces": [8]}]},
    # What fal-ai/instantid/lcm draws: the identity in the face's region alone, one further ControlNet, an LCM-LoRA.
    {"name": "instantid-region", **INSTANTID},
    {"name": "instantid-region-no-guidance", **INSTANTID, "guidance_scale": 1.0},
    {"name": "instantid-everywhere", **INSTANTID, "width": 72, "height": 56, "controlnets": [IDENTITY],
     "image_prompts": [{**PROMPT_IMAGE, "adapter": "instantid-sdxl", "images": None, "faces": [8], "scale": 0.7}]},
    # What fal-ai/controlnet-ip-adapter draws: several pictures as one image prompt, a pose, and a picture to start from.
    {"name": "image-averaged", **AVERAGED},
    {"name": "image-averaged-base", **AVERAGED, "strength": 0.5, "guidance_scale": 1.0,
     "image_prompts": [{**PROMPT_IMAGE, "images": [3, 4], "averaged": True}]},
    {"name": "tiles", "tile": TILE},
    {"name": "tiles-sdxl", "checkpoint": "tiny-sdxl", "tile": TILE, "controlnets": [SDXL_CONTROL]},
    {"name": "ic-light-fc", "ic_light": {"model": "ic-light-fc", "image": 1, "background": None}},
    {"name": "ic-light-fbc", "tile": TILE, "ic_light": {"model": "ic-light-fbc", "image": 1, "background": 2}},
    {"name": "everything", "clip_skip": 1, "loras": [["plain-kohya", 0.8], ["attention-processors", -0.5]], "embedding": True, "tile": TILE, "controlnets": [{**CONTROL, "mask": "top"}, {**POOLED, "scale": 0.5}],
     "image_prompts": [{**PROMPT_IMAGE, "masks": ["left"]}, {**PROMPT_IMAGE, "adapter": "plus", "images": [4]}]},
    {"name": "everything-sdxl", "checkpoint": "tiny-sdxl", "tile": TILE, "clip_skip": 1,
     "controlnets": [{**SDXL_CONTROL, "scale": 0.6}, {**SDXL_CONTROL, "model": "controlnet-sdxl-small", "image": 2, "start": 0.5}],
     "image_prompts": [{**PROMPT_IMAGE, "adapter": "base-sdxl", "masks": ["right"]}]},
]  # fmt: skip


def picture(seed, width, height):
    y, x = np.mgrid[0:height, 0:width]
    channels = [(x * (3 + c + seed) + y * (5 + 2 * c) + 31 * seed * (c + 1)) % 256 for c in range(3)]
    return Image.fromarray(np.stack(channels, axis=-1).astype(np.uint8))


def mask_picture(name, width, height):
    y, x = np.mgrid[0:height, 0:width]
    white = {"left": 2 * x < width, "right": 2 * x >= width, "top": 3 * y < height,
             "face": (4 * x >= width) & (5 * x < 3 * width) & (3 * y >= height) & (8 * y < 7 * height)}[name]  # fmt: skip
    return Image.fromarray(np.where(white, 255, 0).astype(np.uint8)).convert("RGB")


def face(seed, size):
    return torch.randn(size, generator=torch.Generator().manual_seed(seed))


def crop(maps, window, factor=1):
    top, left, height, width = (side * factor for side in window)
    return maps[..., top : top + height, left : left + width]


def load_pipeline(case):
    sdxl = case["checkpoint"] == "tiny-sdxl"
    names = {
        (False, False): "StableDiffusionPipeline", (False, True): "StableDiffusionControlNetPipeline",
        (True, False): "StableDiffusionXLPipeline", (True, True): "StableDiffusionXLControlNetPipeline",
    }  # fmt: skip
    extra = {} if sdxl else {"safety_checker": None, "requires_safety_checker": False}
    models = [ControlNetModel.from_pretrained(DATA / control["model"]).eval() for control in case["controlnets"]]
    for model, control in zip(models, case["controlnets"]):
        model.register_to_config(**control.get("config", {}))
    if models:
        extra["controlnet"] = models[0] if len(models) == 1 else models
    name = names[sdxl, bool(models)]
    if case["strength"] is not None:
        name = name.replace("Pipeline", "Img2ImgPipeline")
    pipe = getattr(diffusers, name).from_pretrained(CHECKPOINTS / case["checkpoint"], **extra)
    if not hasattr(pipe.text_encoder, "text_model"):
        object.__setattr__(pipe.text_encoder, "text_model", pipe.text_encoder)
    scheduler, options = SCHEDULERS[case["scheduler"]]
    pipe.scheduler = scheduler.from_config(pipe.scheduler.config, **options)
    pipe.set_progress_bar_config(disable=True)
    return pipe, models


def two_level(flat):
    result = {"image_proj": {}, "ip_adapter": {}}
    for key, value in flat.items():
        part, _, name = key.partition(".")
        result[part][name] = value
    return result


def apply_image_prompts(pipe, case):
    """Arguments of the call, after the adapters are in the UNet."""
    prompts = case["image_prompts"]
    if not prompts:
        return {}
    encoder = CLIPVisionModelWithProjection.from_pretrained(DATA / "image-encoder").eval()
    size = encoder.config.image_size
    pipe.register_modules(image_encoder=encoder, feature_extractor=CLIPImageProcessor(size=size, crop_size=size))
    adapters = [two_level(load_file(DATA / f"{prompt['adapter']}.safetensors")) for prompt in prompts]
    noises = {prompt.get("noise", 0) for prompt in prompts}
    if noises != {0}:
        assert len(noises) == 1
        take_noise_for_nothing(pipe, noises.pop(), size)
    pipe.unet._load_ip_adapter_weights(adapters, low_cpu_mem_usage=False)
    pipe.set_ip_adapter_scale([prompt["scale_json"] or prompt["scale"] for prompt in prompts])
    for index, factors in pipe.unet._load_ip_adapter_loras(adapters).items():
        pipe.load_lora_weights(factors, adapter_name=f"faceid_{index}")
    arguments = {}
    guided = case["guidance_scale"] > 1
    if any(prompt["faces"] for prompt in prompts):
        assert len(prompts) == 1
        arguments["ip_adapter_image_embeds"] = [face_embeds(pipe, prompts[0], guided, size)]
    elif any(prompt["averaged"] for prompt in prompts):
        assert len(prompts) == 1
        arguments["ip_adapter_image_embeds"] = [averaged_embeds(pipe, prompts[0], guided)]
    else:
        arguments["ip_adapter_image"] = [[picture(seed, 40, 30) for seed in prompt["images"]] for prompt in prompts]
    if any(prompt["masks"] for prompt in prompts):
        masks = []
        for prompt in prompts:
            # A prompt without a mask counts everywhere; diffusers knows masks for all adapters or none.
            names = prompt["masks"]
            if names:
                pictures = [mask_picture(name, 50, 50) for name in names]
                made = IPAdapterMaskProcessor().preprocess(pictures, height=case["height"], width=case["width"])
                masks.append(made.reshape(1, len(names), case["height"], case["width"]))
            else:
                masks.append(torch.ones(1, len(prompt["images"]), case["height"], case["width"]))
        arguments["cross_attention_kwargs"] = {"ip_adapter_masks": masks}
    return arguments


def take_noise_for_nothing(pipe, deviation, size):
    """`unconditional_noising_factor`: what guidance leads away from is a grey picture with noise."""
    noise = torch.randn(size * size * 3, generator=torch.Generator().manual_seed(0)).numpy().astype(np.float64)
    pixels = np.clip(np.rint(255 * (0.5 + deviation * noise)), 0, 255).astype(np.uint8)
    nothing = Image.fromarray(pixels.reshape(size, size, 3))
    encode = pipe.encode_image

    def encode_image(image, device, count, hidden_states=None):
        positive, negative = encode(image, device, count, hidden_states)
        return positive, encode(nothing, device, count, hidden_states)[0].expand_as(negative)

    pipe.encode_image = encode_image


def face_embeds(pipe, prompt, guided, size):
    layer = pipe.unet.encoder_hid_proj.image_projection_layers[0]
    if prompt["adapter"].startswith("instantid"):
        faces = torch.stack([face(seed, 12)[None] for seed in prompt["faces"]])[None]
    else:
        faces = torch.stack([face(seed, 14) for seed in prompt["faces"]])[None]
    if prompt["adapter"] == "face-id-plus":
        pixels = pipe.feature_extractor([picture(seed, 40, 30) for seed in prompt["images"]], return_tensors="pt").pixel_values
        states = pipe.image_encoder(pixels, output_hidden_states=True).hidden_states[-2][None]
        nothing = pipe.image_encoder(torch.zeros_like(pixels), output_hidden_states=True).hidden_states[-2][None]
        layer.clip_embeds = torch.cat([nothing, states]) if guided else states
        layer.shortcut = prompt["shortcut"]
    return torch.cat([torch.zeros_like(faces), faces]) if guided else faces


def averaged_embeds(pipe, prompt, guided):
    """The mean of what the pipeline's own encode_image gives of each picture, as [nothing, mean] with guidance."""
    pooled = prompt["adapter"].startswith("base")
    encoded = [pipe.encode_image(picture(seed, 40, 30), "cpu", 1, not pooled) for seed in prompt["images"]]
    mean = torch.stack([positive for positive, _ in encoded]).mean(dim=0)[None]
    return torch.cat([encoded[0][1][None], mean]) if guided else mean


def nearest_mask(mask, batch_size, num_queries, value_embed_dim):
    """InstantID's region control (ip_adapter/attention_processor.py) in place of IPAdapterMaskProcessor.downsample."""
    ratio = (mask.shape[-2] * mask.shape[-1] / num_queries) ** 0.5
    small = F.interpolate(mask[None], scale_factor=1 / ratio, mode="nearest").reshape(1, -1, 1)
    return small.repeat(batch_size, 1, value_embed_dim)


def windows_of(case, factor):
    height, width = case["height"] // factor, case["width"] // factor
    if not case["tile"]:
        return [(0, 0, height, width)]
    tile_width, tile_height, stride_width, stride_height = (side // factor for side in case["tile"])
    starts = lambda length, tile, stride: [*range(0, length - tile, stride), length - tile]  # noqa: E731
    return [
        (top, left, tile_height, tile_width)
        for top in starts(height, tile_height, stride_height)
        for left in starts(width, tile_width, stride_width)
    ]


def patch(pipe, models, case, ic_channels):
    """ControlNets and UNet over windows; ControlNets with masks and tokens."""
    factor = pipe.vae_scale_factor
    windows = windows_of(case, factor)
    asked = {}
    for model, control in zip(models, case["controlnets"]):
        patch_controlnet(pipe, model, control, case, asked)
    if models:
        whole = pipe.controlnet.forward
        pipe.controlnet.forward = lambda *args, **kwargs: asked.update(control=(args, kwargs)) or whole(*args, **kwargs)
    forward = pipe.unet.forward

    def tiled(self, sample, timestep, encoder_hidden_states, **kwargs):
        total, counts = torch.zeros_like(sample), torch.zeros_like(sample)
        for window in windows:
            own = dict(kwargs)
            if models and len(windows) > 1:
                own["down_block_additional_residuals"], own["mid_block_additional_residual"] = control_window(
                    whole, *asked["control"], window, factor, asked
                )
            if kwargs.get("cross_attention_kwargs"):
                masks = kwargs["cross_attention_kwargs"]["ip_adapter_masks"]
                own["cross_attention_kwargs"] = {"ip_adapter_masks": [crop(mask, window, factor) for mask in masks]}
            x = crop(sample, window)
            if ic_channels is not None:
                x = torch.cat([x, crop(ic_channels, window).repeat(x.shape[0], 1, 1, 1)], dim=1)
            part = forward(x, timestep, encoder_hidden_states=encoder_hidden_states, **{**own, "return_dict": False})[0]
            crop(total, window)[...] += part
            crop(counts, window)[...] += 1
        return (total / counts,)

    pipe.unet.forward = types.MethodType(tiled, pipe.unet)


def patch_controlnet(pipe, model, control, case, asked):
    forward = model.forward
    mask = None
    if control["mask"]:
        resized = mask_picture(control["mask"], *CONTROL_SIZE).resize((case["width"], case["height"]), Image.LANCZOS)
        pixels = np.array(resized)[:, :, 0]
        mask = torch.tensor(pixels / 255, dtype=torch.float32)[None, None]

    def masked(*args, encoder_hidden_states, **kwargs):
        if control["tokens"] is not None:
            encoder_hidden_states = tokens_of(pipe, case, control["tokens"])
        down, mid = forward(*args, encoder_hidden_states=encoder_hidden_states, **{**kwargs, "return_dict": False})
        if mask is None:
            return down, mid
        own = crop(mask, asked["window"], pipe.vae_scale_factor) if "window" in asked else mask
        resized = [F.interpolate(own, size=r.shape[-2:], mode="bilinear") for r in [*down, mid]]
        return [r * m for r, m in zip(down, resized)], mid * resized[-1]

    model.forward = masked


def tokens_of(pipe, case, index):
    prompt = case["image_prompts"][index]
    embeds = face_embeds(pipe, prompt, case["guidance_scale"] > 1, None)
    tokens = pipe.unet.encoder_hid_proj([embeds])[index]
    return tokens.reshape(tokens.shape[0], -1, tokens.shape[-1])


def control_window(whole, args, kwargs, window, factor, asked):
    """The pipelines name everything but the sample and the timestep."""
    sample, *rest = args
    condition = kwargs["controlnet_cond"]
    cropped = [crop(c, window, factor) for c in condition] if isinstance(condition, list) else crop(condition, window, factor)
    asked["window"] = window
    result = whole(crop(sample, window), *rest, **{**kwargs, "controlnet_cond": cropped})
    del asked["window"]
    return result


def apply_ic_light(pipe, ic_light, width, height):
    """gradio_demo.py and gradio_demo_bg.py of lllyasviel/IC-Light, written anew."""
    offsets = load_file(DATA / f"{ic_light['model']}.safetensors")
    own = pipe.unet.state_dict()
    channels = offsets["conv_in.weight"].shape[1]
    wide = torch.nn.Conv2d(channels, pipe.unet.conv_in.out_channels, 3, padding=1)
    wide.weight.zero_()
    wide.weight[:, :4] = own["conv_in.weight"]
    wide.bias.copy_(own["conv_in.bias"])
    pipe.unet.conv_in = wide
    pipe.unet.load_state_dict({key: weight + offsets[key].float() for key, weight in pipe.unet.state_dict().items()})
    latents = []
    for seed in (ic_light["image"], ic_light["background"]):
        if seed is None:
            continue
        image = picture(seed, 50, 41)
        scale = max(width / image.width, height / image.height)
        resized = image.resize((round(image.width * scale), round(image.height * scale)), Image.LANCZOS)
        left, top = (resized.width - width) / 2, (resized.height - height) / 2
        cropped = resized.crop((left, top, (resized.width + width) / 2, (resized.height + height) / 2))
        pixels = torch.from_numpy(np.array(cropped)).float().permute(2, 0, 1)[None] / 127.0 - 1.0
        latents.append(pipe.vae.encode(pixels).latent_dist.mode() * pipe.vae.config.scaling_factor)
    return torch.cat(latents, dim=1)


def load_embedding(pipe, checkpoint):
    matrices = load_file(DATA.parent / f"textual-inversion/{EMBEDDINGS[checkpoint]}.safetensors").values()
    encoders = [(pipe.tokenizer, pipe.text_encoder)]
    if checkpoint == "tiny-sdxl":
        encoders.append((pipe.tokenizer_2, pipe.text_encoder_2))
    for matrix, (tokenizer, encoder) in zip(matrices, encoders):
        pipe.load_textual_inversion(matrix, token="<cat-toy>", text_encoder=encoder, tokenizer=tokenizer)


def run(case):
    pipe, models = load_pipeline(case)
    width, height = case["width"], case["height"]
    if case["embedding"]:
        load_embedding(pipe, case["checkpoint"])
    for i, (name, scale) in enumerate(case["loras"]):
        apply_lora(pipe, name, f"a{i}", scale)
    if case["loras"]:
        pipe.set_adapters([f"a{i}" for i in range(len(case["loras"]))], [scale for _, scale in case["loras"]])
    arguments = apply_image_prompts(pipe, case)
    nearest = any(prompt["resampling"] == "nearest" for prompt in case["image_prompts"])
    IPAdapterMaskProcessor.downsample = staticmethod(nearest_mask if nearest else BICUBIC_MASK)
    channels = apply_ic_light(pipe, case["ic_light"], width, height) if case["ic_light"] else None
    patch(pipe, models, case, channels)
    controls = case["controlnets"]
    if controls:
        pictures = [picture(control["image"], *CONTROL_SIZE) for control in controls]
        one = len(controls) == 1
        arguments.update(
            **{"image" if case["strength"] is None else "control_image": pictures[0] if one else pictures},
            controlnet_conditioning_scale=controls[0]["scale"] if one else [c["scale"] for c in controls],
            control_guidance_start=controls[0]["start"] if one else [c["start"] for c in controls],
            control_guidance_end=controls[0]["end"] if one else [c["end"] for c in controls],
            guess_mode=case["guess_mode"],
        )
    if case["strength"] is not None:
        arguments.update(image=picture(7, width, height), strength=case["strength"])
    if isinstance(getattr(pipe, "controlnet", None), MultiControlNetModel):
        assert list(pipe.controlnet.nets) == models
    return pipe(
        prompt=PROMPT, negative_prompt=NEGATIVE, width=width, height=height, num_inference_steps=case["steps"],
        guidance_scale=case["guidance_scale"], clip_skip=case["clip_skip"] or None,
        generator=torch.Generator().manual_seed(case["seed"]), output_type="latent", **arguments,
    ).images.contiguous()  # fmt: skip


def main():
    torch.set_num_threads(1)
    cases = [{**DEFAULTS, **case} for case in CASES]
    with torch.no_grad():
        latents = {case["name"]: run(case) for case in cases}
        for case in cases:
            if case["ic_light"]:
                pipe, _ = load_pipeline(case)
                latents[f"{case['name']}.channels"] = apply_ic_light(pipe, case["ic_light"], case["width"], case["height"])
    save_file(latents, DATA / "pipelines.safetensors")
    header = {"torch": torch.__version__, "diffusers": diffusers.__version__, "prompt": PROMPT, "negative_prompt": NEGATIVE, "cases": cases}
    (DATA / "pipelines.json").write_text(json.dumps(header, indent=1) + "\n")
    print(f"{len(cases)} cases")


if __name__ == "__main__":
    main()
