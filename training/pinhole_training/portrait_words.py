"""The text encoder's part of stage `portraits`: prompts that name several colours, read apart.

A text encoder trained on captions of which one in four named hair, clothes and backdrop at once mixes them up: from its
states after the prompt a linear reading got 0.72 of the hair, 0.56 of the clothes and 0.53 of the backdrops of such
prompts. First each colour is read at its noun as well ("shirt" of "red shirt"), which it learns within two hundred steps, and
after the prompt within three hundred. Then its states are brought back to the language that the UNet knows: of captions
with one colour to what they were, of several to the sum of what each adds to the state of the subject alone.
"""

import random
from pathlib import Path

import torch
import torch.nn.functional as F
from transformers import CLIPTextModel, CLIPTokenizer

from . import scenes
from .dataset import varied_caption
from .networks import Base, open_base
from .text_encoder import ATTRIBUTES, UNSEEN, attribute_heads, attribute_loss, labels, mean_after_end, reading_loss, states_of
from .training_run import TrainingRun

PORTRAITS = 0.75
HELD_WEIGHT = 3.0
NOUN_WEIGHT = 2.0
#: Words whose colour stands before them.
GARMENTS = ("shirt", "clothes", "sweater", "dress", "jacket")
NOUNS = {"hair": ("hair",), "cloth": GARMENTS, "hatcol": ("hat",), "bg": ("background",)}
#: What is read of a portrait, beside which all else counts little.
WEIGHTS = {name: 0.3 for name in ATTRIBUTES} | {
    "hair": 4, "cloth": 4, "bg": 4, "hatcol": 3, "col": 2, "tcol": 1, "who": 1, "kind": 1, "thing": 1, "style_fx": 1, "place": 1, "time": 1,
}  # fmt: skip
#: Positions that most steps see, which is cheaper; the last quarter of all steps sees the whole row of 77.
SHORT_ROW = 48
WHOLE_FROM = 0.75

#: Captions of several colours and of one at most in a step of the second part, and what their losses count.
SEVERAL, AT_MOST_ONE = 20, 28
SUM_WEIGHT, KEPT_WEIGHT, READ_WEIGHT = 4.0, 10.0, 0.3
OLD_CAPTIONS, OLD_FIT_STEPS = 3840, 500


def portrait(rng: random.Random) -> dict:
    while True:
        scene = scenes.sample(rng)
        if scene["kind"] == "portrait":
            return scene


def plain_portrait(rng: random.Random) -> tuple[dict, list[str]]:
    """A portrait, and prompts: one that names all its colours in any order, its subject alone, and the subject with each colour."""
    scene = portrait(rng) | {"style_fx": ""}
    parts = [rng.choice(("wearing ", "in ", "wearing a ")) + f"{scene['cloth']} {rng.choice(GARMENTS)}"]
    if scene["who"] != "robot" and scene["style"] != "bald":
        parts.append(rng.choice(("", "with ")) + f"{scene['hair']} hair")
    if scene["bg"] in scenes.COLORS:
        parts.append(rng.choice(("", "on a ")) + f"{scene['bg']} background")
    else:
        parts.append(f"in the {scene['bg']}")
    if scene["acc"] == "hat":
        parts.append(rng.choice(("with a ", "wearing a ")) + f"{scene['hatcol']} hat")
    rng.shuffle(parts)
    subject = rng.choice(("portrait of a ", "a ", "")) + scene["who"]
    between = rng.choice((", ", " "))
    return scene, [between.join([subject, *parts]), subject, *(subject + between + part for part in parts)]


def _noun_loss(
    heads: torch.nn.ModuleDict, tokenizer: CLIPTokenizer, ids: torch.Tensor, states: torch.Tensor, answers: torch.Tensor
) -> torch.Tensor:
    """How badly colours are read at the nouns that they stand before."""
    vocabulary, losses = tokenizer.get_vocab(), [states.new_zeros(())]
    for name, words in NOUNS.items():
        wanted = answers[:, list(ATTRIBUTES).index(name)]
        there = torch.isin(ids, torch.tensor([vocabulary[f"{word}</w>"] for word in words]))
        rows = there.any(1) & (wanted != UNSEEN)
        if rows.any():
            at_noun = states[torch.arange(len(ids)), there.float().argmax(1)]
            losses.append(F.cross_entropy(heads[name](at_noun[rows]), wanted[rows]))
    return torch.stack(losses).sum()


def _answers(described: list[dict]) -> torch.Tensor:
    return torch.tensor([labels(scene) for scene in described])


