"""Golden token ids of transformers' CLIPTokenizer: packages/engine/test/golden/data/tokenizer.json.

    python scripts/golden/tokenizer.py                 the committed corpus
    python scripts/golden/tokenizer.py COUNT CORPUS    COUNT random texts and their ids into the file CORPUS, for
                                                       bench/engine/tokenizer-parity.ts
"""

import json
import pathlib
import random
import shutil
import sys
import tempfile
import unicodedata

import tokenizers
import transformers
from transformers import CLIPTokenizer

ROOT = pathlib.Path(__file__).parents[2]
DATA = ROOT / "packages/engine/test/golden/data/tokenizer.json"
FOLDER = ROOT / "models/pinhole-512/tokenizer"

FIXED = [
    "", " ", "\n\t ", "a photo of a cat", "A PHOTO, of a Cat!", "it's we'll I'VE n't ''d ’s", "a" * 300, "cat " * 100, "!" * 200,
    "<|endoftext|>", "a <|endoftext|> b<|startoftext|>c", "<|ENDOFTEXT|>", "x<|EndOfText|>!!", "<|StartOfText|> y", "<|endoftext",
    "(masterpiece:1.2), ((best quality)), [bad] {a|b} <lora:foo:0.8>", "50mm f/1.8 4k 8K hdr!!", "ΑΣ ΣΑΣ ΟΔΟΣ.", "İstanbul ẞ ǅ Å",
    "café", unicodedata.normalize("NFD", "café Ångström 이미지 ガ"), "①②½ Ⅷ", "猫の写真，高画质", "👩‍👩‍👧‍👦 🇩🇪 👍🏽 ❤️", "a\ufeffb!\ufeff!",
    "a\u0085b\u2028c\u200bd\u00ade\x00f\x1cg\u180eh", "e\u0301\u0327\u0304", "a! b !c!d !!", "sks<cat-toy>SKS <Cat-Toy>_1 <cat-toy>",
]  # fmt: skip


def character(ranges):
    """Assigned characters only: what a later Unicode version makes of the others, no two libraries know at once."""
    while unicodedata.category(chosen := chr(random.randint(*random.choice(ranges)))) == "Cn":
        pass
    return chosen


def characters(*ranges):
    return lambda: "".join(character(ranges) for _ in range(random.randint(1, 6)))


PIECES = [
    characters((0x20, 0x7E)), characters((0x00, 0x1F)), characters((0xA0, 0x24F), (0x370, 0x5FF), (0x600, 0x6FF), (0x900, 0x97F)),
    characters((0x4E00, 0x9FFF)), characters((0x3040, 0x30FF), (0xAC00, 0xD7A3), (0x1100, 0x11FF)),
    characters((0x1F300, 0x1FAFF), (0x200D, 0x200D), (0xFE0F, 0xFE0F), (0x1F1E6, 0x1F1FF)), characters((0x61, 0x7A), (0x300, 0x36F)),
    characters((0x10000, 0x10FFFF)), lambda: str(random.randint(0, 10**6)), lambda: random.choice(FIXED[3:]),
    lambda: random.choice([" ", "  ", "\t", "\n", "\u00a0", "\u3000", "\ufeff", "\u200b", "\u0085"]),
]  # fmt: skip


def random_text(words):
    count = random.choice([1, 2, 4, 8, 30])
    pieces = [random.choice(PIECES)() if random.random() < 0.7 else random.choice(words) for _ in range(count)]
    return random.choice(["", " "]).join(pieces)


def corpus(tokenizer, count):
    random.seed(20)
    words = [word.replace("</w>", "") for word in sorted(tokenizer.get_vocab())]
    return FIXED + [random_text(words)[:400] for _ in range(count)]


def token_object(content, normalized):
    return {"content": content, "lstrip": False, "normalized": normalized, "rstrip": False, "single_word": False}


# Other ways in which published folders declare their special tokens. None: the file is missing.
START, END = "<|startoftext|>", "<|endoftext|>"
FOLDERS = {
    "SDXL's second tokenizer": {
        "tokenizer_config.json": {
            "added_tokens_decoder": {
                "0": token_object("!", False) | {"special": True},
                "1229": token_object(START, True) | {"special": True},
                "1230": token_object(END, True) | {"special": True},
            },
            "bos_token": START,
            "eos_token": END,
            "unk_token": END,
            "pad_token": "!",
        }
    },
    "a pad token in special_tokens_map.json": {
        "tokenizer_config.json": {"pad_token": END},
        "special_tokens_map.json": {"bos_token": token_object(START, True), "eos_token": token_object(END, True), "pad_token": "!"},
    },
    "an end token that is not normalized": {
        "special_tokens_map.json": {
            "bos_token": token_object(START, True),
            "eos_token": token_object(END, False),
            "unk_token": token_object(END, False),
            "pad_token": "!",
        }
    },
    "nothing but the vocabulary": {"tokenizer_config.json": None, "special_tokens_map.json": None},
}


def folder_case(name, files):
    with tempfile.TemporaryDirectory() as folder:
        for file in FOLDER.iterdir():
            if files.get(file.name, file) is not None:
                shutil.copyfile(file, pathlib.Path(folder, file.name))
        for file, content in files.items():
            if content is not None:
                pathlib.Path(folder, file).write_text(json.dumps(content))
        tokenizer = CLIPTokenizer.from_pretrained(folder)
    ids = tokenizer(FIXED, padding="max_length", max_length=20, truncation=True)["input_ids"]
    return {"name": name, "files": files, "ids": [" ".join(map(str, row)) for row in ids]}


def added_tokens():
    tokenizer = CLIPTokenizer.from_pretrained(FOLDER)
    tokens = ["<cat-toy>", "<Cat-Toy>_1", "SKS"]
    tokenizer.add_tokens(tokens)
    texts = [*FIXED[-1:], "a<CAT-TOY>b", "asks skss", "a photo of <cat-toy> <cat-toy>_1"]
    ids = tokenizer(texts, add_special_tokens=False)["input_ids"]
    return {"tokens": tokens, "texts": texts, "ids": [" ".join(map(str, row)) for row in ids]}


def main():
    tokenizer = CLIPTokenizer.from_pretrained(FOLDER)
    if len(sys.argv) == 3:
        texts = corpus(tokenizer, int(sys.argv[1]))
        ids = tokenizer(texts, add_special_tokens=False)["input_ids"]
        pathlib.Path(sys.argv[2]).write_text(json.dumps({"texts": texts, "ids": ids}))
        return
    texts = corpus(tokenizer, 220)
    padded = tokenizer(texts, padding="max_length", max_length=77, truncation=True)["input_ids"]
    golden = {
        "versions": {"transformers": transformers.__version__, "tokenizers": tokenizers.__version__},
        "tolerance": "none: integers",
        # The ids of the whole text, and the sum of id times place (from 1) of the 77 ids that a pipeline asks for.
        "texts": texts,
        "ids": [" ".join(map(str, ids)) for ids in tokenizer(texts, add_special_tokens=False)["input_ids"]],
        "padded_sums": [sum(id * place for place, id in enumerate(ids, 1)) for ids in padded],
        "folders": [folder_case(*item) for item in FOLDERS.items()],
        "added_tokens": added_tokens(),
    }
    DATA.write_text(json.dumps(golden, indent=1) + "\n")


main()
