"""Procedural illustrations with captions: all that Pinhole was ever shown. No photograph, nobody's artwork, no data set."""

from .captions import QUALITY, caption
from .palette import COLORS, EYES, HAIR, SKIN
from .portrait import body_points, face_points, head_box
from .render import Drawing, draw, render
from .sampling import PLACES, SUBJECTS, sample
from .styles import STYLES, stylize
from .things import THINGS

__all__ = [
    "COLORS", "EYES", "HAIR", "PLACES", "QUALITY", "SKIN", "STYLES", "SUBJECTS", "THINGS",
    "Drawing", "body_points", "caption", "draw", "face_points", "head_box", "render", "sample", "stylize",
]  # fmt: skip
