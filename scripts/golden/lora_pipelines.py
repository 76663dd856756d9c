"""diffusers' pipelines with the LoRA files that lora.py has written."""

import json
import pathlib
import tempfile

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

OUT = pathlib.Path(__file__).parents[2] / "packages/engine/test/golden/data/lora"
# Scale that the files' changes are written with.
SCALE = 0.7


def apply_lora(pipe, name, adapter, scale):
    """
    The UNet's part with diffusers' loader, attention processors and metadata included. Encoders since transformers 5.6 lack the level
    `text_model` that files name, so that diffusers 0.42 finds no module there: their changes, which are linear, are added here.
    """
    path = OUT / f"{name}.safetensors"
    tensors, metadata = load_file(path), None
    with safe_open(path, "pt") as file:
        text = (file.metadata() or {}).get("lora_adapter_metadata")
    if text:
        metadata = {key: value for key, value in json.loads(text).items() if key.startswith("unet.")}
    unet = {key: value for key, value in tensors.items() if not key.startswith(("lora_te", "text_encoder"))}
    with tempfile.TemporaryDirectory() as folder:
        save_file(unet, f"{folder}/unet.safetensors", metadata and {"lora_adapter_metadata": json.dumps(metadata)})
        pipe.load_lora_weights(folder, weight_name="unet.safetensors", adapter_name=adapter)
    add_changes(pipe, name, scale, lambda component: component != "unet")


def add_changes(pipe, name, scale, wanted=lambda component: True):
    """Adds a file's changes to the weights themselves; those under DoRA are right at SCALE alone."""
    for key, delta in load_file(OUT / f"{name}.deltas.safetensors").items():
        component, _, place = key.partition("/")
        if not wanted(component):
            continue
        parameters = dict(getattr(pipe, component).named_parameters())
        parameter = parameters.get(place, parameters.get(place.removeprefix("text_model.")))
        with torch.no_grad():
            parameter.add_(delta * (scale / SCALE))
