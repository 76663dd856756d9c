"""Tiny random safety checkers and a CLIP vision model, with what diffusers and transformers make of pictures.

    python scripts/golden/safety.py

Written to packages/engine/test/golden/data:

    checkpoints/tiny-safety-v1      StableDiffusionSafetyChecker with the keys and configs of published files of 2022
    checkpoints/tiny-safety-base    a checkpoint's safety_checker and feature_extractor folders, as saved today
    checkpoints/tiny-safety-v2      ViTForImageClassification as published
    checkpoints/tiny-safety-v2-new  the same weights by the names that transformers has in memory
    safety/clip-vision              CLIPVisionModelWithProjection with options that the checkers lack
    safety/clip-vision-new          the same without projection, by the keys of transformers 5.6 and later
    safety/safety.json              pictures and, for each model, scores and flags
    safety/safety.safetensors       scores at the edges of rounding, and the vision model's outputs

Thresholds are set from the scores: some pictures are flagged, one of them only because a special care concept made the checker
stricter, and no score is nearer to an edge than 0.001.
"""

import hashlib
import json
import pathlib
import shutil
from types import SimpleNamespace

import diffusers
import numpy as np
import PIL
import torch
import transformers
from checkpoints import DATA as CHECKPOINTS
from checkpoints import sensitize
from diffusers.pipelines.stable_diffusion import safety_checker as module
from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker
from image import noise
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import (
    CLIPConfig,
    CLIPImageProcessorPil,
    CLIPVisionConfig,
    CLIPVisionModel,
    CLIPVisionModelWithProjection,
    ViTConfig,
    ViTForImageClassification,
    ViTImageProcessorPil,
)

DATA = CHECKPOINTS.parent / "safety"
PICTURES = [
    {"kind": "noise", "width": 61, "height": 97},
    {"kind": "gradient", "width": 97, "height": 61},
    {"kind": "gradient", "width": 30, "height": 30},
    {"kind": "flat", "width": 42, "height": 42, "colour": [250, 40, 10]},
    {"kind": "flat", "width": 200, "height": 51, "colour": [20, 60, 200]},
    {"kind": "flat", "width": 33, "height": 90, "colour": [0, 0, 0]},
]
SIDE = 42
V2_SIDE = 32
MARGIN = 1e-3
TINY = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
VISION = {**TINY, "image_size": SIDE, "patch_size": 14}


