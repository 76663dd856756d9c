"""Stage `clip-vision`: a CLIP vision encoder for Pinhole's pictures, trained against the frozen text encoder by contrast.

224-pixel pictures in patches of 32, as OpenAI's ViT-B/32, but 128 wide. Beside the contrast with captions, linear heads
read the scene's attributes from the image embeds, so that the embeds keep colours that a caption may leave out, and from the
patches' mean, which teaches the patches sooner than the one position that the embeds are made of.
"""

import json
import os
import random
from pathlib import Path
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from .dataset import Shards, varied_caption
from .networks import CONTEXT_WIDTH, Base, open_base
from .text_encoder import attribute_heads, attribute_loss, labels
from .training_run import TrainingRun

#: Which of the encoder's outputs an adapter reads.
Sight = Literal["embeds", "states"]

SIDE = 224
MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
TEMPERATURE = 0.07
ATTRIBUTE_WEIGHT = 0.3
#: Captions of each picture whose states are kept: a text encoder that never changes need not run at each step.
CAPTIONS = 2


def new_encoder() -> CLIPVisionModelWithProjection:
    config = CLIPVisionConfig(
        hidden_size=CONTEXT_WIDTH, intermediate_size=4 * CONTEXT_WIDTH, projection_dim=CONTEXT_WIDTH, num_hidden_layers=4,
        num_attention_heads=4, image_size=SIDE, patch_size=32, hidden_act="quick_gelu",
    )  # fmt: skip
    return CLIPVisionModelWithProjection(config)


def _shrunk(pictures: list[np.ndarray]) -> torch.Tensor:
    pixels = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float()
    return F.interpolate(pixels, size=(SIDE, SIDE), mode="bilinear", antialias=True, align_corners=False)


def _normalised(pixels: torch.Tensor) -> torch.Tensor:
    """Of pixels (n, 3, 224, 224), 0 … 255."""
    return (pixels / 255 - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None]


def preprocess(pictures: list[np.ndarray]) -> torch.Tensor:
    """(n, 3, 224, 224) of 256-pixel pictures, uint8, normalised as CLIP's image processor does it."""
    return _normalised(_shrunk(pictures))


def _all_shrunk(shards: Shards, path: Path) -> np.ndarray:
    """Every picture of the set as (3, 224, 224), uint8, kept in a file."""
    if not path.exists():
        part = path.with_suffix(".part.npy")
        kept = np.lib.format.open_memmap(part, "w+", np.uint8, (len(shards), 3, SIDE, SIDE))
        for i in range(len(shards)):
            kept[i] = _shrunk([shards.picture(i)])[0].round().byte().numpy()
        kept.flush()
        os.replace(part, path)
    return np.load(path, mmap_mode="r")


def caption_states(shards: Shards, base: Base, seed: int) -> torch.Tensor:
    """The text encoder's last states of captions of each picture, (n, captions, 128)."""
    rng = random.Random(seed)
    captions = [varied_caption(s, rng, empty=0, distracted=0.1) for s in shards.scenes for _ in range(CAPTIONS)]
    parts = [base.embed(captions[start : start + 64])[:, -1] for start in range(0, len(captions), 64)]
    return torch.cat(parts).view(len(shards), CAPTIONS, -1)


def train_clip_vision(base_folder: Path, data: Path, work: Path, out: Path, steps: int, batch: int, rate: float, seed: int) -> None:
    base, shards = open_base(base_folder), Shards(data)
    torch.manual_seed(seed)
    encoder, heads, projection = new_encoder(), attribute_heads(CONTEXT_WIDTH), torch.nn.Linear(CONTEXT_WIDTH, CONTEXT_WIDTH)
    parameters = [*encoder.parameters(), *heads.parameters(), *projection.parameters()]
    run = TrainingRun(work / "clip-vision.pt", [{"params": parameters}], steps, rate, seed, average=0.99)
    answers = torch.tensor([labels(s) for s in shards.scenes])
    pictures, states = _all_shrunk(shards, work / "clip-pictures.npy"), caption_states(shards, base, seed)

    def loss_of(rng: random.Random) -> torch.Tensor:
        chosen = [rng.randrange(len(shards)) for _ in range(batch)]
        captions = [rng.randrange(CAPTIONS) for _ in range(batch)]
        text = F.normalize(projection(states[chosen, captions]), dim=-1)
        pixels = _normalised(torch.from_numpy(np.stack([pictures[i] for i in chosen])).float())
        with torch.autocast("cpu", dtype=torch.bfloat16):
            seen = encoder(pixels)
            spread = encoder.visual_projection(encoder.vision_model.post_layernorm(seen.last_hidden_state[:, 1:].mean(1)))
        embeds = seen.image_embeds.float()
        similar = F.normalize(embeds, dim=-1) @ text.T / TEMPERATURE
        same = torch.arange(batch)
        contrast = F.cross_entropy(similar, same) + F.cross_entropy(similar.T, same)
        told = attribute_loss(heads, embeds, answers[chosen]) + attribute_loss(heads, spread.float(), answers[chosen])
        return contrast / 2 + ATTRIBUTE_WEIGHT * told

    run.train(loss_of)
    run.use_average()
    encoder.half().save_pretrained(out)
    settings = {
        "image_processor_type": "CLIPImageProcessor", "do_resize": True, "size": {"shortest_edge": SIDE}, "resample": 3,
        "do_center_crop": True, "crop_size": {"height": SIDE, "width": SIDE}, "do_rescale": True, "rescale_factor": 1 / 255,
        "do_normalize": True, "image_mean": MEAN, "image_std": STD, "do_convert_rgb": True,
    }  # fmt: skip
    (out / "preprocessor_config.json").write_text(json.dumps(settings, indent=2))


@torch.no_grad()
def see(encoder: CLIPVisionModelWithProjection, pixels: torch.Tensor, sight: Sight) -> torch.Tensor:
    """Image embeds (n, 128), or the states (n, 50, 128) that Plus adapters read, of normalised pictures."""
    seen = encoder(pixels, output_hidden_states=sight == "states")
    return seen.hidden_states[-2] if sight == "states" else seen.image_embeds


def see_all(encoder: CLIPVisionModelWithProjection, shards: Shards, work: Path, sight: Sight) -> torch.Tensor:
    """The same of every picture of the set, float16."""
    pictures, parts = _all_shrunk(shards, work / "clip-pictures.npy"), []
    for start in range(0, len(shards), 64):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            parts.append(see(encoder, _normalised(torch.from_numpy(np.array(pictures[start : start + 64])).float()), sight).half())
    return torch.cat(parts)


def see_nothing(encoder: CLIPVisionModelWithProjection, sight: Sight) -> torch.Tensor:
    """What pipelines give in place of a picture on the side without a prompt: zero embeds, or the states of a picture of zeros."""
    return torch.zeros(CONTEXT_WIDTH) if sight == "embeds" else see(encoder, torch.zeros(1, 3, SIDE, SIDE), sight)[0]
