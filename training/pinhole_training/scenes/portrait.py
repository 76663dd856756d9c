"""People, kings, robots: one head and shoulders before a backdrop."""

import math
import random
from dataclasses import dataclass

from .canvas import Canvas, Point
from .landscape import backdrop
from .palette import COLORS, EYES, HAIR, SKIN, Rgb, mix, shade

DARK = (25, 25, 30)
#: Depth of body, head and what is worn; hair behind the head is farther.
BEHIND, BODY, HEAD, FEATURES, WORN = 150, 180, 205, 215, 225


@dataclass
class Sitter:
    """Where the head is and what it looks like; X and Y turn the sitter's coordinates into the canvas's."""

    p: dict
    skin: Rgb
    hair: Rgb
    robot: bool

    @property
    def size(self) -> float:
        return self.p["s"]

    @property
    def turn(self) -> float:
        """How far the face is shifted to one side, for the sitter looks there."""
        return self.p["yaw"] * 0.06

    def at(self, u: float, v: float) -> Point:
        return self.p["x"] + u * self.size, self.p["y"] + v * self.size

    def points(self, *offsets: Point) -> list[Point]:
        return [self.at(u, v) for u, v in offsets]


def body_points(p: dict) -> dict[str, Point]:
    """Key points of a portrait in canvas coordinates (outside 0 … 1 where they are outside the picture)."""
    sitter = Sitter(p, (0, 0, 0), (0, 0, 0), robot=False)
    turn = sitter.turn
    return {
        "nose": sitter.at(turn, 0.065), "neck": sitter.at(0, 0.40),
        "right shoulder": sitter.at(-0.34, 0.47), "left shoulder": sitter.at(0.34, 0.47),
        "right elbow": sitter.at(-0.38, 0.86), "left elbow": sitter.at(0.38, 0.86),
        "right eye": sitter.at(turn - 0.095, -0.045), "left eye": sitter.at(turn + 0.095, -0.045),
        "right ear": sitter.at(-0.245, 0.02), "left ear": sitter.at(0.245, 0.02),
    }  # fmt: skip


def face_points(p: dict) -> list[Point]:
    """Eyes, nose and corners of the mouth, each pair from left to right as one looks at the picture, in canvas coordinates."""
    sitter = Sitter(p, (0, 0, 0), (0, 0, 0), robot=False)
    turn = sitter.turn
    return sitter.points((turn - 0.095, -0.045), (turn + 0.095, -0.045), (turn, 0.065), (turn - 0.075, 0.145), (turn + 0.075, 0.145))


def head_box(p: dict) -> tuple[float, float, float, float]:
    """Left, top, right and bottom of a head with its hair and most of a hat, in canvas coordinates."""
    sitter = Sitter(p, (0, 0, 0), (0, 0, 0), robot=False)
    return *sitter.at(-0.34, -0.46), *sitter.at(0.34, 0.36)


def _hair_behind(c: Canvas, m: Sitter) -> None:
    s = m.size
    c.near = BEHIND
    if m.p["style"] == "long":
        c.rounded(*m.at(-0.29, -0.26), *m.at(0.29, 0.38), 0.2 * s, shade(m.hair, 0.8))
    if m.p["style"] == "curly":
        for angle in range(-20, 201, 24):
            cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
            c.ellipse(*m.at(0.26 * cos, -0.10 - 0.26 * sin), 0.115 * s, 0.115 * s, shade(m.hair, 0.85))
    if m.p["style"] == "bun":
        c.ellipse(*m.at(0, -0.40), 0.11 * s, 0.10 * s, shade(m.hair, 0.85))


