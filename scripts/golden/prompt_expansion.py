"""Tiny random GPT-2s with GPT-2's own kind of vocabulary, and what transformers makes of prompts.

    python scripts/golden/prompt_expansion.py

Written to packages/engine/test/golden/data: checkpoints/tiny-gpt2 (as saved today), checkpoints/tiny-gpt2-old (a pickle without the head,
with the mask buffers of old versions, and a word list) and gpt2.json.
"""

import json
import shutil

import torch
from checkpoints import DATA as CHECKPOINTS
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import GPT2Config, GPT2LMHeadModel

CORPUS = """a portrait of a man, highly detailed, digital painting, artstation, concept art, smooth, sharp focus, illustration
a castle on a hill at sunset, intricate, elegant, highly detailed, cinematic lighting, wide angle, volumetric light
cyberpunk city street at night, neon lights, rain, reflections, 8k, trending on artstation, by greg, masterpiece
l'été à la plage, it's warm, they're happy, don't stop, 12 cats and 3 dogs; 日本の庭 — blue sky!""".splitlines()
PROMPTS = [
    "a cat", "A castle,  on a hill", "it's 12 o'clock, they're late", "été à la plage 日本", "tabs\tand\nlines  here ", "  two  blanks",
    "\ufeffmark\u00a0space\u2003wide", "emoji 🙂🙂, naïve", "1234567", "a portrait of a man, highly detailed, sharp focus",
]  # fmt: skip
WORDS = ["detailed", "smooth", "sharp", "focus", "night", "Neon", "", "absent-word", "digital", "painting", "light"]


def main():
    torch.manual_seed(0)
    trained = Tokenizer(models.BPE())
    trained.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trained.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=420, special_tokens=[], initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()), show_progress=False
    )
    trained.train_from_iterator(CORPUS, trainer)
    vocab_size = trained.get_vocab_size() + 1
    config = GPT2Config(
        vocab_size=vocab_size, n_positions=160, n_embd=24, n_layer=3, n_head=3, bos_token_id=vocab_size - 1,
        eos_token_id=vocab_size - 1, initializer_range=0.3,
    )  # fmt: skip
    model = GPT2LMHeadModel(config).eval()
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            torch.nn.init.normal_(parameter, std=0.1)
    folder, old = CHECKPOINTS / "tiny-gpt2", CHECKPOINTS / "tiny-gpt2-old"
    for place in (folder, old):
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
    model.save_pretrained(folder)
    vocab = trained.get_vocab() | {"<|endoftext|>": vocab_size - 1}
    merges = json.loads(trained.to_str())["model"]["merges"]
    for place in (folder, old):
        (place / "vocab.json").write_text(json.dumps(vocab, ensure_ascii=False))
        (place / "merges.txt").write_text("#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in merges))
        config.save_pretrained(place)
    state = {key.removeprefix("transformer."): value for key, value in model.transformer.state_dict().items()}
    for i in range(config.n_layer):
        state[f"h.{i}.attn.bias"] = torch.ones(1, 1, 160, 160, dtype=torch.uint8).tril()
        state[f"h.{i}.attn.masked_bias"] = torch.tensor(-1e4)
    torch.save(state, old / "pytorch_model.bin")
    (old / "positive.txt").write_text("\n".join(WORDS) + "\n")
    tokenizer = trained
    with torch.no_grad():
        cases = []
        for prompt in PROMPTS:
            ids = tokenizer.encode(prompt).ids
            logits = model(torch.tensor([ids])).logits[0, -1]
            cases.append({"prompt": prompt, "ids": ids, "decoded": tokenizer.decode(ids), "logits": [round(v, 6) for v in logits.tolist()]})
    (CHECKPOINTS.parent / "gpt2.json").write_text(json.dumps({"cases": cases}, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
