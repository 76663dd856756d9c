"""LoRA and LoHa layers on the UNet (by peft) and the ways to name them in a file: kohya's, peft's and LyCORIS'."""

from pathlib import Path

import torch
from diffusers import UNet2DConditionModel
from peft import LoHaConfig, LoraConfig
from peft.tuners.loha import LoHaLayer
from peft.tuners.lora import LoraLayer
from safetensors.torch import save_file

#: Everything linear or convolutional except what is tied to the latents' own shape or to the timestep.
NOT_ADAPTED = ("time_embedding", "conv_in", "conv_out")


def adaptable_modules(unet: UNet2DConditionModel, part: str = "") -> list[str]:
    """Names of the modules that a LoRA may change; with `part`, only those whose name contains it."""
    return [
        name
        for name, module in unet.named_modules()
        if isinstance(module, (torch.nn.Linear, torch.nn.Conv2d)) and not name.startswith(NOT_ADAPTED) and part in name
    ]


def add_lora(unet: UNet2DConditionModel, rank: int, modules: list[str]) -> list[torch.nn.Parameter]:
    """Adds a LoRA that changes nothing yet (alpha = rank); returns its parameters, the only trainable ones."""
    unet.requires_grad_(False)
    unet.add_adapter(LoraConfig(r=rank, lora_alpha=rank, target_modules=modules))
    return [p for p in unet.parameters() if p.requires_grad]


def add_loha(unet: UNet2DConditionModel, rank: int, modules: list[str]) -> list[torch.nn.Parameter]:
    """Adds LyCORIS' LoHa, the product by element of two low-rank changes (alpha = rank); returns its parameters."""
    unet.requires_grad_(False)
    unet.add_adapter(LoHaConfig(r=rank, alpha=rank, target_modules=modules))
    return [p for p in unet.parameters() if p.requires_grad]


def save_lycoris(unet: UNet2DConditionModel, path: Path) -> None:
    """`lora_unet_<path with underscores>.hada_w1_a` and so on, `.alpha`; float16."""
    tensors = {}
    for name, layer in unet.named_modules():
        if isinstance(layer, LoHaLayer):
            key = "lora_unet_" + name.replace(".", "_")
            for part in ("hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b"):
                tensors[f"{key}.{part}"] = getattr(layer, part)["default"]
            tensors[f"{key}.alpha"] = torch.tensor(float(layer.alpha["default"]))
    _save(tensors, path)


def _layers(unet: UNet2DConditionModel) -> dict[str, LoraLayer]:
    return {name: module for name, module in unet.named_modules() if isinstance(module, LoraLayer)}


def save_kohya(unet: UNet2DConditionModel, path: Path) -> None:
    """`lora_unet_<path with underscores>.lora_down.weight`, `.lora_up.weight`, `.alpha`; float16."""
    tensors = {}
    for name, layer in _layers(unet).items():
        key = "lora_unet_" + name.replace(".", "_")
        tensors[f"{key}.lora_down.weight"] = layer.lora_A["default"].weight
        tensors[f"{key}.lora_up.weight"] = layer.lora_B["default"].weight
        tensors[f"{key}.alpha"] = torch.tensor(float(layer.lora_alpha["default"]))
    _save(tensors, path)


def save_peft(unet: UNet2DConditionModel, path: Path) -> None:
    """`unet.<path>.lora_A.weight`, `.lora_B.weight`, as diffusers' save_lora_weights names them; alpha = rank; float16."""
    tensors = {}
    for name, layer in _layers(unet).items():
        tensors[f"unet.{name}.lora_A.weight"] = layer.lora_A["default"].weight
        tensors[f"unet.{name}.lora_B.weight"] = layer.lora_B["default"].weight
    _save(tensors, path)


def _save(tensors: dict[str, torch.Tensor], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({k: v.detach().half().contiguous() for k, v in tensors.items()}, path, metadata={"format": "pt"})