def _body(c: Canvas, m: Sitter) -> None:
    s, who = m.size, m.p["who"]
    c.near = BODY
    c.rounded(*m.at(-0.42, 0.40), *m.at(0.42, 1.3), 0.16 * s, COLORS[m.p["cloth"]])
    c.rounded(*m.at(-0.10, 0.20), *m.at(0.10, 0.46), 0.05 * s, shade(m.skin, 0.86))
    c.polygon(m.points((-0.12, 0.40), (0.12, 0.40), (0, 0.52)), shade(m.skin, 0.92))
    if who in ("king", "queen"):
        c.line(m.points((-0.2, 0.43), (0, 0.60), (0.2, 0.43)), COLORS["gold"], 0.03 * s)
    if who == "astronaut":
        c.ellipse(*m.at(0, 0), 0.42 * s, 0.42 * s, (225, 230, 238))
        c.ellipse(*m.at(0, 0), 0.36 * s, 0.36 * s, (70, 90, 120))


def _head(c: Canvas, m: Sitter) -> None:
    s = m.size
    c.near = HEAD
    if m.robot:
        c.rounded(*m.at(-0.25, -0.28), *m.at(0.25, 0.28), 0.06 * s, m.skin)
        c.line(m.points((0, -0.28), (0, -0.40)), (110, 116, 126), 0.02 * s)
        c.ellipse(*m.at(0, -0.42), 0.035 * s, 0.035 * s, (220, 60, 60))
        return
    for side in (-1, 1):
        c.ellipse(*m.at(side * 0.245, 0.02), 0.05 * s, 0.065 * s, shade(m.skin, 0.93))
    c.ellipse(*m.at(0, -0.02), 0.245 * s, 0.29 * s, m.skin)
    c.ellipse(*m.at(0, 0.10), 0.20 * s, 0.19 * s, m.skin)


def _mouth(c: Canvas, m: Sitter) -> None:
    s, mood, turn, y = m.size, m.p["mood"], m.turn, 0.145
    lip = (70, 74, 82) if m.robot else mix(m.skin, (170, 40, 50), 0.65)
    if mood == "smiling":
        c.chord(*m.at(turn - 0.085, y - 0.075), *m.at(turn + 0.085, y + 0.05), 8, 172, lip)
        c.rectangle(*m.at(turn - 0.055, y - 0.006), *m.at(turn + 0.055, y + 0.008), (250, 250, 250))
    elif mood == "sad":
        c.arc(*m.at(turn, y + 0.05), 0.075 * s, 0.05 * s, 200, 340, lip, 0.02 * s)
    elif mood == "surprised":
        c.ellipse(*m.at(turn, y + 0.01), 0.042 * s, 0.055 * s, lip)
    else:
        c.line(m.points((turn - 0.06, y), (turn + 0.06, y)), lip, 0.02 * s)


def _face(c: Canvas, m: Sitter) -> None:
    s, p, turn = m.size, m.p, m.turn
    c.near = FEATURES
    if not m.robot and p["beard"] == "beard":
        c.chord(*m.at(-0.225, -0.14), *m.at(0.225, 0.31), 8, 172, m.hair)
    _mouth(c, m)
    if not m.robot and p["beard"] in ("moustache", "beard"):
        whiskers = m.points((turn - 0.10, 0.115), (turn, 0.075), (turn + 0.10, 0.115), (turn, 0.105))
        c.polygon(whiskers, shade(m.hair, 0.9))
    if not m.robot:
        nose = m.points((turn, -0.01), (turn + 0.022, 0.065), (turn - 0.008, 0.072))
        c.line(nose, shade(m.skin, 0.78), 0.014 * s)
    for side in (-1, 1):
        x, pupil = turn + side * 0.095, turn + side * 0.095 + p["yaw"] * 0.012
        c.ellipse(*m.at(x, -0.045), 0.046 * s, 0.034 * s, (250, 250, 250))
        c.ellipse(*m.at(pupil, -0.045), 0.026 * s, 0.028 * s, (235, 70, 50) if m.robot else EYES[p["eyes"]])
        c.ellipse(*m.at(pupil, -0.045), 0.012 * s, 0.013 * s, (15, 15, 18))
        if not m.robot:
            tilt = {"sad": -0.02 * side, "surprised": 0, "smiling": 0}.get(p["mood"], 0.018 * side)
            lift = 0.02 if p["mood"] == "surprised" else 0
            brow = m.points((x - 0.05, -0.10 - lift - tilt), (x + 0.05, -0.10 - lift + tilt))
            c.line(brow, shade(m.hair, 0.85), 0.018 * s)


