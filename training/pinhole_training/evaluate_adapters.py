"""What each adapter changes, with it and without it, on scenes that no training set holds.

Pictures are drawn in four LCM steps with the LCM-LoRA and without guidance, from the same noise with and without. Those that
ControlNets and image prompts steer are also drawn with the base alone, in many steps with guidance.
"""

import random
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch
from diffusers import ControlNetModel
from PIL import Image
from safetensors.torch import load_file
from transformers import CLIPVisionModelWithProjection

from . import scenes
from .clip_vision import preprocess, see, see_nothing
from .control_images import canny_edges, pose_of, stretch_depth
from .controlnet import controlled, to_tensor
from .diffusion import Predictor, bfloat16_predictor, guided, sample_lcm, solve
from .embedding import STYLE
from .evaluate_base import decoder, merge_kohya, sheet
from .evaluate_identity import evaluate_identity
from .ip_adapter import FILES, PROJECTIONS, attach_file, with_image
from .judge import Judge, Verdicts, open_judge
from .networks import Base, open_autoencoder, open_base
from .style_lora import STYLES

COUNT, STEPS, FIRST_SEED = 32, 4, 9_000_000
#: With the base alone: steps of DPM-Solver++, and guidance.
MANY_STEPS, GUIDANCE = 20, 3.0
EDGE_TOLERANCE = 3
#: What is asked of pictures by an image prompt alone, by the kind of scene that it shows.
SHOWN = {"portrait": ("who", "hair", "skin", "acc", "cloth", "bg"), "thing": ("thing", "col", "bg")}


def held_out(kind: str | None, plain: bool) -> list[dict]:
    """Scenes without a style; of one kind where asked for, before a plain colour where asked for."""
    found, seed = [], FIRST_SEED
    while len(found) < COUNT:
        scene = scenes.sample(random.Random(seed))
        seed += 1
        fits = kind is None or scene["kind"] == kind
        if fits and not scene["style_fx"] and (not plain or scene.get("bg") in scenes.COLORS):
            found.append(scene)
    return found


def edge_agreement(picture: np.ndarray, edges: np.ndarray) -> float:
    """F1 of a picture's Canny edges and given ones, (256, 256), with a tolerance of three pixels."""
    own = canny_edges(picture, 50, 100)
    kernel = np.ones((2 * EDGE_TOLERANCE + 1,) * 2, np.uint8)
    precision = (own * cv2.dilate(edges, kernel)).sum() / max(1, own.sum())
    recall = (edges * cv2.dilate(own, kernel)).sum() / max(1, edges.sum())
    return float(2 * precision * recall / max(1e-9, precision + recall))


