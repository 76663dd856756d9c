"""One thing before a plain backdrop."""

import math
import random
from collections.abc import Callable

from .canvas import Canvas, Point
from .landscape import backdrop
from .palette import COLORS, Rgb, mix, shade

THINGS = (
    "circle", "square", "triangle", "star", "heart", "apple", "flower", "cat", "dog", "fish", "bird", "cup", "balloon",
    "mushroom", "car", "house", "butterfly",
)  # fmt: skip
WHITE, INK = (250, 250, 250), (25, 25, 28)
NEAR = 205


class Pen:
    """Strokes in the thing's own coordinates: its middle is (0, 0), its size about one half each way."""

    def __init__(self, c: Canvas, p: dict):
        self.canvas, self.x, self.y, self.size = c, p["x"], p["y"], p["s"]
        self.color: Rgb = COLORS[p["col"]]
        self.darker = shade(self.color, 0.75)
        self.name = p["col"]

    def at(self, u: float, v: float) -> Point:
        return self.x + u * self.size, self.y + v * self.size

    def points(self, *offsets: Point) -> list[Point]:
        return [self.at(u, v) for u, v in offsets]

    def ellipse(self, u: float, v: float, rx: float, ry: float, fill: Rgb) -> None:
        self.canvas.ellipse(*self.at(u, v), rx * self.size, ry * self.size, fill)

    def polygon(self, fill: Rgb, *offsets: Point) -> None:
        self.canvas.polygon(self.points(*offsets), fill)

    def line(self, fill: Rgb, width: float, *offsets: Point) -> None:
        self.canvas.line(self.points(*offsets), fill, width * self.size)

    def rounded(self, u0: float, v0: float, u1: float, v1: float, radius: float, fill: Rgb) -> None:
        self.canvas.rounded(*self.at(u0, v0), *self.at(u1, v1), radius * self.size, fill)


def _circle(pen: Pen) -> None:
    pen.ellipse(0, 0, 0.3, 0.3, pen.color)


def _square(pen: Pen) -> None:
    pen.polygon(pen.color, (-0.27, -0.27), (0.27, -0.27), (0.27, 0.27), (-0.27, 0.27))


def _triangle(pen: Pen) -> None:
    pen.polygon(pen.color, (0, -0.32), (0.32, 0.25), (-0.32, 0.25))


def _star(pen: Pen) -> None:
    radius = [0.36 if i % 2 == 0 else 0.15 for i in range(10)]
    corners = [(math.sin(i * math.pi / 5) * radius[i], -math.cos(i * math.pi / 5) * radius[i]) for i in range(10)]
    pen.polygon(pen.color, *corners)


def _heart(pen: Pen) -> None:
    pen.ellipse(-0.145, -0.1, 0.165, 0.165, pen.color)
    pen.ellipse(0.145, -0.1, 0.165, 0.165, pen.color)
    pen.polygon(pen.color, (-0.295, -0.03), (0.295, -0.03), (0, 0.34))


def _apple(pen: Pen) -> None:
    pen.ellipse(-0.09, 0, 0.2, 0.24, pen.color)
    pen.ellipse(0.09, 0, 0.2, 0.24, pen.color)
    pen.line((95, 62, 40), 0.03, (0, -0.2), (0.03, -0.34))
    pen.ellipse(0.1, -0.29, 0.08, 0.04, (60, 150, 70))


def _flower(pen: Pen) -> None:
    pen.line((50, 130, 65), 0.03, (0, 0.05), (0, 0.42))
    for angle in range(0, 360, 60):
        cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
        pen.ellipse(0.17 * cos, -0.08 + 0.17 * sin, 0.11, 0.11, pen.color)
    pen.ellipse(0, -0.08, 0.1, 0.1, (245, 205, 70) if pen.name != "yellow" else (120, 80, 45))


def _eyes(pen: Pen) -> None:
    dark = pen.name in ("black", "navy")
    for side in (-1, 1):
        pen.ellipse(side * 0.085, -0.09, 0.033, 0.04, WHITE if dark else INK)
        pen.ellipse(side * 0.085, -0.09, 0.014, 0.022, INK if dark else WHITE)


def _cat(pen: Pen) -> None:
    pen.ellipse(0, 0.25, 0.23, 0.22, pen.color)
    pen.polygon(pen.color, (-0.22, -0.1), (-0.19, -0.36), (-0.03, -0.22))
    pen.polygon(pen.color, (0.22, -0.1), (0.19, -0.36), (0.03, -0.22))
    pen.ellipse(0, -0.06, 0.225, 0.195, pen.color)
    _eyes(pen)
    pen.polygon((235, 130, 140), (-0.03, -0.015), (0.03, -0.015), (0, 0.02))
    for side in (-1, 1):
        for v in (0, 0.035):
            pen.line((60, 60, 64), 0.008, (side * 0.08, 0.01 + v), (side * 0.24, -0.01 + v * 1.6))


def _dog(pen: Pen) -> None:
    pen.ellipse(0, 0.25, 0.23, 0.22, pen.color)
    pen.ellipse(0, -0.06, 0.225, 0.195, pen.color)
    pen.ellipse(-0.22, -0.06, 0.07, 0.16, pen.darker)
    pen.ellipse(0.22, -0.06, 0.07, 0.16, pen.darker)
    pen.ellipse(0, 0.02, 0.10, 0.075, mix(pen.color, (255, 255, 255), 0.5))
    _eyes(pen)
    pen.polygon((30, 28, 30), (-0.03, -0.015), (0.03, -0.015), (0, 0.02))


