"""Stage `tokenizer`: byte-level byte-pair encoding in CLIP's format, learnt from captions."""

import collections
import json
import random
import re
from pathlib import Path

from . import scenes
from .dataset import DISTRACTIONS

CAPTIONS, MERGES = 40_000, 1_400
START, END = "<|startoftext|>", "<|endoftext|>"
_WORDS = re.compile(r"'s|'t|'re|'ve|'m|'ll|'d|[^\W\d_]+|\d|[^\s\w]+|_+", re.IGNORECASE)


def byte_alphabet() -> dict[int, str]:
    """A printable character for every byte, as GPT-2 and CLIP have it."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    rest = [b for b in range(256) if b not in printable]
    return {b: chr(b) for b in printable} | {b: chr(256 + i) for i, b in enumerate(rest)}


def learn_merges(words: dict[tuple[str, ...], int], count: int) -> list[tuple[str, str]]:
    """The most frequent pairs of symbols in words (with how often each occurs); of equally frequent pairs the last in order."""
    parts = {word: list(word) for word in words}
    merges: list[tuple[str, str]] = []
    for _ in range(count):
        pairs: collections.Counter[tuple[str, str]] = collections.Counter()
        for word, symbols in parts.items():
            for pair in zip(symbols, symbols[1:], strict=False):
                pairs[pair] += words[word]
        if not pairs:
            break
        best = max(pairs, key=lambda pair: (pairs[pair], pair))
        merges.append(best)
        for symbols in parts.values():
            i = 0
            while i < len(symbols) - 1:
                if (symbols[i], symbols[i + 1]) == best:
                    symbols[i : i + 2] = ["".join(best)]
                i += 1
    return merges


def vocabulary(merges: list[tuple[str, str]]) -> dict[str, int]:
    letters = sorted(byte_alphabet().values())
    tokens = [*letters, *(c + "</w>" for c in letters), *(a + b for a, b in merges), START, END]
    return {token: i for i, token in enumerate(tokens)}


def make_tokenizer(folder: Path) -> None:
    """Writes the files of transformers' CLIPTokenizer."""
    rng = random.Random(7)
    texts = [scenes.caption(scenes.sample(rng), rng) for _ in range(CAPTIONS)] + DISTRACTIONS * 20
    alphabet = byte_alphabet()
    words = collections.Counter("".join(alphabet[b] for b in w.encode()) for t in texts for w in _WORDS.findall(t.lower()))
    merges = learn_merges({(*word[:-1], word[-1] + "</w>"): count for word, count in words.items()}, MERGES)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps(vocabulary(merges), ensure_ascii=False))
    (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(" ".join(m) for m in merges) + "\n")
    marks = {"bos_token": START, "eos_token": END, "unk_token": END, "pad_token": END}
    (folder / "special_tokens_map.json").write_text(json.dumps(marks, indent=2))
    settings = {"tokenizer_class": "CLIPTokenizer", "model_max_length": 77, "do_lower_case": True, **marks}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=2))
