"""Golden values of weighted prompts: embeddings of the tiny checkpoints' encoders by the formulas of diffusers' community pipelines
"long prompt weighting" (examples/community/lpw_stable_diffusion.py and lpw_stable_diffusion_xl.py), written out with NumPy and
weights in float32. Written to packages/engine/test/golden/data/prompt-weighting.{json,safetensors}.

    python scripts/golden/prompt_weighting.py        (after checkpoints.py)

Each case has the prompts and, so that nothing here parses them, the fragments that they consist of: lists of [text, weight], one for
each part between two BREAKs. In both families a BREAK fills up to the next whole chunk.
"""

import json

import numpy as np
import torch
from checkpoints import DATA as CHECKPOINTS
from safetensors.numpy import save_file
from transformers import CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

DATA = CHECKPOINTS.parent
CHUNK = 75
WORDS = "a red house by the sea with a small boat and two old trees under a cloudy sky "

CASES = [
    {"name": "weights", "prompt": "a (red:1.5) house, [[quiet]] sea", "negative_prompt": "(night)",
     "parts": [[["a ", 1], ["red", 1.5], [" house, ", 1], ["quiet", 1 / 1.1 / 1.1], [" sea", 1]]],
     "negative_parts": [[["night", 1.1]]]},
    {"name": "plain", "prompt": "a red house", "negative_prompt": "",
     "parts": [[["a red house", 1]]], "negative_parts": [[["", 1]]]},
    {"name": "long", "prompt": WORDS * 6 + "(storm:1.4)", "negative_prompt": "night",
     "parts": [[[WORDS * 6, 1], ["storm", 1.4]]], "negative_parts": [[["night", 1]]]},
    {"name": "long-negative", "prompt": "a (house:0.7)", "negative_prompt": WORDS * 5, "clip_skip": 1,
     "parts": [[["a ", 1], ["house", 0.7]]], "negative_parts": [[[WORDS * 5, 1]]]},
    {"name": "break", "prompt": "a red house BREAK (the sea:1.2) BREAK sky", "negative_prompt": "night BREAK dark",
     "parts": [[["a red house", 1]], [["the sea", 1.2]], [["sky", 1]]],
     "negative_parts": [[["night", 1]], [["dark", 1]]]},
    {"name": "no-guidance", "prompt": "a (red) house", "negative_prompt": None,
     "parts": [[["a ", 1], ["red", 1.1], [" house", 1]]], "negative_parts": None},
]  # fmt: skip


def ids_of(tokenizer, parts, pad):
    ids, weights = [], []
    for i, part in enumerate(parts):
        start = len(ids)
        for text, weight in part:
            tokens = tokenizer(text).input_ids[1:-1]
            ids += tokens
            weights += [weight] * len(tokens)
        if i < len(parts) - 1:
            fill = -(len(ids) - start) % CHUNK if len(ids) > start else CHUNK
            ids += [pad] * fill
            weights += [1.0] * fill
    return ids, weights


def sd15(case):
    folder = CHECKPOINTS / "tiny-sd15"
    tokenizer = CLIPTokenizer.from_pretrained(folder / "tokenizer")
    model = CLIPTextModel.from_pretrained(folder / "text_encoder").eval()
    norm = (model.text_model if hasattr(model, "text_model") else model).final_layer_norm
    prompts = [parts for parts in (case["parts"], case["negative_parts"]) if parts is not None]
    read = [ids_of(tokenizer, parts, tokenizer.pad_token_id) for parts in prompts]
    chunks = max(1, max(-(-len(ids) // CHUNK) for ids, _ in read))
    result = []
    for ids, weights in read:
        fill = chunks * CHUNK - len(ids)
        ids, weights = ids + [tokenizer.pad_token_id] * fill, weights + [1.0] * fill
        states, token_weights = [], []
        for i in range(0, len(ids), CHUNK):
            row = [tokenizer.bos_token_id, *ids[i : i + CHUNK], tokenizer.eos_token_id]
            hidden = model(torch.tensor([row]), output_hidden_states=True).hidden_states
            states.append(norm(hidden[-(case.get("clip_skip", 0) + 1)])[0].numpy())
            token_weights += [1.0, *weights[i : i + CHUNK], 1.0]
        embeds = np.concatenate(states)
        weighted = embeds * np.array(token_weights, np.float32)[:, None]
        result.append(weighted * (embeds.astype(np.float64).mean() / weighted.astype(np.float64).mean()))
    return {f"sd15.{case['name']}.{half}": value[None].astype(np.float32) for half, value in zip(("positive", "negative"), result)}


def sdxl(case):
    folder = CHECKPOINTS / "tiny-sdxl"
    encoders = [
        (CLIPTokenizer.from_pretrained(folder / "tokenizer"), CLIPTextModel.from_pretrained(folder / "text_encoder").eval()),
        (CLIPTokenizer.from_pretrained(folder / "tokenizer_2"),
         CLIPTextModelWithProjection.from_pretrained(folder / "text_encoder_2").eval()),
    ]  # fmt: skip
    prompts = [parts for parts in (case["parts"], case["negative_parts"]) if parts is not None]
    read = [[ids_of(tokenizer, parts, tokenizer.eos_token_id) for tokenizer, _ in encoders] for parts in prompts]
    length = max(len(ids) for both in read for ids, _ in both)
    result = {}
    for half, skip, both in zip(("positive", "negative"), (case.get("clip_skip", 0), 0), read):
        halves = []
        for (ids, weights), (tokenizer, model) in zip(both, encoders):
            ids, weights = ids + [tokenizer.eos_token_id] * (length - len(ids)), weights + [1.0] * (length - len(weights))
            states = []
            for i in range(0, max(length, 1), CHUNK):
                row = [tokenizer.bos_token_id, *ids[i : i + CHUNK], tokenizer.eos_token_id]
                out = model(torch.tensor([row]), output_hidden_states=True)
                state = out.hidden_states[-(skip + 2)][0].numpy()
                w = np.array([1.0, *weights[i : i + CHUNK], 1.0], np.float32)[:, None]
                states.append(state[-1] + (state - state[-1]) * w)
            halves.append(np.concatenate(states))
        result[f"sdxl.{case['name']}.{half}"] = np.concatenate(halves, axis=-1)[None].astype(np.float32)
        result[f"sdxl.{case['name']}.{half}.pooled"] = out.text_embeds.numpy()
    return result


def main():
    torch.set_num_threads(1)
    tensors = {}
    with torch.no_grad():
        for case in CASES:
            tensors |= sd15(case) | sdxl(case)
    save_file({key: np.ascontiguousarray(value) for key, value in tensors.items()}, DATA / "prompt-weighting.safetensors")
    cases = [{key: case.get(key, 0 if key == "clip_skip" else None) for key in ("name", "prompt", "negative_prompt", "clip_skip")}
             for case in CASES]  # fmt: skip
    (DATA / "prompt-weighting.json").write_text(json.dumps({"torch": torch.__version__, "cases": cases}, indent=1) + "\n")


if __name__ == "__main__":
    main()