def _fish(pen: Pen) -> None:
    pen.ellipse(-0.03, 0, 0.26, 0.16, pen.color)
    pen.polygon(pen.darker, (0.18, 0), (0.38, -0.15), (0.38, 0.15))
    pen.ellipse(-0.15, -0.03, 0.03, 0.03, WHITE)
    pen.ellipse(-0.15, -0.03, 0.014, 0.014, (20, 20, 22))
    pen.polygon(pen.darker, (-0.03, -0.14), (0.08, -0.14), (0.05, -0.24))


def _bird(pen: Pen) -> None:
    pen.ellipse(0, 0.04, 0.22, 0.18, pen.color)
    pen.ellipse(-0.16, -0.13, 0.12, 0.12, pen.color)
    pen.polygon((240, 165, 50), (-0.27, -0.15), (-0.27, -0.08), (-0.37, -0.11))
    pen.ellipse(-0.19, -0.15, 0.022, 0.022, (20, 20, 22))
    pen.polygon(pen.darker, (0.15, -0.02), (0.40, -0.10), (0.36, 0.10))
    pen.ellipse(0.04, 0.03, 0.12, 0.09, pen.darker)
    pen.line((220, 140, 50), 0.015, (-0.03, 0.2), (-0.03, 0.33))
    pen.line((220, 140, 50), 0.015, (0.05, 0.2), (0.05, 0.33))


def _cup(pen: Pen) -> None:
    pen.rounded(-0.2, -0.2, 0.2, 0.24, 0.05, pen.color)
    s = pen.size
    pen.canvas.ellipse(*pen.at(0.24, 0.01), 0.1 * s, 0.12 * s, None, pen.color, 0.04 * s)
    pen.ellipse(0, -0.2, 0.2, 0.05, pen.darker)


def _balloon(pen: Pen) -> None:
    pen.line((90, 90, 95), 0.012, (0, 0.2), (0.03, 0.33), (-0.02, 0.46))
    pen.ellipse(0, -0.08, 0.23, 0.28, pen.color)
    pen.polygon(pen.darker, (-0.03, 0.22), (0.03, 0.22), (0, 0.18))
    pen.ellipse(-0.08, -0.18, 0.05, 0.07, mix(pen.color, (255, 255, 255), 0.55))


def _mushroom(pen: Pen) -> None:
    pen.rounded(-0.09, -0.02, 0.09, 0.32, 0.05, (240, 230, 210))
    pen.canvas.chord(*pen.at(-0.32, -0.32), *pen.at(0.32, 0.28), 180, 360, pen.color)
    for u, v, rx, ry in ((-0.13, -0.14, 0.05, 0.05), (0.08, -0.2, 0.055, 0.05), (0.2, -0.09, 0.035, 0.035)):
        pen.ellipse(u, v, rx, ry, (250, 250, 245))


def _car(pen: Pen) -> None:
    pen.rounded(-0.36, -0.05, 0.36, 0.15, 0.05, pen.color)
    pen.rounded(-0.2, -0.2, 0.19, 0.02, 0.07, pen.color)
    pen.rounded(-0.16, -0.16, 0.15, -0.03, 0.03, (195, 228, 246))
    for side in (-1, 1):
        pen.ellipse(side * 0.2, 0.15, 0.085, 0.085, (32, 32, 36))
        pen.ellipse(side * 0.2, 0.15, 0.035, 0.035, (185, 185, 190))


def _house(pen: Pen) -> None:
    pen.polygon(pen.color, (-0.28, -0.05), (0.28, -0.05), (0.28, 0.33), (-0.28, 0.33))
    pen.polygon((130, 62, 52), (-0.36, -0.05), (0.36, -0.05), (0, -0.36))
    pen.polygon((84, 54, 38), (-0.06, 0.1), (0.06, 0.1), (0.06, 0.33), (-0.06, 0.33))
    for u in (-0.22, 0.12):
        pen.polygon((200, 228, 246), (u, 0.03), (u + 0.1, 0.03), (u + 0.1, 0.14), (u, 0.14))


def _butterfly(pen: Pen) -> None:
    for side in (-1, 1):
        pen.ellipse(side * 0.17, -0.1, 0.16, 0.15, pen.color)
        pen.ellipse(side * 0.13, 0.13, 0.12, 0.12, pen.darker)
        pen.ellipse(side * 0.17, -0.1, 0.05, 0.05, mix(pen.color, (255, 255, 255), 0.6))
    pen.ellipse(0, 0.02, 0.03, 0.22, (40, 36, 40))
    pen.line((40, 36, 40), 0.012, (0, -0.18), (-0.08, -0.32))
    pen.line((40, 36, 40), 0.012, (0, -0.18), (0.08, -0.32))


_DRAWINGS: dict[str, Callable[[Pen], None]] = {
    "circle": _circle, "square": _square, "triangle": _triangle, "star": _star, "heart": _heart, "apple": _apple,
    "flower": _flower, "cat": _cat, "dog": _dog, "fish": _fish, "bird": _bird, "cup": _cup, "balloon": _balloon,
    "mushroom": _mushroom, "car": _car, "house": _house, "butterfly": _butterfly,
}  # fmt: skip


def thing(c: Canvas, rng: random.Random, p: dict) -> None:
    backdrop(c, rng, p)
    c.near = NEAR
    _DRAWINGS[p["thing"]](Pen(c, p))
