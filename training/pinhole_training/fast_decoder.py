"""Stage `fast-decoder`: an autoencoder of plain convolutions (diffusers' AutoencoderTiny, as TAESD is) for each base's latents.

A third of the arithmetic of the base's own autoencoder and no group norms, for previews and for pictures where time counts
more than edges. One width throughout; the decoder works on latents as the UNet has them, so the scaling factor is 1. The
1024-pixel one is the 512-pixel one with a level more outside, which starts as plain resampling.
"""

import random
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL, AutoencoderTiny
from PIL import Image

from . import scenes
from .autoencoder import edge_loss, psnr, to_pixels
from .make_data import encode
from .networks import LATENT_CHANNELS, open_autoencoder
from .training_run import TrainingRun

WIDTH = 16
DECODER_BLOCKS, ENCODER_BLOCKS = (6, 5, 4, 2, 1, 0), (0, 0, 1, 1, 2, 3)
SCENES, HELD_OUT, FIRST_SEED = 900, 32, 7_000_000
CROP = 6
PICTURES = {512: SCENES, 1024: 160}


def new_fast_autoencoder(levels: int) -> AutoencoderTiny:
    """`levels` of upsampling: five for 512 pixels, six for 1024."""
    more = levels + 1 - len(DECODER_BLOCKS)
    model = AutoencoderTiny(
        latent_channels=LATENT_CHANNELS, encoder_block_out_channels=(WIDTH,) * (levels + 1),
        decoder_block_out_channels=(WIDTH,) * (levels + 1), num_encoder_blocks=(0,) * more + ENCODER_BLOCKS,
        num_decoder_blocks=DECODER_BLOCKS + (0,) * more, scaling_factor=1.0,
    )  # fmt: skip
    return model.to(memory_format=torch.channels_last)


def drawn_scenes(side: int, core: AutoencoderKL, cached: Path, count: int) -> tuple[np.ndarray, torch.Tensor]:
    """Pictures of `side` pixels and the core's scaled latents of them; drawn once, kept on disk."""
    names = cached.with_suffix(".pictures.npy"), cached.with_suffix(".latents.npy")
    if not names[1].exists():
        pictures = np.lib.format.open_memmap(names[0], "w+", np.uint8, (count, side, side, 3))
        small = np.empty((count, 256, 256, 3), np.uint8)
        for i in range(count):
            large = scenes.render(scenes.sample(random.Random(FIRST_SEED + i)), side, 1 if side > 512 else 2)
            pictures[i], small[i] = np.asarray(large), np.asarray(large.resize((256, 256), Image.LANCZOS))
        pictures.flush()
        np.save(names[1], encode(core, small))
    latents = torch.from_numpy(np.load(names[1]).astype(np.float32)) * core.config.scaling_factor
    return np.load(names[0], mmap_mode="r"), latents


def add_outer_level(inner: AutoencoderTiny) -> AutoencoderTiny:
    """A level more outside, resampling plainly; the rest as it is."""
    levels = len(inner.config.decoder_block_out_channels)
    model = new_fast_autoencoder(levels)
    state, own = model.state_dict(), inner.state_dict()
    last = max(int(key.split(".")[2]) for key in own if key.startswith("decoder.layers."))
    for key, value in own.items():
        part, number, *rest = key.split(".", 2)[0], int(key.split(".")[2]), *key.split(".")[3:]
        if part == "decoder":
            # Upsampling (no weights) and a convolution come before the last one.
            state[".".join([part, "layers", str(number + 2 if number == last else number), *rest])] = value
        else:
            # A convolution with stride comes after the first one.
            state[".".join([part, "layers", str(number + 1 if number else 0), *rest])] = value
    added_up, added_down = state[f"decoder.layers.{last + 1}.weight"], state["encoder.layers.1.weight"]
    for weight, corner, value in ((added_up, slice(1, 2), 1.0), (added_down, slice(1, 3), 0.25)):
        weight.zero_()
        for channel in range(WIDTH):
            weight[channel, channel, corner, corner] = value
    model.load_state_dict(state)
    return model


def train_fast_decoder(
    side: int, start: AutoencoderTiny | None, autoencoder: Path, work: Path, out: Path, steps: int, batch: int, rate: float, seed: int
) -> AutoencoderTiny:
    core = open_autoencoder(autoencoder)
    pictures, latents = drawn_scenes(side, core, work / f"fast-decoder-{side}", PICTURES[side])
    torch.manual_seed(seed)
    model = add_outer_level(start) if start else new_fast_autoencoder(5)
    run = TrainingRun(work / f"fast-decoder-{side}.pt", [{"params": list(model.parameters())}], steps, rate, seed, average=0.995)
    factor = side // 16

    def loss_of(rng: random.Random) -> torch.Tensor:
        large, parts = [], []
        for _ in range(batch):
            index, y, x = rng.randrange(HELD_OUT, len(pictures)), rng.randrange(17 - CROP), rng.randrange(17 - CROP)
            large.append(np.array(pictures[index, y * factor : (y + CROP) * factor, x * factor : (x + CROP) * factor]))
            parts.append(latents[index, :, y : y + CROP, x : x + CROP])
        wanted, clean = to_pixels(large), torch.stack(parts)
        wanted = wanted.contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            drawn, found = model.decode(clean).sample, model.encode(wanted).latents
        y = drawn.float()
        picture_loss = (y - wanted).abs().mean() + 0.5 * (y - wanted).square().mean() + 0.6 * edge_loss(y, wanted)
        coarse = (F.avg_pool2d(y, 8) - F.avg_pool2d(wanted, 8)).abs().mean()
        # The border of a crop is seen without its surroundings by the encoder alone, so only the middle counts.
        middle = slice(1, -1)
        error = (found.float() - clean)[..., middle, middle].abs().mean()
        return picture_loss + 0.3 * coarse + 0.3 * error

    run.train(loss_of)
    run.use_average()
    with torch.no_grad():
        wanted = to_pixels([np.array(p) for p in pictures[:HELD_OUT]])
        own = torch.cat([model.decode(z[None]).sample for z in latents[:HELD_OUT]])
        print(f"PSNR {psnr(own, wanted):.1f} dB")
    model.half().save_pretrained(out)
    return model.float()
