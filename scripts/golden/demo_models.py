"""What diffusers draws with the demo checkpoint and each of its adapters, for demo-models.test.ts.

    python scripts/golden/demo_models.py   (torch, diffusers, transformers, peft, safetensors)

Read from models/, written to packages/engine/test/golden/data/demo-models/: cases.json, and expected.safetensors with final latents by case.
Beside these the scores of the demo prompt expander by transformers.
Control and example pictures are drawn by `ring` here and in the test. LyCORIS files have no loader in diffusers: peft's LoHa layers take their
factors.
"""

import json
import pathlib

import diffusers
import numpy as np
import peft
import torch
import transformers
from diffusers import ControlNetModel, DDIMScheduler, StableDiffusionControlNetPipeline, StableDiffusionPipeline
from peft.tuners.loha import LoHaLayer
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import CLIPImageProcessor, CLIPVisionModelWithProjection, GPT2LMHeadModel, GPT2Tokenizer

ROOT = pathlib.Path(__file__).parents[2]
MODELS = ROOT / "models"
OUT = ROOT / "packages/engine/test/golden/data/demo-models"
SIDE, STEPS, GUIDANCE, SEED = 512, 4, 3.0, 7
TOLERANCE = 1e-4
LORA = "pytorch_lora_weights.safetensors"

CASES = [
    {"name": "base", "prompt": "a red circle on a yellow background"},
    {"name": "blueprint-lora", "lora": "pinhole-blueprint-lora", "prompt": "a green car on a white background"},
    {"name": "duotone-lora", "lora": "pinhole-duotone-lora", "prompt": "a king, golden crown"},
    {"name": "woodcut-lora", "lora": "pinhole-woodcut-lora", "prompt": "a house in a field"},
    {"name": "style-embedding", "embedding": "pinhole-style-embedding", "prompt": "a blue cat, <pinhole-style> style"},
    {"name": "canny", "controlnet": "pinhole-canny", "prompt": "a red circle on a yellow background"},
    {"name": "pose", "controlnet": "pinhole-pose", "prompt": "a woman, red background"},
    {"name": "depth", "controlnet": "pinhole-depth", "prompt": "a red circle on a yellow background"},
    {"name": "ip-adapter", "ip_adapter": "pinhole-ip-adapter", "weights": "ip-adapter_pinhole.safetensors", "prompt": "a picture"},
    {"name": "ip-adapter-plus", "ip_adapter": "pinhole-ip-adapter", "weights": "ip-adapter-plus_pinhole.safetensors", "prompt": "a picture"},
]


def ring() -> Image.Image:
    """A white ring on black, without antialiasing."""
    y, x = np.mgrid[0:SIDE, 0:SIDE]
    distance = (x - 256) ** 2 + (y - 256) ** 2
    inside = (distance >= 150**2) & (distance <= 154**2)
    return Image.fromarray(np.repeat((inside * 255).astype(np.uint8)[..., None], 3, axis=2))


def add_loha(unet: torch.nn.Module, tensors: dict[str, torch.Tensor]) -> None:
    names = {n.replace(".", "_"): n for n, _ in unet.named_modules()}
    modules = [names[key.removeprefix("lora_unet_").removesuffix(".hada_w1_a")] for key in tensors if key.endswith(".hada_w1_a")]
    rank = next(value.shape[1] for key, value in tensors.items() if key.endswith(".hada_w1_a"))
    unet.add_adapter(peft.LoHaConfig(r=rank, alpha=rank, target_modules=modules))
    for name, layer in unet.named_modules():
        if isinstance(layer, LoHaLayer):
            key = "lora_unet_" + name.replace(".", "_")
            assert float(tensors[f"{key}.alpha"]) == rank
            for part in ("hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b"):
                getattr(layer, part)["default"].data.copy_(tensors[f"{key}.{part}"])


def load(case: dict) -> tuple[StableDiffusionPipeline, dict]:
    base = MODELS / "pinhole-512"
    extra, arguments = {}, {}
    kind = StableDiffusionPipeline
    if "controlnet" in case:
        extra["controlnet"] = ControlNetModel.from_pretrained(MODELS / case["controlnet"], torch_dtype=torch.float32)
        kind, arguments["image"] = StableDiffusionControlNetPipeline, ring()
    if "ip_adapter" in case:
        folder = MODELS / case["ip_adapter"]
        extra["image_encoder"] = CLIPVisionModelWithProjection.from_pretrained(folder / "image_encoder", torch_dtype=torch.float32)
        extra["feature_extractor"] = CLIPImageProcessor.from_pretrained(folder / "image_encoder")
        arguments["ip_adapter_image"] = ring()
    pipe = kind.from_pretrained(base, torch_dtype=torch.float32, **extra)
    pipe.scheduler = DDIMScheduler.from_config(pipe.scheduler.config)
    if "lora" in case:
        tensors = {key: value.float() for key, value in load_file(MODELS / case["lora"] / LORA).items()}
        if any(".hada_w1_a" in key for key in tensors):
            add_loha(pipe.unet, tensors)
        else:
            pipe.load_lora_weights(MODELS / case["lora"])
    if "embedding" in case:
        pipe.load_textual_inversion(MODELS / case["embedding"] / "learned_embeds.safetensors")
    if "ip_adapter" in case:
        pipe.load_ip_adapter(str(MODELS / case["ip_adapter"]), subfolder="", weight_name=case["weights"], image_encoder_folder=None)
    pipe.set_progress_bar_config(disable=True)
    return pipe, arguments


def expander_scores() -> torch.Tensor:
    """Scores of what may follow "a king,"."""
    folder = MODELS / "pinhole-prompt-expander"
    ids = GPT2Tokenizer.from_pretrained(folder)("a king,", return_tensors="pt").input_ids
    return GPT2LMHeadModel.from_pretrained(folder, torch_dtype=torch.float32)(ids).logits[0, -1].contiguous()


def main() -> None:
    cases, expected = [], {}
    for case in CASES:
        folder = case.get("lora") or case.get("embedding") or case.get("controlnet") or case.get("ip_adapter")
        if folder and not (MODELS / folder / case.get("weights", "")).exists():
            continue
        pipe, arguments = load(case)
        latents = pipe(
            case["prompt"], height=SIDE, width=SIDE, num_inference_steps=STEPS, guidance_scale=GUIDANCE, output_type="latent",
            generator=torch.Generator().manual_seed(SEED), **arguments,
        ).images
        expected[case["name"]] = latents.contiguous()
        cases.append(case)
    expected["prompt-expander"] = expander_scores()
    OUT.mkdir(parents=True, exist_ok=True)
    save_file(expected, OUT / "expected.safetensors")
    versions = {"torch": torch.__version__, "diffusers": diffusers.__version__, "transformers": transformers.__version__, "peft": peft.__version__}
    golden = {"side": SIDE, "steps": STEPS, "guidance": GUIDANCE, "seed": SEED, "tolerance": TOLERANCE, "versions": versions, "cases": cases}
    (OUT / "cases.json").write_text(json.dumps(golden, indent=1) + "\n")


if __name__ == "__main__":
    with torch.no_grad():
        main()