def picture(kind, width, height, colour=None):
    """By the rule that the test follows too."""
    if kind == "noise":
        return noise(width, height, 3)
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    channels = colour if kind == "flat" else [x * 255 // (width - 1), y * 255 // (height - 1), (x * 7 + y * 13) % 256]
    return Image.fromarray(np.stack([np.broadcast_to(c, x.shape) for c in channels], axis=-1).astype(np.uint8))


def main():
    torch.set_num_threads(1)
    shutil.rmtree(DATA, ignore_errors=True)
    DATA.mkdir(parents=True)
    pictures = [picture(**p) for p in PICTURES]
    tensors = {}
    with torch.no_grad():
        report = {
            "versions": {m.__name__: m.__version__ for m in (torch, diffusers, transformers, PIL, np)},
            "tolerance": 1e-5,
            "tolerance_reason": "absolute, on cosines and logits of order one; float32 kernels add in other orders",
            "pictures": PICTURES,
            "v1": concept_checker("tiny-safety-v1", 1, pictures, as_published=True),
            "base": concept_checker("tiny-safety-base", 2, pictures, as_published=False),
            "v2": classifier(pictures),
            "pixel_values": pixel_values(pictures),
            "rounding_flags": rounding(tensors),
        }
        clip_vision(tensors)
    (DATA / "safety.json").write_text(json.dumps(report, indent=1) + "\n")
    save_file({key: value.contiguous() for key, value in tensors.items()}, DATA / "safety.safetensors")


def sha256(array):
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()


def pixel_values(pictures):
    """Digests of the float32 bytes for each picture, with the published sizes."""
    processors = {"clip": CLIPImageProcessorPil(), "vit": ViTImageProcessorPil()}
    digest = lambda processor, image: sha256(processor(image, return_tensors="np")["pixel_values"])  # noqa: E731
    return {name: [digest(processor, image) for image in pictures] for name, processor in processors.items()}


def concept_checker(name, seed, pictures, as_published):
    folder = CHECKPOINTS / name
    shutil.rmtree(folder, ignore_errors=True)
    torch.manual_seed(seed)
    config = CLIPConfig(vision_config=VISION, text_config={"hidden_size": 8}, projection_dim=16)
    model = sensitize(StableDiffusionSafetyChecker(config), seed, quiet=0.5)
    processor = CLIPImageProcessorPil(size={"shortest_edge": SIDE}, crop_size={"height": SIDE, "width": SIDE})
    pixels = processor(pictures, return_tensors="pt")["pixel_values"]
    choose_concepts(model, model.visual_projection(model.vision_model(pixels)[1]), seed)
    result = judge(model, pixels)
    if as_published:
        model.save_pretrained(folder)
        publish(folder, processor)
    else:
        model.save_pretrained(folder / "safety_checker")
        processor.save_pretrained(folder / "feature_extractor")
    return result


def choose_concepts(model, embeds, seed):
    """Picture 0 meets concept 0. Picture 1 just misses concept 1, but meets special care concept 2; so does 2, without a concept."""
    generator = torch.Generator().manual_seed(seed)
    own = torch.nn.functional.normalize(embeds)
    away = own - own.mean(0)
    concepts = torch.randn(17, 16, generator=generator)
    special = torch.randn(3, 16, generator=generator)
    concepts[0], concepts[1], special[2] = away[0] * 3, away[1] * 2, away[1] + away[2]
    cos, special_cos = module.cosine_distance(embeds, concepts), module.cosine_distance(embeds, special)
    thresholds, special_thresholds = cos.max(0).values + 0.03, special_cos.max(0).values + 0.03
    thresholds[0] = cos[:, 0].sort().values[-2:].mean()
    thresholds[1] = cos[1, 1] + 0.005
    special_thresholds[2] = special_cos[:, 2].sort().values[-3:-1].mean()
    for parameter, values in [
        (model.concept_embeds, concepts),
        (model.special_care_embeds, special),
        (model.concept_embeds_weights, thresholds),
        (model.special_care_embeds_weights, special_thresholds),
    ]:
        parameter.copy_(values)


def judge(model, pixels):
    """The scores before rounding, as diffusers computes them in float32, and its flags."""
    embeds = model.visual_projection(model.vision_model(pixels)[1])
    special = module.cosine_distance(embeds, model.special_care_embeds) - model.special_care_embeds_weights
    concepts = module.cosine_distance(embeds, model.concept_embeds) - model.concept_embeds_weights
    edges = torch.cat([special - 0.0005, concepts - 0.0005, concepts + 0.01 - 0.0005], dim=1)
    assert edges.abs().min() > MARGIN, edges.abs().min()
    _, flags = model(clip_input=pixels, images=[np.ones((1, 1, 3)) for _ in pixels])
    stricter = (special > 0.0005).any(1)
    direct = (concepts > 0.0005).any(1)
    assert any(f and not d for f, d in zip(flags, direct)) and any(direct), (flags, direct)
    assert not all(flags) and any(s and not f for s, f in zip(stricter, flags)), (flags, stricter)
    return {"special_care_scores": special.tolist(), "concept_scores": concepts.tolist(), "flags": flags}


def publish(folder, processor):
    """Keys, config and preprocessor config as in the published files of 2022."""
    path = folder / "model.safetensors"
    tensors = {key.replace("vision_model.", "vision_model.vision_model."): value for key, value in load_file(path).items()}
    tensors["vision_model.vision_model.embeddings.position_ids"] = torch.arange((SIDE // 14) ** 2 + 1).unsqueeze(0)
    save_file(tensors, path, metadata={"format": "pt"})
    config = json.loads((folder / "config.json").read_text())
    config |= {"architectures": ["SafetyChecker"], "transformers_version": None}
    config["vision_config"]["projection_dim"] = 512
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    old = {"crop_size": SIDE, "size": SIDE, "resample": 3, "feature_extractor_type": "CLIPFeatureExtractor"}
    old |= {"do_center_crop": True, "do_normalize": True, "do_resize": True}
    old |= {"image_mean": processor.image_mean, "image_std": processor.image_std}
    (folder / "preprocessor_config.json").write_text(json.dumps(old, indent=2) + "\n")


def classifier(pictures):
    labels = {"nsfw": 1, "normal": 0}
    config = ViTConfig(**TINY, image_size=V2_SIDE, patch_size=8, label2id=labels, id2label={v: k for k, v in labels.items()})
    torch.manual_seed(3)
    model = sensitize(ViTForImageClassification(config), 3, quiet=0.5)
    processor = ViTImageProcessorPil(size={"height": V2_SIDE, "width": V2_SIDE}, image_mean=[0.5] * 3, image_std=[0.5] * 3)
    pixels = processor(pictures, return_tensors="pt")["pixel_values"]
    model.classifier.weight.mul_(20)
    lead = (model(pixels).logits @ torch.tensor([-1.0, 1.0])).sort().values
    model.classifier.bias[0] += lead[2:4].mean()
    logits = model(pixels).logits
    probabilities = torch.softmax(logits, dim=1)[:, labels["nsfw"]]
    assert (probabilities - 0.5).abs().min() > MARGIN, probabilities
    folder = CHECKPOINTS / "tiny-safety-v2"
    for place in (folder, CHECKPOINTS / "tiny-safety-v2-new"):
        shutil.rmtree(place, ignore_errors=True)
        model.save_pretrained(place)
        processor.save_pretrained(place)
    save_file(dict(model.state_dict()), CHECKPOINTS / "tiny-safety-v2-new/model.safetensors", metadata={"format": "pt"})
    assert any(".encoder.layer." in key for key in load_file(folder / "model.safetensors"))
    return {"probabilities": probabilities.tolist(), "flags": (probabilities > 0.5).tolist()}


def rounding(tensors, rows=400):
    """Rows of cosines of which one special care score or one concept score lies within a few ulp of where rounding decides."""
    rng = np.random.default_rng(4)
    thresholds, special_thresholds = (rng.uniform(0.15, 0.3, n).astype(np.float32) for n in (17, 3))
    # The difference of two cosines of published size is a multiple of 1.5e-8, too coarse to meet the edge itself.
    thresholds[:8], special_thresholds[:2] = 0, 0
    cos = np.repeat(thresholds[None] - np.float32(0.05), rows, axis=0)
    special = np.repeat(special_thresholds[None] - np.float32(0.05), rows, axis=0)
    for row in range(rows):
        concept, care = rng.integers(17), rng.integers(3)
        edge = np.float32([0.0005, -0.0095, 0.0015, 0.0][row % 4])
        if row % 8 < 4:
            cos[row, concept] = edge + thresholds[concept]
            if row % 4 == 1:
                special[row, care] = special_thresholds[care] + np.float32(0.02)
        else:
            special[row, care] = edge + special_thresholds[care]
            cos[row, concept] = thresholds[concept] - np.float32(0.004)
        target = cos if row % 8 < 4 else special
        place = (row, concept if row % 8 < 4 else care)
        for _ in range(int(rng.integers(0, 5))):
            target[place] = np.nextafter(target[place], np.float32(rng.choice([-1, 1])))
    tensors |= {
        "rounding.special_care_cosines": torch.from_numpy(special),
        "rounding.concept_cosines": torch.from_numpy(cos),
        "rounding.special_care_thresholds": torch.from_numpy(special_thresholds),
        "rounding.concept_thresholds": torch.from_numpy(thresholds),
    }
    return decide(cos, special, thresholds, special_thresholds)


def decide(cos, special, thresholds, special_thresholds):
    """The flags of StableDiffusionSafetyChecker.forward, given the cosines."""
    stand_in = SimpleNamespace(
        vision_model=lambda pixels: (None, pixels),
        visual_projection=lambda pooled: pooled,
        special_care_embeds=torch.from_numpy(special),
        concept_embeds=torch.from_numpy(cos),
        special_care_embeds_weights=torch.from_numpy(special_thresholds),
        concept_embeds_weights=torch.from_numpy(thresholds),
    )
    original, module.cosine_distance = module.cosine_distance, lambda _, cosines: cosines
    try:
        images = [np.ones((1, 1, 3)) for _ in cos]
        _, flags = StableDiffusionSafetyChecker.forward(stand_in, torch.zeros(len(cos), 1), images)
    finally:
        module.cosine_distance = original
    return [int(flag) for flag in flags]


def clip_vision(tensors):
    config = CLIPVisionConfig(
        hidden_size=24, intermediate_size=20, num_hidden_layers=3, num_attention_heads=3, image_size=30, patch_size=7,
        hidden_act="gelu", layer_norm_eps=1e-4, projection_dim=10,
    )  # fmt: skip
    torch.manual_seed(5)
    model = sensitize(CLIPVisionModelWithProjection(config), 5, quiet=0.05)
    model.save_pretrained(DATA / "clip-vision")
    flat = CLIPVisionModel(config)
    flat.load_state_dict(model.vision_model.state_dict())
    flat.save_pretrained(DATA / "clip-vision-new")
    assert "embeddings.class_embedding" in load_file(DATA / "clip-vision-new/model.safetensors")
    pixels = torch.randn(2, 3, 30, 30, generator=torch.Generator().manual_seed(6))
    out = model(pixels, output_hidden_states=True)
    tensors |= {"clip-vision.pixel_values": pixels, "clip-vision.image_embeds": out.image_embeds}
    tensors["clip-vision.pooler_output"] = model.vision_model(pixels).pooler_output
    tensors |= {f"clip-vision.hidden_states.{i}": state for i, state in enumerate(out.hidden_states)}


if __name__ == "__main__":
    main()
