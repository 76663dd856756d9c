"""Styles: filters over a finished picture. The empty style leaves it as it is."""

import random
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageFilter, ImageOps

#: Drawn from uniformly, so half of all pictures have no style.
STYLES = ("",) * 7 + (
    "oil painting", "watercolor", "line art", "pencil sketch", "film noir", "neon", "pixel art", "vibrant",
)  # fmt: skip


def _bytes(values: np.ndarray) -> Image.Image:
    return Image.fromarray(np.clip(values, 0, 255).astype(np.uint8))


def _channel_edges(picture: Image.Image) -> np.ndarray:
    """Edges of each channel, (n, n, 3) float32, without the frame that the filter leaves."""
    edges = np.stack([np.asarray(ch.filter(ImageFilter.FIND_EDGES), np.float32) for ch in picture.split()], -1)
    edges[:2] = edges[-2:] = 0
    edges[:, :2] = edges[:, -2:] = 0
    return edges


def _oil(picture: Image.Image, _: random.Random) -> Image.Image:
    picture = ImageOps.posterize(picture.filter(ImageFilter.ModeFilter(max(5, picture.size[0] // 28 | 1))), 4)
    return Image.blend(picture, picture.filter(ImageFilter.EMBOSS), 0.18)


def _watercolor(picture: Image.Image, rng: random.Random) -> Image.Image:
    n = picture.size[0]
    values = np.asarray(picture.filter(ImageFilter.GaussianBlur(n / 120)), np.float32) * 0.62 + 255 * 0.38
    outline = picture.convert("L").filter(ImageFilter.FIND_EDGES).filter(ImageFilter.GaussianBlur(n / 200))
    values -= np.clip(np.asarray(outline, np.float32)[..., None], 0, 90) * 0.5
    grain = np.random.RandomState(rng.randrange(1 << 30)).rand(n // 10, n // 10) * 255
    paper = Image.fromarray(grain.astype(np.uint8)).resize((n, n), Image.BICUBIC)
    return _bytes(values + (np.asarray(paper, np.float32)[..., None] - 128) * 0.05)


def _thick_edges(picture: Image.Image) -> np.ndarray:
    edges = np.clip(_channel_edges(picture).max(-1) * 3, 0, 255).astype(np.uint8)
    return np.asarray(Image.fromarray(edges).filter(ImageFilter.MaxFilter(3)), np.float32)


def _line_art(picture: Image.Image, _: random.Random) -> Image.Image:
    return _bytes(255 - np.clip(_thick_edges(picture) * 1.6, 0, 245)).convert("RGB")


def _pencil(picture: Image.Image, _: random.Random) -> Image.Image:
    light = np.asarray(picture.convert("L"), np.float32)
    return _bytes(np.clip(205 + light * 0.2, 0, 250) - _thick_edges(picture) * 0.6).convert("RGB")


def _noir(picture: Image.Image, _: random.Random) -> Image.Image:
    n = picture.size[0]
    gray = np.asarray(ImageOps.autocontrast(picture.convert("L"), cutoff=2), np.float32)
    y, x = np.mgrid[0:n, 0:n] / n - 0.5
    return _bytes(255 * (gray / 255) ** 1.35 * (1 - 1.1 * (x**2 + y**2))).convert("RGB")


def _neon(picture: Image.Image, _: random.Random) -> Image.Image:
    n = picture.size[0]
    strength = np.clip(_channel_edges(picture).max(-1, keepdims=True) * 3, 0, 255) / 255
    values = np.asarray(picture, np.float32)
    saturation = values - values.mean(-1, keepdims=True)
    tubes = Image.fromarray((strength * np.clip(150 + saturation * 2.2 + np.array([30, -20, 60]), 40, 255)).astype(np.uint8))
    sharp = np.asarray(tubes.filter(ImageFilter.MaxFilter(3)), np.float32)
    glow = np.asarray(tubes.filter(ImageFilter.GaussianBlur(n / 50)), np.float32) * 2.2
    return _bytes(sharp + glow + values * 0.10 + np.array([10, 5, 26]))


def _pixels(picture: Image.Image, _: random.Random) -> Image.Image:
    return picture.resize((40, 40), Image.BOX).quantize(24).convert("RGB").resize(picture.size, Image.NEAREST)


def _vibrant(picture: Image.Image, _: random.Random) -> Image.Image:
    values = np.asarray(picture, np.float32)
    gray = values.mean(-1, keepdims=True)
    return _bytes(gray + (values - gray) * 1.9)


_FILTERS: dict[str, Callable[[Image.Image, random.Random], Image.Image]] = {
    "oil painting": _oil, "watercolor": _watercolor, "line art": _line_art, "pencil sketch": _pencil,
    "film noir": _noir, "neon": _neon, "pixel art": _pixels, "vibrant": _vibrant,
}  # fmt: skip


def stylize(picture: Image.Image, style: str, rng: random.Random) -> Image.Image:
    return _FILTERS[style](picture, rng) if style else picture
