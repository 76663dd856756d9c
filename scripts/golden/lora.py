"""LoRA files in kohya's and peft's keys, and the weights diffusers has after fusing them, for lora.test.ts.

Usage: python scripts/golden/lora.py   (torch, diffusers, transformers, peft, safetensors)
"""

import json
from pathlib import Path

import diffusers
import peft
import torch
import transformers
from diffusers import StableDiffusionPipeline, UNet2DConditionModel
from safetensors.torch import save_file
from transformers import CLIPTextConfig, CLIPTextModel

OUT = Path(__file__).parents[2] / "packages/engine/test/golden/data/lora"
SCALE = 0.7
ATTENTION = "down_blocks.0.attentions.0"
UNET_MODULES = [
    "conv_in",
    "down_blocks.0.resnets.0.conv1",
    "down_blocks.0.resnets.0.time_emb_proj",
    "down_blocks.0.downsamplers.0.conv",
    "down_blocks.1.resnets.0.conv_shortcut",
    f"{ATTENTION}.proj_in",
    f"{ATTENTION}.transformer_blocks.0.attn1.to_q",
    f"{ATTENTION}.transformer_blocks.0.attn2.to_k",
    f"{ATTENTION}.transformer_blocks.0.attn2.to_out.0",
    f"{ATTENTION}.transformer_blocks.0.ff.net.0.proj",
    f"{ATTENTION}.transformer_blocks.0.ff.net.2",
]
TEXT_MODULES = ["text_model.encoder.layers.0.self_attn.q_proj", "text_model.encoder.layers.1.mlp.fc1"]


def tiny_pipeline() -> StableDiffusionPipeline:
    torch.manual_seed(0)
    unet = UNet2DConditionModel(
        block_out_channels=(8, 16),
        layers_per_block=1,
        sample_size=8,
        cross_attention_dim=12,
        norm_num_groups=4,
        attention_head_dim=2,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
    )
    text_encoder = CLIPTextModel(
        CLIPTextConfig(hidden_size=12, intermediate_size=20, num_hidden_layers=2, num_attention_heads=2, vocab_size=40)
    )
    return StableDiffusionPipeline(
        vae=None,
        text_encoder=text_encoder,
        tokenizer=None,
        unet=unet,
        scheduler=None,
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def module_of(model: torch.nn.Module, path: str) -> torch.nn.Module:
    """transformers 5.6 and later have no `text_model` level in memory; files and LoRAs have."""
    try:
        return model.get_submodule(path)
    except AttributeError:
        return model.get_submodule(path.removeprefix("text_model."))


def factors(module: torch.nn.Module, rank: int) -> tuple[torch.Tensor, torch.Tensor]:
    weight = module.weight
    down = torch.randn(rank, *weight.shape[1:]) * 0.3
    up = torch.randn(weight.shape[0], rank, *([1, 1] if weight.ndim == 4 else [])) * 0.3
    return down, up


def kohya_lora(pipeline: StableDiffusionPipeline) -> dict[str, torch.Tensor]:
    torch.manual_seed(1)
    tensors = {}
    targets = [("lora_unet", pipeline.unet, m) for m in UNET_MODULES] + [("lora_te", pipeline.text_encoder, m) for m in TEXT_MODULES]
    for index, (prefix, model, path) in enumerate(targets):
        rank = 2 + index % 3
        down, up = factors(module_of(model, path), rank)
        name = f"{prefix}_{path.replace('.', '_')}"
        tensors[f"{name}.lora_down.weight"] = down
        tensors[f"{name}.lora_up.weight"] = up
        tensors[f"{name}.alpha"] = torch.tensor(float(1 + index % 4))
    return tensors


def peft_lora(pipeline: StableDiffusionPipeline) -> tuple[dict[str, torch.Tensor], dict]:
    torch.manual_seed(2)
    tensors = {}
    for path in UNET_MODULES[6:9]:
        down, up = factors(module_of(pipeline.unet, path), 4)
        tensors[f"unet.{path}.lora_A.weight"] = down
        tensors[f"unet.{path}.lora_B.weight"] = up
    metadata = {"unet.r": 4, "unet.lora_alpha": 6, "unet.target_modules": ["to_q", "to_k", "to_out.0"]}
    return tensors, {"lora_adapter_metadata": json.dumps(metadata)}


def weights(pipeline: StableDiffusionPipeline, component: str, paths: list[str]) -> dict[str, torch.Tensor]:
    model = getattr(pipeline, component)
    return {f"{p}.weight": module_of(model, p).weight.detach().clone() for p in paths}


def merge_with_peft(pipeline, component: str, path: str, prefix: str, tensors: dict[str, torch.Tensor]) -> torch.Tensor:
    """One module at a time: diffusers 0.42.1 drops the alphas of kohya files for attention and text modules (peft warns of it)."""
    name = f"{prefix}_{path.replace('.', '_')}"
    down, up = tensors[f"{name}.lora_down.weight"], tensors[f"{name}.lora_up.weight"]
    alpha = tensors[f"{name}.alpha"].item()
    holder = torch.nn.Sequential(module_of(getattr(pipeline, component), path))
    peft.inject_adapter_in_model(peft.LoraConfig(r=down.shape[0], lora_alpha=alpha, target_modules=["0"]), holder)
    layer = holder[0]
    layer.lora_A["default"].weight.data.copy_(down)
    layer.lora_B["default"].weight.data.copy_(up)
    layer.set_scale("default", SCALE)
    layer.merge()
    return layer.base_layer.weight.detach().clone()


def main() -> None:
    torch.set_num_threads(1)
    OUT.mkdir(parents=True, exist_ok=True)

    pipeline = tiny_pipeline()
    save_file(weights(pipeline, "unet", UNET_MODULES), OUT / "unet.safetensors")
    save_file(weights(pipeline, "text_encoder", TEXT_MODULES), OUT / "text_encoder.safetensors")
    tensors = kohya_lora(pipeline)
    save_file(tensors, OUT / "kohya.safetensors")
    for prefix, component, paths in (("lora_unet", "unet", UNET_MODULES), ("lora_te", "text_encoder", TEXT_MODULES)):
        merged = {f"{path}.weight": merge_with_peft(pipeline, component, path, prefix, tensors) for path in paths}
        save_file(merged, OUT / f"{component}-kohya.safetensors")

    pipeline = tiny_pipeline()
    tensors, metadata = peft_lora(pipeline)
    save_file(tensors, OUT / "peft.safetensors", metadata)
    pipeline.load_lora_weights(str(OUT), weight_name="peft.safetensors")
    pipeline.fuse_lora(components=["unet"])
    pipeline.unload_lora_weights()
    save_file(weights(pipeline, "unet", UNET_MODULES[6:9]), OUT / "unet-peft.safetensors")

    header = {
        "versions": {m.__name__: m.__version__ for m in (torch, diffusers, transformers, peft)},
        "scale": SCALE,
        "tolerance": 1e-6,
        "toleranceReason": "absolute, on weights below 2 in size: float32 sums of up to 4 products in another order",
    }
    (OUT / "lora.json").write_text(json.dumps(header, indent=2) + "\n")


if __name__ == "__main__":
    main()