def tell_colours_apart(base: Base, work: Path, steps: int, batch: int, rate: float, seed: int) -> None:
    """The first part: trains the base's text encoder."""
    held = open_base(base.folder)
    torch.manual_seed(seed)
    encoder = base.text_encoder.requires_grad_(True).train()
    width = encoder.config.hidden_size
    heads = attribute_heads(width)
    noun_heads = torch.nn.ModuleDict({name: torch.nn.Linear(width, len(ATTRIBUTES[name])) for name in NOUNS})
    reading = [*heads.parameters(), *noun_heads.parameters()]
    groups = [{"params": list(encoder.parameters())}, {"params": reading, "factor": 3.0}]
    run = TrainingRun(work / "portrait-words.pt", groups, steps, rate, seed, average=0.99)
    portraits = round(PORTRAITS * batch)

    def loss_of(rng: random.Random) -> torch.Tensor:
        plain = [plain_portrait(rng) for _ in range(portraits // 2)]
        pairs = [(scene, prompts[0]) for scene, prompts in plain]
        thorough = [portrait(rng) for _ in range(portraits - len(pairs))]
        pairs += [(s, varied_caption(s, rng, empty=0, distracted=0.2, thorough=1.0)) for s in thorough]
        others = [scenes.sample(rng) for _ in range(batch - portraits)]
        pairs += [(s, varied_caption(s, rng, empty=0.05, distracted=0.2)) for s in others]
        length = 77 if run.step % 4 == 0 or run.step > WHOLE_FROM * steps else SHORT_ROW
        ids, states, ends = states_of(encoder, base.tokenizer, [caption for _, caption in pairs], length)
        answers = _answers([scene for scene, _ in pairs])
        with torch.no_grad():
            _, before, _ = states_of(held.text_encoder, base.tokenizer, [c for _, c in pairs[portraits:]], length)
        kept = torch.tensor([s["kind"] != "portrait" for s in others])
        moved = (states[portraits:] - before)[kept].square().mean() / before.square().mean()
        at_nouns = _noun_loss(noun_heads, base.tokenizer, ids, states, answers)
        return reading_loss(heads, states, ends, answers, WEIGHTS) + HELD_WEIGHT * moved + NOUN_WEIGHT * at_nouns

    run.train(loss_of)
    run.use_average()


def _named(scene: dict, caption: str) -> list[int]:
    """Labels of a scene, but for colours that the caption does not name."""
    found = labels(scene)
    if scene["kind"] == "portrait":
        for name, words in NOUNS.items():
            is_named = scene["bg"] in caption if name == "bg" else any(word in caption for word in words)
            if not is_named:
                found[list(ATTRIBUTES).index(name)] = UNSEEN
    return found


def _reading_of(encoder: CLIPTextModel, tokenizer: CLIPTokenizer, seed: int) -> torch.nn.ModuleDict:
    """Heads that read attributes from what a text encoder says after prompts; frozen."""
    rng = random.Random(seed)
    described = [scenes.sample(rng) for _ in range(OLD_CAPTIONS)]
    captions = [varied_caption(s, rng, empty=0, distracted=0.1) for s in described]
    with torch.no_grad():
        parts = [captions[start : start + 64] for start in range(0, OLD_CAPTIONS, 64)]
        means = torch.cat([mean_after_end(*states_of(encoder, tokenizer, part)[1:]) for part in parts])
    answers = torch.tensor([_named(s, c) for s, c in zip(described, captions, strict=True)])
    heads = attribute_heads(encoder.config.hidden_size)
    optimizer = torch.optim.AdamW(heads.parameters(), lr=1e-2, weight_decay=1e-2)
    for _ in range(OLD_FIT_STEPS):
        optimizer.zero_grad()
        attribute_loss(heads, means, answers, dict.fromkeys(ATTRIBUTES, 1.0)).backward()
        optimizer.step()
    return heads.requires_grad_(False)


def _caption_of_one_colour(rng: random.Random) -> str:
    """A caption that names one colour at most where it is a portrait's."""
    colours = {*scenes.COLORS, *scenes.HAIR}
    while True:
        scene = scenes.sample(rng)
        caption = varied_caption(scene, rng, empty=0.06, distracted=0.15)
        if scene["kind"] != "portrait" or sum(word.strip(",") in colours for word in caption.split()) <= 1:
            return caption


def speak_as_before(base: Base, work: Path, steps: int, rate: float, seed: int) -> None:
    """The second part: brings the states of the base's text encoder, already trained, back to what its folder's says."""
    old, tokenizer = open_base(base.folder).text_encoder, base.tokenizer
    torch.manual_seed(seed)
    heads = _reading_of(old, tokenizer, seed)
    encoder = base.text_encoder.requires_grad_(True).train()
    path = work / "portrait-words-as-before.pt"
    run = TrainingRun(path, [{"params": list(encoder.parameters())}], steps, rate, seed, average=0.98, warm_up=20)

    def loss_of(rng: random.Random) -> torch.Tensor:
        plain = [plain_portrait(rng) for _ in range(SEVERAL)]
        single = [_caption_of_one_colour(rng) for _ in range(AT_MOST_ONE)]
        length = 77 if run.step % 3 == 0 or run.step > WHOLE_FROM * steps else SHORT_ROW
        _, states, ends = states_of(encoder, tokenizer, [*(prompts[0] for _, prompts in plain), *single], length)
        means = mean_after_end(states, ends)[:SEVERAL]
        with torch.no_grad():
            _, before, _ = states_of(old, tokenizer, single, length)
            alone = mean_after_end(*states_of(old, tokenizer, [p for _, prompts in plain for p in prompts[1:]], SHORT_ROW)[1:])
        sums = [part[1:].sum(0) - (len(part) - 2) * part[0] for part in alone.split([len(p) - 1 for _, p in plain])]
        apart = (means - torch.stack(sums)).square().sum(1).mean() / alone.var(0).sum()
        moved = (states[SEVERAL:] - before).square().mean() / before.var((0, 1)).mean()
        read = reading_loss(heads, states[:SEVERAL], ends[:SEVERAL], _answers([scene for scene, _ in plain]), WEIGHTS) / 2
        return SUM_WEIGHT * apart + KEPT_WEIGHT * moved + READ_WEIGHT * read

    run.train(loss_of)
    run.use_average()
    encoder.requires_grad_(False).eval()
