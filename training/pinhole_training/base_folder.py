"""Writes a trained UNet and its text encoder into a checkpoint; its autoencoder is there already."""

import json
import shutil
from pathlib import Path

from .networks import Base

SCHEDULER = {
    "_class_name": "DDIMScheduler", "_diffusers_version": "0.42.1", "beta_start": 0.00085, "beta_end": 0.012,
    "beta_schedule": "scaled_linear", "num_train_timesteps": 1000, "set_alpha_to_one": False, "steps_offset": 1,
    "clip_sample": False, "trained_betas": None, "prediction_type": "v_prediction",
}  # fmt: skip
INDEX = {
    "_class_name": "StableDiffusionPipeline", "_diffusers_version": "0.42.1",
    "feature_extractor": [None, None], "image_encoder": [None, None], "requires_safety_checker": False,
    "safety_checker": [None, None], "scheduler": ["diffusers", "DDIMScheduler"],
    "text_encoder": ["transformers", "CLIPTextModel"], "tokenizer": ["transformers", "CLIPTokenizer"],
    "unet": ["diffusers", "UNet2DConditionModel"], "vae": ["diffusers", "AutoencoderKL"],
}  # fmt: skip


def write_base(base: Base, folder: Path) -> None:
    base.unet.half().save_pretrained(folder / "unet")
    base.text_encoder.half().save_pretrained(folder / "text_encoder")
    if (base.folder / "tokenizer").resolve() != (folder / "tokenizer").resolve():
        shutil.copytree(base.folder / "tokenizer", folder / "tokenizer", dirs_exist_ok=True)
    (folder / "scheduler").mkdir(parents=True, exist_ok=True)
    (folder / "scheduler" / "scheduler_config.json").write_text(json.dumps(SCHEDULER, indent=2) + "\n")
    (folder / "model_index.json").write_text(json.dumps(INDEX, indent=2) + "\n")
