"""From a scene's parameters to its picture and its depth map."""

import random
from dataclasses import dataclass

from PIL import Image

from .canvas import Canvas
from .landscape import landscape
from .portrait import portrait
from .styles import stylize
from .things import thing

_KINDS = {"portrait": portrait, "landscape": landscape, "thing": thing}


@dataclass
class Drawing:
    """A scene before any style: picture (RGB) and inverse depth (L), both of the canvas's side."""

    picture: Image.Image
    depth: Image.Image
    rng: random.Random
    style: str

    def styled(self, side: int) -> Image.Image:
        """The finished picture. Call it once: styles draw from the scene's random numbers."""
        return stylize(self.picture.resize((side, side), Image.LANCZOS), self.style, self.rng)


def draw(p: dict, side: int) -> Drawing:
    canvas, rng = Canvas(side), random.Random(p["seed"])
    _KINDS[p["kind"]](canvas, rng, p)
    return Drawing(canvas.picture, canvas.depth, rng, p["style_fx"])


def render(p: dict, side: int = 256, oversampling: int = 2) -> Image.Image:
    return draw(p, side * oversampling).styled(side)
