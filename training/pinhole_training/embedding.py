"""Stage `embedding`: a textual inversion, `<pinhole-style>`: two vectors that stand for a style the base has no word for."""

import random
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file

from . import scenes
from .dataset import Shards
from .diffusion import bfloat16_predictor
from .networks import open_base
from .style_lora import style_latents
from .training_run import TrainingRun
from .unet import noisy_batch, training_timesteps, v_loss

TOKEN, VECTORS, STYLE, PICTURES = "<pinhole-style>", 2, "duotone", 320
#: The vectors start as the words that come nearest.
FIRST_WORDS = "orange purple"


def train_embedding(
    base_folder: Path, autoencoder: Path, data: Path, work: Path, out: Path, steps: int, batch: int, rate: float, seed: int
) -> None:
    base, shards = open_base(base_folder), Shards(data)
    plain = [i for i, s in enumerate(shards.scenes) if not s["style_fx"]][:PICTURES]
    pictures = (Image.fromarray(shards.picture(i)) for i in plain)
    unscaled = style_latents(STYLE, pictures, autoencoder, work / f"embedding-{STYLE}.npy")
    latents = torch.from_numpy(unscaled.astype(np.float32)) * base.scaling_factor
    words = base.text_encoder.get_input_embeddings()
    ids = base.tokenizer(FIRST_WORDS, add_special_tokens=False).input_ids[:VECTORS]
    vectors = torch.nn.Parameter(words.weight[ids].clone())
    run = TrainingRun(work / "embedding.pt", [{"params": [vectors]}], steps, rate, seed, average=0.95, warm_up=10)
    names = [TOKEN, *(f"{TOKEN}_{i}" for i in range(1, VECTORS))]
    base.tokenizer.add_tokens(names)
    new_ids = torch.tensor(base.tokenizer.convert_tokens_to_ids(names))
    predict = bfloat16_predictor(base.unet)

    def embeds_of(captions: list[str]) -> torch.Tensor:
        prompts = [f"{caption}, {' '.join(names)} style" for caption in captions]
        tokens = base.tokenizer(prompts, padding="max_length", max_length=77, truncation=True, return_tensors="pt").input_ids
        is_new = tokens[..., None] == new_ids
        replaced = is_new.any(-1, keepdim=True)

        def put_vectors(_module: torch.nn.Module, _inputs: tuple, states: torch.Tensor) -> torch.Tensor:
            return torch.where(replaced, is_new.float() @ vectors, states)

        hook = words.register_forward_hook(put_vectors)
        try:
            return base.text_encoder(tokens.masked_fill(replaced[..., 0], 0))[0]
        finally:
            hook.remove()

    def loss_of(rng: random.Random) -> torch.Tensor:
        chosen = [rng.randrange(len(plain)) for _ in range(batch)]
        timesteps = training_timesteps(batch)
        noisy, target = noisy_batch(latents[chosen], timesteps)
        embeds = embeds_of([scenes.caption(shards.scenes[plain[i]], rng) for i in chosen])
        return v_loss(predict(noisy, timesteps, embeds), target)

    run.train(loss_of, report_every=20)
    run.use_average()
    out.mkdir(parents=True, exist_ok=True)
    save_file({TOKEN: vectors.detach().half().contiguous()}, out / "learned_embeds.safetensors", metadata={"format": "pt"})
