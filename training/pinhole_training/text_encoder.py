"""Stage `text-encoder`: what a caption says about a scene, readable linearly from the positions after its end.

It is trained alone, by predicting 21 attributes of scenes, and frozen afterwards. Trained together with the UNet, its
colour words did not reach the pictures.
"""

import random
from collections.abc import Mapping
from pathlib import Path

import torch
import torch.nn.functional as F
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from . import scenes
from .dataset import varied_caption
from .networks import CONTEXT_WIDTH
from .training_run import TrainingRun

_PLACES = [*scenes.PLACES, "mars", "jungle"]
_COLORS = list(scenes.COLORS)
ATTRIBUTES: dict[str, list] = {
    "kind": ["portrait", "landscape", "thing"], "style_fx": sorted(set(scenes.STYLES)), "col": _COLORS,
    "bg": [*_COLORS, *_PLACES], "thing": [*scenes.THINGS, "boat", ""], "tcol": _COLORS, "hair": list(scenes.HAIR),
    "cloth": _COLORS, "hatcol": _COLORS, "who": list(scenes.SUBJECTS),
    "style": ["long", "curly", "bun", "short", "spiky", "bald"], "mood": ["smiling", "sad", "surprised", "serious"],
    "skin": list(scenes.SKIN), "eyes": list(scenes.EYES), "beard": ["none", "beard", "moustache"],
    "acc": ["none", "glasses", "sunglasses", "hat", "earrings"], "place": _PLACES,
    "time": ["day", "sunset", "night", "dawn"], "orb": ["sun", "moon", "none"], "clouds": [False, True],
    "birds": [False, True],
}  # fmt: skip
#: Colours matter most, and are what went wrong.
WEIGHTS = {"col": 3, "bg": 3, "hair": 2, "cloth": 2, "hatcol": 2, "tcol": 2}
FIRST_POSITION_WEIGHT = 0.3
UNSEEN = -1


def labels(scene: dict) -> list[int]:
    """The index of each attribute's value; −1 where the scene does not show the attribute."""
    hidden = set()
    if scene.get("acc") != "hat":
        hidden.add("hatcol")
    if not scene.get("thing"):
        hidden.add("tcol")
    if scene.get("who") == "robot":
        hidden |= {"hair", "style", "eyes", "skin"}
    if scene.get("style") == "bald":
        hidden.add("hair")
    if scene["kind"] == "portrait" and scene["bg"] in scenes.COLORS:
        hidden.add("time")
    found = []
    for name, values in ATTRIBUTES.items():
        value = None if name in hidden else scene.get(name)
        found.append(values.index(value) if value in values else UNSEEN)
    return found


def new_text_encoder(vocabulary: int) -> CLIPTextModel:
    config = CLIPTextConfig(
        vocab_size=vocabulary, hidden_size=CONTEXT_WIDTH, intermediate_size=4 * CONTEXT_WIDTH, projection_dim=CONTEXT_WIDTH,
        num_hidden_layers=3, num_attention_heads=4, max_position_embeddings=77, hidden_act="quick_gelu",
        bos_token_id=vocabulary - 2, eos_token_id=vocabulary - 1, pad_token_id=vocabulary - 1,
    )  # fmt: skip
    return CLIPTextModel(config)


def said_loss(said: Mapping[str, torch.Tensor], answers: torch.Tensor, weights: Mapping[str, float] = WEIGHTS) -> torch.Tensor:
    """Cross entropy summed over attributes; for each attribute logits (n, values), answers (n, attributes)."""
    losses = []
    for column, name in enumerate(ATTRIBUTES):
        if (answers[:, column] != UNSEEN).any():
            loss = F.cross_entropy(said[name], answers[:, column], ignore_index=UNSEEN)
            losses.append(weights.get(name, 1) * loss)
    return torch.stack(losses).sum()


def attribute_loss(
    heads: torch.nn.ModuleDict, features: torch.Tensor, answers: torch.Tensor, weights: Mapping[str, float] = WEIGHTS
) -> torch.Tensor:
    """`said_loss` of what the heads say of features (n, width)."""
    return said_loss({name: heads[name](features) for name in ATTRIBUTES}, answers, weights)


def attribute_heads(width: int) -> torch.nn.ModuleDict:
    return torch.nn.ModuleDict({name: torch.nn.Linear(width, len(values)) for name, values in ATTRIBUTES.items()})


def states_of(
    encoder: CLIPTextModel, tokenizer: CLIPTokenizer, captions: list[str], length: int = 77
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Tokens (n, length), their last states (n, length, width), float32, and which lie after the caption, 0 or 1."""
    ids = tokenizer(captions, padding="max_length", max_length=length, truncation=True, return_tensors="pt").input_ids
    with torch.autocast("cpu", dtype=torch.bfloat16):
        states = encoder(ids)[0]
    return ids, states.float(), (ids == tokenizer.eos_token_id).float()


def mean_after_end(states: torch.Tensor, ends: torch.Tensor) -> torch.Tensor:
    """(n, width) of states (n, length, width), over the positions that `ends` marks."""
    return (states * ends[..., None]).sum(1) / ends.sum(1, keepdim=True)


def reading_loss(
    heads: torch.nn.ModuleDict,
    states: torch.Tensor,
    ends: torch.Tensor,
    answers: torch.Tensor,
    weights: Mapping[str, float] = WEIGHTS,
) -> torch.Tensor:
    """How badly the attributes are read from the mean of the positions after the caption, and from the first of them."""
    first_end = states[torch.arange(len(states)), ends.argmax(1)]
    spread = attribute_loss(heads, mean_after_end(states, ends), answers, weights)
    return spread + FIRST_POSITION_WEIGHT * attribute_loss(heads, first_end, answers, weights)


def train_text_encoder(tokenizer_folder: Path, work: Path, out: Path, steps: int, batch: int, rate: float, seed: int) -> None:
    tokenizer = CLIPTokenizer.from_pretrained(tokenizer_folder)
    torch.manual_seed(seed)
    encoder, heads = new_text_encoder(len(tokenizer)), attribute_heads(CONTEXT_WIDTH)
    parameters = [*encoder.parameters(), *heads.parameters()]
    run = TrainingRun(work / "text-encoder.pt", [{"params": parameters}], steps, rate, seed, warm_up=50)

    def loss_of(rng: random.Random) -> torch.Tensor:
        batch_scenes = [scenes.sample(rng) for _ in range(batch)]
        captions = [varied_caption(s, rng, empty=0, distracted=0.25) for s in batch_scenes]
        answers = torch.tensor([labels(s) for s in batch_scenes])
        _, states, ends = states_of(encoder, tokenizer, captions)
        return reading_loss(heads, states, ends, answers)

    run.train(loss_of)
    run.use_average()
    encoder.half().save_pretrained(out)
