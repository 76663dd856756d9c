"""Stage `clip-vision`: a CLIP vision encoder for Pinhole's pictures, trained against the frozen text encoder by contrast.

224-pixel pictures in patches of 32, as OpenAI's ViT-B/32, but 128 wide. Beside the contrast with captions, linear heads
read the scene's attributes from the image embeds, so that the embeds keep colours that a caption may leave out.
"""

import json
import random
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from .dataset import Shards, varied_caption
from .networks import CONTEXT_WIDTH, open_base
from .text_encoder import attribute_heads, attribute_loss, labels
from .training_run import TrainingRun

SIDE = 224
MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
TEMPERATURE = 0.07
ATTRIBUTE_WEIGHT = 0.1


def new_encoder() -> CLIPVisionModelWithProjection:
    config = CLIPVisionConfig(
        hidden_size=CONTEXT_WIDTH, intermediate_size=4 * CONTEXT_WIDTH, projection_dim=CONTEXT_WIDTH, num_hidden_layers=4,
        num_attention_heads=4, image_size=SIDE, patch_size=32, hidden_act="quick_gelu",
    )  # fmt: skip
    return CLIPVisionModelWithProjection(config)


def preprocess(pictures: list[np.ndarray]) -> torch.Tensor:
    """(n, 3, 224, 224) of 256-pixel pictures, uint8, normalised as CLIP's image processor does it."""
    pixels = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float() / 255
    shrunk = F.interpolate(pixels, size=(SIDE, SIDE), mode="bilinear", antialias=True, align_corners=False)
    return (shrunk - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None]


def train_clip_vision(base_folder: Path, data: Path, work: Path, out: Path, steps: int, batch: int, rate: float, seed: int) -> None:
    base, shards = open_base(base_folder), Shards(data)
    torch.manual_seed(seed)
    encoder, heads, projection = new_encoder(), attribute_heads(CONTEXT_WIDTH), torch.nn.Linear(CONTEXT_WIDTH, CONTEXT_WIDTH)
    parameters = [*encoder.parameters(), *heads.parameters(), *projection.parameters()]
    run = TrainingRun(work / "clip-vision.pt", [{"params": parameters}], steps, rate, seed, average=0.99)
    answers = torch.tensor([labels(s) for s in shards.scenes])

    def loss_of(rng: random.Random) -> torch.Tensor:
        chosen = [rng.randrange(len(shards)) for _ in range(batch)]
        captions = [varied_caption(shards.scenes[i], rng, empty=0, distracted=0.1) for i in chosen]
        states = base.embed(captions)
        text = F.normalize(projection(states[:, -1]), dim=-1)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            embeds = encoder(preprocess([shards.picture(i) for i in chosen])).image_embeds
        embeds = embeds.float()
        similar = F.normalize(embeds, dim=-1) @ text.T / TEMPERATURE
        same = torch.arange(batch)
        contrast = F.cross_entropy(similar, same) + F.cross_entropy(similar.T, same)
        return contrast / 2 + ATTRIBUTE_WEIGHT * attribute_loss(heads, embeds, answers[chosen])

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
def embed_all(encoder: CLIPVisionModelWithProjection, shards: Shards) -> torch.Tensor:
    """Image embeds of every picture of the set, (n, 128)."""
    parts = []
    for start in range(0, len(shards), 64):
        pictures = [shards.picture(i) for i in range(start, min(start + 64, len(shards)))]
        with torch.autocast("cpu", dtype=torch.bfloat16):
            parts.append(encoder(preprocess(pictures)).image_embeds.float())
    return torch.cat(parts)
