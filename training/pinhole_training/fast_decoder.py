"""Stage `fast-decoder`: an autoencoder of plain convolutions (diffusers' AutoencoderTiny, as TAESD is) for each base's latents.

Less arithmetic than the base's own autoencoder and no group norms, for previews and for pictures where time counts more than
edges. One width throughout; it works on latents as the UNet has them, so its scaling factor is 1. It is trained on the training
set's pictures of 256 pixels; levels for 512 and 1024 are put outside, start as plain resampling and are trained on large ones.
"""

import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderTiny
from PIL import Image

from . import scenes
from .autoencoder import edge_loss, psnr, to_pixels
from .dataset import Shards
from .make_data import encode
from .networks import LATENT_CHANNELS, LATENT_SIDE, open_autoencoder
from .training_run import TrainingRun

WIDTH = 32
DECODER_BLOCKS, ENCODER_BLOCKS = (4, 3, 2, 1, 0), (0, 1, 1, 2, 3)
CORE_CROP, OUTER_CROP = 8, 6
OUTER_SCENES, FIRST_SEED = {512: 160, 1024: 48}, 7_000_000
HELD_OUT = 16

#: Draws a picture (pixels of a crop of so many latents) and its scaled latents.
Pairs = Callable[[random.Random], tuple[np.ndarray, torch.Tensor]]


def new_fast_autoencoder(levels: int) -> AutoencoderTiny:
    """`levels` of upsampling: four for 256 pixels, five for 512, six for 1024."""
    more = levels + 1 - len(DECODER_BLOCKS)
    model = AutoencoderTiny(
        latent_channels=LATENT_CHANNELS, encoder_block_out_channels=(WIDTH,) * (levels + 1),
        decoder_block_out_channels=(WIDTH,) * (levels + 1), num_encoder_blocks=(0,) * more + ENCODER_BLOCKS,
        num_decoder_blocks=DECODER_BLOCKS + (0,) * more, scaling_factor=1.0,
    )  # fmt: skip
    return model.to(memory_format=torch.channels_last)


def add_outer_level(inner: AutoencoderTiny) -> AutoencoderTiny:
    """A level more outside, resampling plainly; the rest as it is."""
    levels = len(inner.config.decoder_block_out_channels)
    model = new_fast_autoencoder(levels)
    state, own = model.state_dict(), inner.state_dict()
    last = max(int(key.split(".")[2]) for key in own if key.startswith("decoder.layers."))
    for key, value in own.items():
        part, _, number, *rest = key.split(".")
        if part == "decoder":
            # Upsampling (no weights) and a convolution come before the last one.
            moved = int(number) + 2 * (int(number) == last)
        else:
            # A convolution with stride comes after the first one.
            moved = int(number) + (int(number) > 0)
        state[".".join([part, "layers", str(moved), *rest])] = value
    added_up, added_down = state[f"decoder.layers.{last + 1}.weight"], state["encoder.layers.1.weight"]
    for weight, corner, value in ((added_up, slice(1, 2), 1.0), (added_down, slice(1, 3), 0.25)):
        weight.zero_()
        for channel in range(WIDTH):
            weight[channel, channel, corner, corner] = value
    model.load_state_dict(state)
    return model


def train(model: AutoencoderTiny, pairs: Pairs, checkpoint: Path, steps: int, batch: int, rate: float, seed: int) -> None:
    torch.manual_seed(seed)
    run = TrainingRun(checkpoint, [{"params": list(model.parameters())}], steps, rate, seed, average=0.995)

    def loss_of(rng: random.Random) -> torch.Tensor:
        drawn_pairs = [pairs(rng) for _ in range(batch)]
        wanted, clean = to_pixels([p for p, _ in drawn_pairs]), torch.stack([z for _, z in drawn_pairs])
        wanted = wanted.contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            drawn, found = model.decode(clean).sample, model.encode(wanted).latents
        y = drawn.float()
        picture_loss = (y - wanted).abs().mean() + (y - wanted).square().mean() + 0.3 * edge_loss(y, wanted)
        # At the border of a crop the encoder sees less than the latents' encoder saw.
        error = (found.float() - clean)[..., 1:-1, 1:-1].abs().mean()
        return picture_loss + 0.2 * error

    run.train(loss_of)
    run.use_average()


def shard_pairs(shards: Shards, scaling_factor: float) -> Pairs:
    factor = 256 // LATENT_SIDE

    def pick(rng: random.Random) -> tuple[np.ndarray, torch.Tensor]:
        index = rng.randrange(HELD_OUT, len(shards))
        y, x = rng.randrange(LATENT_SIDE + 1 - CORE_CROP), rng.randrange(LATENT_SIDE + 1 - CORE_CROP)
        latents = torch.from_numpy(shards.latents[index, :, y : y + CORE_CROP, x : x + CORE_CROP].astype(np.float32))
        pixels = shards.picture(index)[y * factor : (y + CORE_CROP) * factor, x * factor : (x + CORE_CROP) * factor]
        return np.array(pixels), latents * scaling_factor

    return pick


def large_pairs(side: int, autoencoder: Path) -> Pairs:
    """Scenes drawn at `side` pixels, with the latents of the same at 256."""
    core, large, small = open_autoencoder(autoencoder), [], []
    for i in range(OUTER_SCENES[side]):
        picture = scenes.render(scenes.sample(random.Random(FIRST_SEED + i)), side, 1 if side > 512 else 2)
        large.append(np.asarray(picture))
        small.append(np.asarray(picture.resize((256, 256), Image.LANCZOS)))
    latents = torch.from_numpy(encode(core, np.stack(small)).astype(np.float32)) * core.config.scaling_factor
    factor = side // LATENT_SIDE

    def pick(rng: random.Random) -> tuple[np.ndarray, torch.Tensor]:
        index = rng.randrange(len(large))
        y, x = rng.randrange(LATENT_SIDE + 1 - OUTER_CROP), rng.randrange(LATENT_SIDE + 1 - OUTER_CROP)
        pixels = large[index][y * factor : (y + OUTER_CROP) * factor, x * factor : (x + OUTER_CROP) * factor]
        return pixels, latents[index, :, y : y + OUTER_CROP, x : x + OUTER_CROP]

    return pick


def train_fast_decoders(autoencoder: Path, data: Path, work: Path, out: Path, steps: int, batch: int) -> None:
    shards, scaling_factor = Shards(data), open_autoencoder(autoencoder).config.scaling_factor
    model = new_fast_autoencoder(4)
    train(model, shard_pairs(shards, scaling_factor), work / "fast-decoder.pt", steps, batch, 2.5e-3, seed=60)
    with torch.no_grad():
        latents = torch.from_numpy(shards.latents[:HELD_OUT].astype(np.float32)) * scaling_factor
        wanted = to_pixels([np.array(shards.picture(i)) for i in range(HELD_OUT)])
        print(f"PSNR at 256 {psnr(model.decode(latents).sample, wanted):.1f} dB", flush=True)
    for seed, side in enumerate(OUTER_SCENES, 61):
        model = add_outer_level(model)
        outer_steps, outer_batch = max(1, steps // 8), max(1, batch // (2 if side == 512 else 4))
        train(model, large_pairs(side, autoencoder), work / f"fast-decoder-{side}.pt", outer_steps, outer_batch, 1e-3, seed)
        model.half().save_pretrained(out / f"pinhole-fast-decoder-{side}")
        model.float()