class Adapters:
    """The base with the LCM-LoRA merged or alone, and what is measured with it."""

    def __init__(self, models: Path, judge: Judge, out: Path):
        self.models, self.judge, self.out = models, judge, out
        self.noise = torch.randn(COUNT, 8, 16, 16, generator=torch.Generator().manual_seed(11))

    def base(self, few_steps: bool = True) -> Base:
        base = open_base(self.models / "pinhole-512")
        if few_steps:
            merge_kohya(base, self.models / "pinhole-lcm-lora" / "pytorch_lora_weights.safetensors")
        return base

    def draw(self, base: Base, predict: Predictor, prompts: list[str]) -> np.ndarray:
        decode = decoder(open_autoencoder(self.models / "pinhole-512"), base.scaling_factor)
        return decode(sample_lcm(predict, self.noise, base.embed(prompts), STEPS, seed=12))

    def draw_in_many_steps(self, base: Base, predict: Predictor, prompts: list[str]) -> np.ndarray:
        decode = decoder(open_autoencoder(self.models / "pinhole-512"), base.scaling_factor)
        last = torch.full((COUNT,), 999)
        return decode(solve(guided(predict, GUIDANCE, base.embed([""])), self.noise, last, base.embed(prompts), MANY_STEPS))

    def controlnet(self, folder: Path) -> dict[str, float]:
        kind = folder.name.split("-")[1]
        chosen = held_out("portrait" if kind == "pose" else None, plain=kind == "pose")
        drawings = [scenes.draw(s, 512) for s in chosen]
        if kind == "canny":
            control = [np.repeat((canny_edges(np.asarray(d.picture)) * 255)[..., None], 3, 2) for d in drawings]
        elif kind == "pose":
            control = [pose_of(s, 512) for s in chosen]
        else:
            control = [stretch_depth(np.asarray(d.depth)) for d in drawings]
        prompts = [scenes.caption(s, random.Random(i)) for i, s in enumerate(chosen)]
        model = ControlNetModel.from_pretrained(folder, torch_dtype=torch.float32)
        # Control images stay the same in all steps, so they are embedded once.
        embedded, model.controlnet_cond_embedding = model.controlnet_cond_embedding(to_tensor(control)), torch.nn.Identity()
        drawn = {}
        for label, few_steps, draw in (("", True, self.draw), (", many steps", False, self.draw_in_many_steps)):
            base = self.base(few_steps)
            drawn[f"without{label}"] = draw(base, bfloat16_predictor(base.unet), prompts)
            drawn[f"with{label}"] = draw(base, controlled(base.unet, model, embedded), prompts)
        small = [np.asarray(Image.fromarray(c).resize((256, 256), Image.BOX)) for c in control]
        sheet([np.stack(small)[:16], *(pictures[:16] for pictures in drawn.values())], self.out / f"{folder.name}.png")
        if kind == "pose":
            shown = np.stack([np.asarray(d.picture.resize((256, 256), Image.LANCZOS)) for d in drawings])
            return {label: self.misplaced(pictures, chosen) for label, pictures in ({"drawn": shown} | drawn).items()}
        edges = [canny_edges(np.asarray(d.picture.resize((256, 256), Image.LANCZOS))) for d in drawings]
        measure = lambda pictures: np.mean([edge_agreement(p, e) for p, e in zip(pictures, edges, strict=True)])
        return {label: float(measure(pictures)) for label, pictures in drawn.items()}

    def misplaced(self, pictures: np.ndarray, described: list[dict]) -> float:
        """Mean distance of key points in pixels of 256, by the judge; in drawn scenes it is what the judge itself is off."""
        return 256 * Verdicts(self.judge, pictures).point_error(described)

    def style(self, folder: Path) -> dict[str, float]:
        """Mean distance (0 … 255) of pixels to the colours of the style's own pictures; smaller is more like it."""
        chosen = held_out(None, plain=False)
        prompts = [scenes.caption(s, random.Random(i)) for i, s in enumerate(chosen)]
        distance = distance_to_style(folder.name.split("-")[1], chosen)
        base = self.base()
        without = self.draw(base, bfloat16_predictor(base.unet), prompts)
        merge_style(base, folder / "pytorch_lora_weights.safetensors")
        with_it = self.draw(base, bfloat16_predictor(base.unet), prompts)
        sheet([without[:16], with_it[:16]], self.out / f"{folder.name}.png")
        return {"without": distance(without), "with": distance(with_it)}

    def embedding(self, folder: Path) -> dict[str, float]:
        """The same distance, with the token in the prompt and without it."""
        chosen = held_out(None, plain=False)
        captions = [scenes.caption(s, random.Random(i)) for i, s in enumerate(chosen)]
        distance, base = distance_to_style(STYLE, chosen), self.base()
        without = self.draw(base, bfloat16_predictor(base.unet), captions)
        token = add_embedding(base, folder / "learned_embeds.safetensors")
        with_it = self.draw(base, bfloat16_predictor(base.unet), [f"{caption}, {token} style" for caption in captions])
        sheet([without[:16], with_it[:16]], self.out / f"{folder.name}.png")
        return {"without": distance(without), "with": distance(with_it)}

    def ip_adapter(self, folder: Path) -> dict[str, float]:
        """Shares of pictures that show what the picture prompt shows, by the judge; the text says no more than "a picture"."""
        encoder = CLIPVisionModelWithProjection.from_pretrained(folder / "image_encoder", torch_dtype=torch.float32)
        found: dict[str, float] = {}
        for kind, asked in SHOWN.items():
            chosen = held_out(kind, plain=True)
            shown = np.stack([np.asarray(scenes.render(s)) for s in chosen])
            base, prompts = self.base(), ["a picture"] * COUNT
            drawn = {"drawn": shown, "without": self.draw(base, bfloat16_predictor(base.unet), prompts)}
            for adapter, file in FILES.items():
                if (folder / file).exists():
                    base = self.base()
                    attach_file(base.unet, adapter, load_file(folder / file))
                    sight = PROJECTIONS[adapter][1]
                    sights = see(encoder, preprocess(list(shown)), sight)
                    drawn[adapter] = self.draw(base, with_image(base.unet, sights), prompts)
                    # With guidance the half without the prompt sees nothing.
                    both, alone = torch.cat([sights, see_nothing(encoder, sight).expand_as(sights)]), self.base(few_steps=False)
                    attach_file(alone.unet, adapter, load_file(folder / file))
                    drawn[f"{adapter}, many steps"] = self.draw_in_many_steps(alone, with_image(alone.unet, both), prompts)
            sheet([pictures[:16] for pictures in drawn.values()], self.out / f"{folder.name}-{kind}.png")
            for label, pictures in drawn.items():
                verdicts = Verdicts(self.judge, pictures)
                found |= {f"{kind} {key}, {label}": verdicts.agreement(chosen, key) for key in asked}
        return found


    def identity(self, _: Path) -> dict[str, float]:
        return evaluate_identity(self.models, self.judge, self.out)


