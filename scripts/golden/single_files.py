"""The tiny checkpoints as single files of the original layout, for single-file.test.ts.

    python scripts/golden/single_files.py   (torch, diffusers, transformers; after checkpoints.py)

Written to packages/engine/test/golden/data/single-files/:
    tiny-sd15.txt, tiny-sdxl.txt    what the file consists of, one line per tensor of the diffusers checkpoint (the test writes the file):
                                    <LDM key> <component> <diffusers key> [0/3 (part of the rows), transposed, or 1x1 (a convolution there)]
    tiny-sd15-half.ckpt             a training checkpoint in half precision: state_dict beside other values, old names of the text encoder,
                                    EMA weights, a loss, unused tensors
    small.safetensors               a model of its own, small but with what is the same in every SD1.x model (eight heads, groups of 32, the
                                    scheduler), in half precision
    small-latents.safetensors       what diffusers draws with it: latents [1, 4, h, w] of `REQUEST`

Names are counted off as in ldm_keys.py and held against diffusers' converters, which must give the diffusers tensors back.
"""

import json
import tempfile
from pathlib import Path

import torch
from accelerate import init_empty_weights
from checkpoints import DATA, SD_BETAS, TOKENIZER, text_encoder, unet, vae
from diffusers import AutoencoderKL, PNDMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from diffusers.loaders import single_file_utils as convert
from ldm_keys import converted, unet_keys, vae_keys
from safetensors.torch import load_file, save_file
from transformers import CLIPTextConfig, CLIPTextModelWithProjection, CLIPTokenizer

OUT = DATA.parent / "single-files"
PREFIX = {"unet": "model.diffusion_model.", "vae": "first_stage_model."}
CONVERTERS = {"unet": convert.convert_ldm_unet_checkpoint, "vae": convert.convert_ldm_vae_checkpoint}
CLASSES = {"unet": UNet2DConditionModel, "vae": AutoencoderKL}


LINES = {}


def model_tensors(name, component, ldm_keys, root=DATA):
    """A UNet's or VAE's tensors under their original names, by the converter read backwards."""
    folder = root / name / component
    config = json.loads((folder / "config.json").read_text())
    with init_empty_weights():
        model = CLASSES[component].from_config(config)
    tensors = load_file(folder / "diffusion_pytorch_model.safetensors")
    renamed = {}
    for ldm, key, _, _ in converted(ldm_keys, PREFIX[component], CONVERTERS[component], model.config, model):
        is_linear = ".attn_1." in ldm and ldm.endswith(".weight") and tensors[key].ndim == 2
        note(name, str(ldm), component, key, "1x1" if is_linear else "")
        renamed[str(ldm)] = tensors[key][:, :, None, None].contiguous() if is_linear else tensors[key]
    back = CONVERTERS[component](renamed, model.config)
    assert all(torch.equal(back[key], tensor) for key, tensor in tensors.items())
    return renamed


def note(name, ldm, component, key, text=""):
    LINES.setdefault(name, []).append(" ".join([ldm, component, key, text]).rstrip())


def clip(name, folder, prefix, root=DATA):
    tensors = load_file(root / name / folder / "model.safetensors")
    renamed = {prefix + key.removeprefix("text_model."): value for key, value in tensors.items()}
    for key in tensors:
        note(name, prefix + key.removeprefix("text_model."), folder, key)
    return renamed


def open_clip(name, folder, prefix):
    tensors = load_file(DATA / name / folder / "model.safetensors")
    config = CLIPTextConfig.from_pretrained(DATA / name / folder)
    named = {
        "token_embedding.weight": tensors["text_model.embeddings.token_embedding.weight"],
        "positional_embedding": tensors["text_model.embeddings.position_embedding.weight"],
        "ln_final.weight": tensors["text_model.final_layer_norm.weight"],
        "ln_final.bias": tensors["text_model.final_layer_norm.bias"],
        "text_projection": tensors["text_projection.weight"].T.contiguous(),
        "logit_scale": torch.tensor(4.6),
    }
    places = {
        "text_model.embeddings.token_embedding.weight": ("token_embedding.weight", ""),
        "text_model.embeddings.position_embedding.weight": ("positional_embedding", ""),
        "text_model.final_layer_norm.weight": ("ln_final.weight", ""),
        "text_model.final_layer_norm.bias": ("ln_final.bias", ""),
        "text_projection.weight": ("text_projection", "transposed"),
    }
    layers = {"ln_1": "layer_norm1", "ln_2": "layer_norm2", "attn.out_proj": "self_attn.out_proj", "mlp.c_fc": "mlp.fc1", "mlp.c_proj": "mlp.fc2"}
    for i in range(config.num_hidden_layers):
        source, target = f"text_model.encoder.layers.{i}", f"transformer.resblocks.{i}"
        for kind in ("weight", "bias"):
            for new, old in layers.items():
                places[f"{source}.{old}.{kind}"] = (f"{target}.{new}.{kind}", "")
                named[f"{target}.{new}.{kind}"] = tensors[f"{source}.{old}.{kind}"]
            parts = [tensors[f"{source}.self_attn.{x}_proj.{kind}"] for x in "qkv"]
            named[f"{target}.attn.in_proj_{kind}"] = torch.cat(parts)
            for n, x in enumerate("qkv"):
                places[f"{source}.self_attn.{x}_proj.{kind}"] = (f"{target}.attn.in_proj_{kind}", f"{n}/3")
    for key, (new, text) in places.items():
        note(name, prefix + new, folder, key, text)
    renamed = {prefix + key: value for key, value in named.items()}
    with init_empty_weights():
        model = CLIPTextModelWithProjection(config)
    back = convert.convert_open_clip_checkpoint(model, renamed, prefix)
    assert all(torch.equal(back[key], tensor) for key, tensor in tensors.items() if "position_ids" not in key)
    return renamed