def _hair_in_front(c: Canvas, m: Sitter) -> None:
    s, style = m.size, m.p["style"]
    c.near = FEATURES
    c.chord(*m.at(-0.262, -0.335), *m.at(0.262, 0.18), 192, 348, m.hair)
    if style == "long":
        for side in (-1, 1):
            c.rounded(*m.at(side * 0.235 - 0.045, -0.16), *m.at(side * 0.235 + 0.045, 0.34), 0.04 * s, m.hair)
    if style == "spiky":
        for k in range(-3, 4):
            low = -0.24 + abs(k) * 0.025
            spike = m.points((k * 0.075 - 0.05, low), (k * 0.075 + 0.05, low), (k * 0.095, -0.44 + abs(k) * 0.035))
            c.polygon(spike, m.hair)
    if style == "curly":
        for k in range(-2, 3):
            c.ellipse(*m.at(k * 0.1, -0.245 + abs(k) * 0.03), 0.085 * s, 0.07 * s, m.hair)


def _worn(c: Canvas, m: Sitter) -> None:
    """Glasses, hats, crowns and the marks of wizards and cyborgs."""
    s, p, turn, extra, who = m.size, m.p, m.turn, m.p["acc"], m.p["who"]
    c.near = WORN
    if extra in ("glasses", "sunglasses"):
        for side in (-1, 1):
            lens = DARK if extra == "sunglasses" else None
            c.ellipse(*m.at(turn + side * 0.095, -0.045), 0.075 * s, 0.062 * s, lens, DARK, 0.014 * s)
        c.line(m.points((turn - 0.025, -0.05), (turn + 0.025, -0.05)), DARK, 0.014 * s)
    if extra == "hat":
        color = COLORS[p["hatcol"]]
        c.rounded(*m.at(-0.22, -0.50), *m.at(0.22, -0.22), 0.05 * s, color)
        c.rounded(*m.at(-0.36, -0.26), *m.at(0.36, -0.19), 0.03 * s, shade(color, 0.8))
    if extra == "crown" or who in ("king", "queen"):
        teeth = ((-0.23, -0.24), (-0.25, -0.46), (-0.12, -0.34), (0, -0.50), (0.12, -0.34), (0.25, -0.46), (0.23, -0.24))
        c.polygon(m.points(*teeth), COLORS["gold"])
        c.ellipse(*m.at(0, -0.30), 0.03 * s, 0.03 * s, (200, 40, 50))
    if who == "wizard":
        c.polygon(m.points((-0.33, -0.19), (0.33, -0.19), (0.04, -0.72)), COLORS["navy"])
        c.ellipse(*m.at(0.02, -0.38), 0.03 * s, 0.03 * s, COLORS["yellow"])
    if who == "cyborg":
        c.rounded(*m.at(0.03, -0.12), *m.at(0.24, 0.03), 0.03 * s, (150, 158, 170))
        c.ellipse(*m.at(turn + 0.095, -0.045), 0.035 * s, 0.035 * s, (230, 40, 40))
        c.line(m.points((0.2, 0.03), (0.16, 0.2)), (150, 158, 170), 0.02 * s)
    if extra == "earrings":
        for side in (-1, 1):
            c.ellipse(*m.at(side * 0.25, 0.105), 0.022 * s, 0.03 * s, COLORS["gold"])


def portrait(c: Canvas, rng: random.Random, p: dict) -> None:
    backdrop(c, rng, p)
    robot = p["who"] == "robot"
    sitter = Sitter(p, (172, 182, 194) if robot else SKIN[p["skin"]], HAIR[p["hair"]], robot)
    if not robot:
        _hair_behind(c, sitter)
    _body(c, sitter)
    _head(c, sitter)
    _face(c, sitter)
    if not robot and p["style"] != "bald":
        _hair_in_front(c, sitter)
    _worn(c, sitter)