def distance_to_style(style: str, chosen: list[dict]) -> Callable[[np.ndarray], float]:
    """Measures the mean distance (0 … 255, largest channel) of pictures' pixels to the colours of a style's own pictures."""
    own = np.stack([np.asarray(STYLES[style].draw(scenes.render(s)).resize((32, 32), Image.BOX)) for s in chosen])
    palette = own.reshape(-1, 3)[::16].astype(float)

    def distance(pictures: np.ndarray) -> float:
        pixels = pictures[:, 4::8, 4::8].reshape(-1, 3)[::8].astype(float)
        return float(np.mean([np.abs(palette - p).max(1).min() for p in pixels]))

    return distance


def add_embedding(base: Base, path: Path) -> str:
    """Adds a learned embedding to tokenizer and text encoder; returns what stands for all its vectors in a prompt."""
    ((token, vectors),) = load_file(path).items()
    names = [token, *(f"{token}_{i}" for i in range(1, len(vectors)))]
    base.tokenizer.add_tokens(names)
    base.text_encoder.resize_token_embeddings(len(base.tokenizer))
    with torch.no_grad():
        base.text_encoder.get_input_embeddings().weight[-len(vectors) :] = vectors.float()
    return " ".join(names)


def merge_style(base: Base, path: Path) -> None:
    tensors = {k: v.float() for k, v in load_file(path).items()}
    if any(k.endswith(".lora_up.weight") for k in tensors):
        merge_kohya(base, path)
        return
    with torch.no_grad():
        for name, weight in base.unet.named_parameters():
            bare = name.removesuffix(".weight")
            loha = "lora_unet_" + bare.replace(".", "_")
            if name.endswith(".weight") and f"{loha}.hada_w1_a" in tensors:
                first, second = (tensors[f"{loha}.hada_w{i}_a"] @ tensors[f"{loha}.hada_w{i}_b"] for i in (1, 2))
                weight += (first * second).view_as(weight)
            key = "unet." + bare
            if f"{key}.lora_A.weight" in tensors:
                a, b = tensors[f"{key}.lora_A.weight"], tensors[f"{key}.lora_B.weight"]
                weight += (b.flatten(1) @ a.flatten(1)).view_as(weight)


@torch.no_grad()
def evaluate_adapters(models: Path, judge_file: Path, out: Path, name: str = "") -> None:
    """Prints what each adapter changes, or the one that is named."""
    out.mkdir(parents=True, exist_ok=True)
    adapters = Adapters(models, open_judge(judge_file), out)
    kinds = {"canny": adapters.controlnet, "pose": adapters.controlnet, "depth": adapters.controlnet}
    kinds |= {"ip": adapters.ip_adapter, "style": adapters.embedding, "instantid": adapters.identity}
    kinds |= {style: adapters.style for style in STYLES}
    for folder in sorted(models.glob("pinhole-*")):
        kind = folder.name.split("-")[1]
        if kind in kinds and name in ("", kind):
            print(folder.name, {k: round(v, 3) for k, v in kinds[kind](folder).items()}, flush=True)
