"""Stage `prompt-expander`: a two-layer GPT-2 that goes on with prompts in Pinhole's words, as MagicPrompt does in Stable Diffusion's."""

import collections
import json
import random
import re
from pathlib import Path

import torch
from transformers import GPT2Config, GPT2LMHeadModel, GPT2Tokenizer

from . import scenes
from .tokenizer import END, byte_alphabet, learn_merges
from .training_run import TrainingRun

CAPTIONS, MERGES = 20_000, 900
WIDTH, LAYERS, HEADS, LENGTH = 128, 2, 4, 96
_WORDS = re.compile(r" ?[^\W\d_]+| ?\d+| ?[^\s\w]+|\s+")


def rich_caption(rng: random.Random) -> str:
    """A caption whose subject comes first and that says much: what follows a short prompt is to be learnt."""
    while True:
        text = scenes.caption(scenes.sample(rng), rng)
        parts = text.split(", ")
        if len(parts) >= 3 and parts[0] not in scenes.QUALITY and rng.random() < 0.2 + 0.2 * len(parts):
            return text


def make_expander_tokenizer(folder: Path) -> None:
    """GPT-2's files: a blank belongs to the word after it."""
    rng, alphabet = random.Random(8), byte_alphabet()
    texts = [scenes.caption(scenes.sample(rng), rng) for _ in range(CAPTIONS)]
    words = collections.Counter("".join(alphabet[b] for b in w.encode()) for t in texts for w in _WORDS.findall(t))
    merges = learn_merges({tuple(word): count for word, count in words.items()}, MERGES)
    tokens = [*sorted(alphabet.values()), *(a + b for a, b in merges), END]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps({t: i for i, t in enumerate(tokens)}, ensure_ascii=False))
    (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(" ".join(m) for m in merges) + "\n")
    marks = {"bos_token": END, "eos_token": END, "unk_token": END}
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "GPT2Tokenizer", **marks}, indent=2))


def train_prompt_expander(work: Path, out: Path, steps: int, batch: int, rate: float, seed: int) -> None:
    make_expander_tokenizer(out)
    tokenizer = GPT2Tokenizer.from_pretrained(out)
    end = tokenizer.convert_tokens_to_ids(END)
    torch.manual_seed(seed)
    model = GPT2LMHeadModel(
        GPT2Config(
            vocab_size=len(tokenizer), n_embd=WIDTH, n_layer=LAYERS, n_head=HEADS, n_positions=LENGTH,
            bos_token_id=end, eos_token_id=end, resid_pdrop=0, embd_pdrop=0, attn_pdrop=0,
        )
    )  # fmt: skip
    run = TrainingRun(work / "prompt-expander.pt", [{"params": list(model.parameters())}], steps, rate, seed, average=0.99)

    def loss_of(rng: random.Random) -> torch.Tensor:
        rows = [[*tokenizer(rich_caption(rng)).input_ids, end][:LENGTH] for _ in range(batch)]
        width = max(map(len, rows))
        ids = torch.tensor([row + [end] * (width - len(row)) for row in rows])
        answers = torch.tensor([row + [-100] * (width - len(row)) for row in rows])
        return model(ids, labels=answers).loss

    run.train(loss_of)
    run.use_average()
    model.half().save_pretrained(out)
