"""What the demo's face pack finds, and what a portrait takes over from the face that it was given, with IdentityNet and without."""

import random
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
import torch

from . import scenes
from .control_images import draw_face_points
from .controlnet import to_tensor
from .dataset import PICTURE_SIDE
from .diffusion import bfloat16_predictor, sample_lcm
from .evaluate_base import decoder, merge_kohya, sheet
from .face_networks import ANCHORS, DETECTOR_SIDE, STRIDES, open_embedder
from .faces import cut_face, drawn_again, portrait
from .identity import open_identity, set_face_scale, with_identity
from .judge import Judge, Verdicts
from .networks import LATENT_SIDE, open_autoencoder, open_base

COUNT, FIRST_SEED, STEPS, BATCH = 64, 9_100_000, 4, 32
#: What a face says of a person; the prompt says nothing of it.
ASKED = ("hair", "skin", "acc", "beard", "style", "hatcol", "who")
#: The endpoint's defaults.
SCALE, MIN_SCORE = 0.7, 0.5


@dataclass
class Found:
    """A face in pixels of a picture of 256: left, top, right and bottom of the head, and five points."""

    box: np.ndarray
    points: np.ndarray


class FacePack:
    """Detector and embedder as the server uses them."""

    def __init__(self, folder: Path):
        self._session = onnxruntime.InferenceSession(folder / "detector.onnx", providers=["CPUExecutionProvider"])
        self.embed = open_embedder(folder / "embedder.onnx")

    def find(self, picture: np.ndarray) -> Found | None:
        """The most certain face of a picture (256, 256, 3), uint8."""
        half = picture.reshape(DETECTOR_SIDE, 2, DETECTOR_SIDE, 2, 3).mean((1, 3))
        pixels = ((half - 127.5) / 128).astype(np.float32).transpose(2, 0, 1)[None]
        told = self._session.run(None, {"input": pixels})
        level = max(range(len(STRIDES)), key=lambda i: told[i].max())
        best, stride, factor = int(told[level].argmax()), STRIDES[level], PICTURE_SIDE / DETECTOR_SIDE
        if told[level].max() < MIN_SCORE:
            return None
        line, column = divmod(best // ANCHORS, DETECTOR_SIDE // stride)
        at, (left, top, right, bottom) = np.array([column, line]) * stride, told[level + 3][best] * stride
        box = np.array([at[0] - left, at[1] - top, at[0] + right, at[1] + bottom])
        return Found(box * factor, (at + told[level + 6][best].reshape(5, 2) * stride) * factor)


def fresh_faces(style: bool) -> list[dict]:
    """Portraits that no training set holds."""
    rng = random.Random(FIRST_SEED)
    return [drawn_again(portrait(rng), rng) | ({} if style else {"style_fx": ""}) for _ in range(COUNT)]


def evaluate_pack(pack: FacePack) -> dict[str, float]:
    """How often a face is found, how far its points are off (pixels of 256), and how often another drawing of the sitter is the nearest."""
    chosen = fresh_faces(style=True)
    rng = random.Random(FIRST_SEED + 1)
    others = [drawn_again(scene, rng) for scene in chosen]
    embeddings, errors, found = [], [], 0
    for scene in [*chosen, *others]:
        picture = np.asarray(scenes.render(scene))
        face, truth = pack.find(picture), np.array(scenes.face_points(scene)) * PICTURE_SIDE
        found += face is not None
        if face is not None:
            errors.append(np.linalg.norm(face.points - truth, axis=1).mean())
        embeddings.append(pack.embed(cut_face(picture, truth if face is None else face.points))[0])
    unit = np.stack(embeddings) / np.linalg.norm(embeddings, axis=1, keepdims=True)
    nearest = (unit[:COUNT] @ unit[COUNT:].T).argmax(1)
    empty = [s for s in (scenes.sample(random.Random(FIRST_SEED + i)) for i in range(4 * COUNT)) if s["kind"] != "portrait"]
    wrong = np.mean([pack.find(np.asarray(scenes.render(s))) is not None for s in empty[:COUNT]])
    return {
        "found": found / (2 * COUNT), "points off": float(np.mean(errors)), "same sitter nearest": float((nearest == np.arange(COUNT)).mean()),
        "found where nobody is": float(wrong),
    }  # fmt: skip


@torch.no_grad()
def evaluate_identity(models: Path, judge: Judge, out: Path) -> dict[str, float]:
    pack = FacePack(models / "pinhole-face")
    results = evaluate_pack(pack)
    chosen = fresh_faces(style=False)
    shown = np.stack([np.asarray(scenes.render(s)) for s in chosen])
    faces = [pack.find(picture) for picture in shown]
    kept = [i for i, face in enumerate(faces) if face is not None]
    prompts = [f"portrait of a {chosen[i]['who']}, {chosen[(i + 1) % COUNT]['cloth']} shirt" for i in kept]
    known = [faces[i] for i in kept]
    embeddings = torch.from_numpy(np.concatenate([pack.embed(cut_face(shown[i], f.points)) for i, f in zip(kept, known, strict=True)]))
    control = to_tensor([draw_face_points(f.points / PICTURE_SIDE, 2 * PICTURE_SIDE) for f in known])
    masks = torch.stack([_mask(f.box) for f in known])[:, None]
    noise = torch.randn(len(kept), 8, LATENT_SIDE, LATENT_SIDE, generator=torch.Generator().manual_seed(11))
    decode = decoder(open_autoencoder(models / "pinhole-512"), open_base(models / "pinhole-512").scaling_factor)
    drawn = {"drawn": shown[kept]}
    for label in ("without", "with"):
        base = open_base(models / "pinhole-512")
        merge_kohya(base, models / "pinhole-lcm-lora" / "pytorch_lora_weights.safetensors")
        parts = []
        identity = None if label == "without" else open_identity(models / "pinhole-instantid", base)
        set_face_scale(base, SCALE)
        for rows in torch.arange(len(kept)).split(BATCH):
            predict = bfloat16_predictor(base.unet)
            if identity:
                given = (embeddings[rows], control[rows], masks[rows])
                predict = with_identity(base.unet, identity.net, identity.resampler, *given, SCALE)
            embeds = base.embed([prompts[i] for i in rows])
            parts.append(decode(sample_lcm(predict, noise[rows], embeds, STEPS, seed=12)))
        drawn[label] = np.concatenate(parts)
    sheet([pictures[:16] for pictures in drawn.values()], out / "pinhole-instantid.png")
    for label, pictures in drawn.items():
        verdicts = Verdicts(judge, pictures)
        described = [chosen[i] for i in kept]
        results |= {f"{key}, {label}": verdicts.agreement(described, key) for key in ASKED}
        results[f"points, {label}"] = PICTURE_SIDE * verdicts.point_error(described)
    return results


def _mask(box: np.ndarray) -> torch.Tensor:
    """White where the box is, at the latents' places."""
    middles = (np.arange(LATENT_SIDE) + 0.5) * PICTURE_SIDE / LATENT_SIDE
    left, top, right, bottom = box
    inside = np.outer((middles > top) & (middles < bottom), (middles > left) & (middles < right))
    return torch.from_numpy(inside).float()
