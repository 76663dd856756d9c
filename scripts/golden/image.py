"""Golden values of Pillow, diffusers' VaeImageProcessor and transformers' image processors on Pillow, written to
packages/engine/test/golden/data/image.json.

    python scripts/golden/image.py
"""

import base64
import hashlib
import io
import json
import pathlib

import diffusers
import numpy as np
import PIL
import torch
import transformers
from diffusers.image_processor import VaeImageProcessor
from PIL import Image
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

DATA = pathlib.Path(__file__).parents[2] / "packages/engine/test/golden/data/image.json"

FILTERS = ["nearest", "box", "bilinear", "bicubic", "lanczos"]
# Input width, height, output width, height: one axis, both, up, down, odd, to and from one pixel.
SMALL = [(7, 5, 13, 9), (13, 9, 7, 5), (8, 8, 8, 3), (8, 8, 3, 8), (5, 3, 5, 3), (1, 1, 4, 3), (9, 7, 1, 1), (2, 50, 31, 2)]
LARGE = [(640, 427, 512, 512), (427, 640, 384, 320), (26, 118, 22, 103), (55, 30, 44, 8), (61, 119, 22, 40), (300, 201, 1024, 768), (1024, 1024, 224, 224)]


def noise(width, height, channels):
    """Bytes that the tests make by the same rule: an integer hash of each sample's index."""
    x = np.arange(width * height * channels, dtype=np.uint64) * 2654435761 & 0xFFFFFFFF
    x = (x ^ x >> 15) * 2246822519 & 0xFFFFFFFF
    x = (x >> 24).astype(np.uint8).reshape(height, width, channels)
    return Image.fromarray(x if channels == 3 else x[..., 0])


def base64_of(array):
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()


def sha256(array):
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()


def resize_case(width, height, to_width, to_height, filter, channels, encode):
    resized = noise(width, height, channels).resize((to_width, to_height), Image.Resampling[filter.upper()])
    case = {"from": [width, height], "to": [to_width, to_height], "filter": filter, "channels": channels}
    return case | {encode.__name__: encode(np.array(resized))}


def resizes():
    small = [resize_case(*size, f, channels, base64_of) for size in SMALL for f in FILTERS for channels in (3, 1)]
    large = [resize_case(*size, f, 3, sha256) for size in LARGE for f in FILTERS]
    return small + large + [resize_case(*LARGE[0], "bilinear", 1, sha256)]


def vae_output():
    """Every rounding boundary of a byte with its two float32 neighbours, and values out of range."""
    middle = ((np.arange(-2, 258) + 0.5) / 255 * 2 - 1).astype(np.float32)
    below, above = np.nextafter(middle, np.float32(-9)), np.nextafter(middle, np.float32(9))
    y = np.stack([below, middle, above]).reshape(1, 3, 10, 26)
    y = np.concatenate([y, y[:, ::-1] * np.float32(1.25)])
    pictures = VaeImageProcessor().postprocess(torch.from_numpy(y.copy()), output_type="pil")
    return {"shape": y.shape, "float32": base64_of(y), "rgb": [base64_of(np.array(p)) for p in pictures]}


def preprocess():
    """A size that is no multiple of 8, so that the processor resizes to 64x40 with Lanczos."""
    picture = noise(70, 45, 3)
    return {
        "from": [70, 45],
        "to": [64, 40],
        "signed": sha256(VaeImageProcessor().preprocess(picture).numpy()),
        "unit": sha256(VaeImageProcessor(do_normalize=False).preprocess(picture).numpy()),
        "mask": sha256(
            VaeImageProcessor(do_normalize=False, do_binarize=True, do_convert_grayscale=True).preprocess(picture).numpy()
        ),
    }


def classifier_inputs():
    cases = []
    for width, height in [(512, 512), (640, 427), (333, 500), (100, 150), (224, 224), (225, 224)]:
        picture = noise(width, height, 3)
        pixel_values = {
            name: sha256(processor()(picture, return_tensors="np")["pixel_values"])
            for name, processor in {"clip": CLIPImageProcessorPil, "vit": ViTImageProcessorPil}.items()
        }
        cases.append({"from": [width, height]} | pixel_values)
    return cases


def jpeg():
    file = io.BytesIO()
    noise(48, 40, 3).save(file, "JPEG", quality=95)
    return {"from": [48, 40], "sha256": sha256(np.array(Image.open(file)))}


def main():
    torch.set_num_threads(1)
    golden = {
        "versions": {module.__name__: module.__version__ for module in (PIL, diffusers, np, transformers)},
        "tolerance": "none: bytes, and bits of little-endian float32",
        "noise": {"from": [5, 4], "sha256": sha256(np.array(noise(5, 4, 3)))},
        "resizes": resizes(),
        "grey": {"from": [64, 64], "sha256": sha256(np.array(noise(64, 64, 3).convert("L")))},
        "vae_output": vae_output(),
        "preprocess": preprocess(),
        "classifier_inputs": classifier_inputs(),
        "jpeg": jpeg(),
    }
    DATA.write_text(json.dumps(golden, indent=1) + "\n")


main()
