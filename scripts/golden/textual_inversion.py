"""Embedding files in every form, and what diffusers' encoders make of prompts that use them, for textual-inversion.test.ts.

    python scripts/golden/textual_inversion.py   (torch, diffusers, transformers, safetensors)

Written to packages/engine/test/golden/data/textual-inversion/: the files, cases.json, and expected.safetensors with token ids, prompt embeds
and pooled embeds by case.
"""

import json
import pathlib
import shutil

import diffusers
import torch
import transformers
from safetensors.torch import save_file

from lora_pipelines import apply_lora
from pipelines import DEFAULTS, load, run

OUT = pathlib.Path(__file__).parents[2] / "packages/engine/test/golden/data/textual-inversion"
WIDTHS = {"tiny-sd15": [16], "tiny-sdxl": [16, 24]}


def vectors(seed, *shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)) * 0.05


def web_ui(matrix):
    return {
        "string_to_token": {"*": 265},
        "string_to_param": torch.nn.ParameterDict({"*": torch.nn.Parameter(matrix)}),
        "name": "old-style",
        "step": 500,
        "sd_checkpoint": None,
        "sd_checkpoint_name": None,
    }


# name of the file, what is in it, checkpoint, tokens asked for (None: the file's own), matrices by encoder
FILES = [
    ("diffusers.safetensors", {"<cat-toy>": vectors(1, 16)}, "tiny-sd15", None),
    ("diffusers.bin", {"<cat-toy>": vectors(1, 16)}, "tiny-sd15", ["<s0>", "<s1>"]),
    ("web-ui.pt", web_ui(vectors(2, 3, 16)), "tiny-sd15", None),
    ("web-ui.safetensors", {"emb_params": vectors(3, 3, 16).half()}, "tiny-sd15", ["EasyNegative"]),
    ("web-ui-sdxl.safetensors", {"clip_l": vectors(4, 2, 16), "clip_g": vectors(5, 2, 24)}, "tiny-sdxl", ["Style"]),
    ("pivotal.safetensors", {"text_encoders_0": vectors(6, 2, 16), "text_encoders_1": vectors(7, 2, 24)}, "tiny-sdxl", ["<s0>", "<s1>"]),
    ("bare.pt", vectors(8, 2, 16), "tiny-sd15", ["<s0>", "<s1>"]),
]
PROMPTS = {
    None: ["a photo of <cat-toy>", "old-style, a red house in old-style"],
    ("<s0>", "<s1>"): ["a photo of <s0><s1> by the sea", "red<s0>house <s1> <s0>", "no learned word"],
    ("EasyNegative",): ["easynegative", "a house, easynegative, " + "red house and sea " * 25 + "easynegative"],
    ("Style",): ["a house in style, by the sea", "style " * 40],
}


# Final latents, with LoRAs of data/lora too.
LATENTS = [
    {"name": "sd15", "file": "bare.pt", "prompt": "a photo of <s0><s1> by the sea", "negative_prompt": "night"},
    {"name": "sdxl", "file": "pivotal.safetensors", "prompt": "a photo of <s0><s1> by the sea", "negative_prompt": "night"},
    {
        "name": "sd15-loras",
        "file": "web-ui.safetensors",
        "prompt": "a red house by the sea",
        "negative_prompt": "easynegative, night",
        "clip_skip": 1,
        "loras": [["plain-kohya", 0.8], ["attention-processors", -0.5]],
    },
]


def latents(expected):
    by_name = {name: (content, checkpoint, tokens) for name, content, checkpoint, tokens in FILES}
    for case in LATENTS:
        content, checkpoint, tokens = by_name[case["file"]]
        pipe = load(checkpoint, False, None)
        for i, (name, scale) in enumerate(case.setdefault("loras", [])):
            apply_lora(pipe, name, f"a{i}", scale)
        if case["loras"]:
            pipe.set_adapters([f"a{i}" for i in range(len(case["loras"]))], [scale for _, scale in case["loras"]])
        load_into(pipe, content, tokens)
        case["clip_skip"] = case.get("clip_skip", 0)
        case |= {"checkpoint": checkpoint, "tokens": tokens}
        request = {**DEFAULTS, "scheduler": "Euler", **case}
        expected[f"{case['name']}.latents"] = torch.from_numpy(run(pipe, pipe.scheduler.config, None, request)[0])


def matrix_of(value):
    value = value["string_to_param"]["*"] if isinstance(value, dict) and "string_to_param" in value else value
    value = next(iter(value.values())) if isinstance(value, dict) else value
    return value.detach().float().reshape(-1, value.shape[-1])


def encoders(pipe):
    pairs = [(pipe.tokenizer, pipe.text_encoder)]
    return pairs + ([(pipe.tokenizer_2, pipe.text_encoder_2)] if hasattr(pipe, "text_encoder_2") else [])


def load_into(pipe, content, tokens):
    """diffusers' own loader, one call a token; it lower-cases nothing, so that the tokens are lower-cased here."""
    pairs = encoders(pipe)
    matrices = [value for value in content.values()] if len(pairs) == 2 else [matrix_of(content)]
    for (tokenizer, encoder), matrix in zip(pairs, matrices):
        matrix = matrix.float()
        named = tokens or (["old-style"] if "string_to_param" in content else ["<cat-toy>"])
        parts = [matrix] if len(named) == 1 else [matrix[i : i + 1] for i in range(min(len(named), len(matrix)))]
        for token, part in zip(named, parts):
            pipe.load_textual_inversion(part, token=token.lower(), text_encoder=encoder, tokenizer=tokenizer)


def main():
    torch.set_num_threads(1)
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir(parents=True)
    cases, expected = [], {}
    for name, content, checkpoint, tokens in FILES:
        if name.endswith(".safetensors"):
            save_file(content, OUT / name)
        else:
            torch.save(content, OUT / name)
        pipe = load(checkpoint, False, None)
        load_into(pipe, content, tokens)
        prompts = PROMPTS[tokens and tuple(tokens)]
        if tokens is None:
            prompts = [prompt for prompt in prompts if ("old-style" in prompt) == (name == "web-ui.pt")]
        for i, prompt in enumerate(prompts):
            key = f"{name}.{i}"
            for k, (tokenizer, _) in enumerate(encoders(pipe)):
                text = pipe.maybe_convert_prompt(prompt, tokenizer)
                ids = tokenizer(text, padding="max_length", max_length=77, truncation=True)["input_ids"]
                expected[f"{key}.ids{k}"] = torch.tensor(ids, dtype=torch.int32)
            with torch.no_grad():
                if checkpoint == "tiny-sdxl":
                    embeds, _, pooled, _ = pipe.encode_prompt(prompt, device="cpu", do_classifier_free_guidance=False)
                    expected[f"{key}.pooled"] = pooled.contiguous()
                else:
                    embeds, _ = pipe.encode_prompt(prompt, "cpu", 1, False)
            expected[f"{key}.embeds"] = embeds.contiguous()
            cases.append({"key": key, "file": name, "checkpoint": checkpoint, "tokens": tokens, "prompt": prompt})
    latents(expected)
    save_file(expected, OUT / "expected.safetensors")
    header = {
        "versions": {m.__name__: m.__version__ for m in (torch, diffusers, transformers)},
        "tolerance": 2e-5,
        "toleranceReason": "relative to the largest value: float32 sums of three layers in another order",
        "cases": cases,
        "latents": LATENTS,
        "latentsTolerance": 1e-4,
    }
    (OUT / "cases.json").write_text(json.dumps(header, indent=1) + "\n")
    for path in OUT.iterdir():
        path.chmod(0o644)


if __name__ == "__main__":
    main()
