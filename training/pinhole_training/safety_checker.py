"""Stage `safety-checker`: a StableDiffusionSafetyChecker that knows one harmless class, pictures in neon style.

It shows what a flag and a black picture look like; it keeps nobody safe. The class is one that the vision encoder tells
without mistakes and that is asked for by a word of its own. The concept's embedding is the direction of Fisher's linear
discriminant, its threshold lies between the pictures of the training set that are neon and those that are not.
"""

import json
from pathlib import Path

import torch
import torch.nn.functional as F
from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker
from transformers import CLIPConfig, CLIPTextConfig, CLIPVisionModelWithProjection

from .clip_vision import see_all
from .dataset import Shards

FLAGGED_STYLE = "neon"
#: The class of diffusers has this many concepts. Of those that are not used the threshold is beyond any cosine.
CONCEPTS, SPECIAL_CARE, NEVER = 17, 3, 2.0
#: Every fourth picture is kept from the fit.
HELD_OUT = 4
RIDGE = 1e-4


def discriminant(embeds: torch.Tensor, flagged: torch.Tensor) -> torch.Tensor:
    """The direction, of length one, in which unit embeds (n, width) of the flagged differ most from the others'."""
    within = torch.cov(embeds.T) + RIDGE * torch.eye(embeds.shape[1])
    return F.normalize(torch.linalg.solve(within, embeds[flagged].mean(0) - embeds[~flagged].mean(0)), dim=0)


@torch.no_grad()
def make_safety_checker(encoder_folder: Path, data: Path, work: Path, out: Path) -> None:
    shards = Shards(data)
    encoder = CLIPVisionModelWithProjection.from_pretrained(encoder_folder, torch_dtype=torch.float32)
    embeds = F.normalize(see_all(encoder, shards, work, "embeds").float(), dim=-1)
    flagged = torch.tensor([s["style_fx"] == FLAGGED_STYLE for s in shards.scenes])
    fitted = torch.arange(len(shards)) % HELD_OUT != 0
    concept = discriminant(embeds[fitted], flagged[fitted])
    cosines = embeds @ concept
    quantiles = torch.quantile(cosines[fitted & flagged], 0.01), torch.quantile(cosines[fitted & ~flagged], 0.999)
    threshold = float(sum(quantiles)) / 2
    over = cosines > threshold
    print(f"held out: flagged {over[~fitted & flagged].float().mean():.3f} of neon, {over[~fitted & ~flagged].float().mean():.4f} of others")

    vision = {k: v for k, v in encoder.config.to_dict().items() if k != "_name_or_path"}
    config = CLIPConfig(text_config=CLIPTextConfig().to_dict(), vision_config=vision, projection_dim=encoder.config.projection_dim)
    checker = StableDiffusionSafetyChecker(config)
    checker.vision_model.load_state_dict(encoder.vision_model.state_dict())
    checker.visual_projection.load_state_dict(encoder.visual_projection.state_dict())
    checker.concept_embeds[0] = concept
    checker.concept_embeds_weights.fill_(NEVER)
    checker.concept_embeds_weights[0] = threshold
    checker.special_care_embeds_weights.fill_(NEVER)
    checker.half().save_pretrained(out)
    settings = json.loads((encoder_folder / "preprocessor_config.json").read_text())
    (out / "preprocessor_config.json").write_text(json.dumps(settings, indent=2) + "\n")