REQUEST = {
    "prompt": "a red house by the sea",
    "negative_prompt": "night",
    "num_inference_steps": 4,
    "guidance_scale": 5.0,
    "width": 32,
    "height": 24,
}


def small_model(root):
    """Written as a diffusers folder and as one file; both with weights that half precision holds exactly."""
    text = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 1}
    types = {"down_block_types": ["CrossAttnDownBlock2D"], "up_block_types": ["CrossAttnUpBlock2D"]}
    shape = {"block_out_channels": [32], "layers_per_block": 1}
    pipeline = StableDiffusionPipeline(
        unet=unet(70, sample_size=64, cross_attention_dim=32, attention_head_dim=8, **shape, **types),
        vae=vae(71, sample_size=512, **shape),
        text_encoder=text_encoder(72, **text),
        tokenizer=CLIPTokenizer.from_pretrained(TOKENIZER),
        scheduler=PNDMScheduler(**SD_BETAS, skip_prk_steps=True, set_alpha_to_one=False, steps_offset=1),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    for model in (pipeline.unet, pipeline.vae, pipeline.text_encoder):
        model.half().float()
    pipeline.save_pretrained(root / "small")
    tensors = {
        **model_tensors("small", "unet", unet_keys((1,), (True,), (1,), False, resnets=1), root),
        **model_tensors("small", "vae", vae_keys((1,), resnets=1), root),
        **clip("small", "text_encoder", "cond_stage_model.transformer.text_model.", root),
    }
    save_file({key: value.half().contiguous() for key, value in tensors.items()}, OUT / "small.safetensors")


def draw_small(root):
    """By diffusers' own reading of the single file."""
    pipeline = StableDiffusionPipeline.from_single_file(OUT / "small.safetensors", config=str(root / "small"), safety_checker=None)
    generator = torch.Generator().manual_seed(7)
    latents = pipeline(**REQUEST, generator=generator, output_type="latent").images
    save_file({"latents": latents.float().contiguous()}, OUT / "small-latents.safetensors")


if __name__ == "__main__":
    OUT.mkdir(parents=True, exist_ok=True)
    sd15 = {
        **model_tensors("tiny-sd15", "unet", unet_keys((1, 2, 2), (True, True, False), (1, 1, 1), False, resnets=1)),
        **model_tensors("tiny-sd15", "vae", vae_keys((1, 1, 2), resnets=1)),
        **clip("tiny-sd15", "text_encoder", "cond_stage_model.transformer."),
    }
    model_tensors("tiny-sdxl", "unet", unet_keys((1, 2), (False, True), (1, 2), True))
    model_tensors("tiny-sdxl", "vae", vae_keys((1, 1, 2), resnets=1))
    clip("tiny-sdxl", "text_encoder", "conditioner.embedders.0.transformer.text_model.")
    open_clip("tiny-sdxl", "text_encoder_2", "conditioner.embedders.1.model.")
    for name, lines in LINES.items():
        (OUT / f"{name}.txt").write_text("\n".join(lines) + "\n")
    state = {
        **{key: value.half() for key, value in sd15.items()},
        "first_stage_model.loss.logvar": torch.zeros(()),
        "model_ema.decay": torch.tensor(0.9999),
        "alphas_cumprod": torch.linspace(1, 0, 4),
    }
    torch.save({"epoch": 1, "global_step": 470000, "state_dict": state, "lr_schedulers": []}, OUT / "tiny-sd15-half.ckpt")
    with tempfile.TemporaryDirectory() as folder:
        small_model(Path(folder))
        draw_small(Path(folder))
