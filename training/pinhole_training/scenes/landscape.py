"""Places under a sky, and the backdrops of portraits and things."""

import math
import random

import numpy as np
from PIL import Image, ImageChops

from .canvas import Canvas
from .palette import COLORS, Rgb, mix, shade

TIMES: dict[str, tuple[Rgb, Rgb]] = {
    "day": ((120, 190, 245), (205, 232, 250)),
    "sunset": ((120, 70, 140), (250, 160, 90)),
    "night": ((12, 16, 48), (40, 50, 105)),
    "dawn": ((150, 170, 225), (250, 205, 190)),
}
#: Depth of the horizon, of the bottom of the picture, and of hills between sky and horizon.
HORIZON, FOREGROUND, HILLS = 70, 200, 45


def _ground_depth(y: float, horizon: float) -> int:
    share = max(0.0, min(1.0, (y - horizon) / (1 - horizon)))
    return int(HORIZON + (FOREGROUND - HORIZON) * share)


def _palm(c: Canvas, x: float, y: float, lean: float, height: float, spread: tuple[float, float, float], light: float) -> None:
    """A trunk in two parts where it leans, then six leaves."""
    trunk, leaf = shade((125, 88, 52), light), shade((38, 140, 70), light)
    if lean > 0.03:
        c.line([(x, y), (x + 0.02, y - height * 0.6), (x + lean, y - height)], trunk, 0.014)
    else:
        c.line([(x, y), (x + lean, y - height)], trunk, 0.014)
    rx, ry, drop = spread
    top = (x + lean, y - height)
    for angle in range(0, 360, 60):
        cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
        c.line([top, (top[0] + rx * cos, top[1] + ry * sin + drop)], leaf, 0.016)


def _trees(c: Canvas, rng: random.Random, y: float, count: int, kind: str, dark: bool, horizon: float) -> None:
    light = 0.45 if dark else 1
    for _ in range(count):
        x, h, foot = rng.uniform(0.02, 0.98), rng.uniform(0.10, 0.22), y + rng.uniform(-0.02, 0.05)
        c.near = _ground_depth(foot, horizon)
        if kind == "palm":
            _palm(c, x, foot, 0.05, h, (0.07, 0.035, 0.012), light)
        elif kind == "pine":
            c.rectangle(x - 0.008, foot - 0.03, x + 0.008, foot, shade((95, 65, 40), light))
            for k in range(3):
                low, half = foot - 0.02 - k * h * 0.28, 0.05 - k * 0.012
                color = shade((28, 105, 62), light * (1 + 0.1 * k))
                c.polygon([(x - half, low), (x + half, low), (x, foot - 0.02 - h * 0.42 - k * h * 0.28)], color)
        else:
            c.rectangle(x - 0.01, foot - h * 0.5, x + 0.01, foot, shade((110, 76, 46), light))
            c.ellipse(x, foot - h * 0.65, h * 0.38, h * 0.38, shade((62, 150, 70), light))
            c.ellipse(x - h * 0.12, foot - h * 0.75, h * 0.22, h * 0.22, shade((82, 172, 86), light))


def _sky(c: Canvas, rng: random.Random, p: dict, dark: bool) -> None:
    top, bottom = TIMES[p["time"]]
    horizon = p["horizon"]
    c.near = 0
    c.gradient(top, bottom, 0, 1)
    if dark:
        for _ in range(40):
            x, y = rng.random(), rng.random() * horizon
            c.ellipse(x, y, 0.003, 0.003, (250, 250, 230))
    x, y = p["sunx"], p["suny"] * horizon
    if p["orb"] == "sun":
        c.ellipse(x, y, 0.075, 0.075, (255, 225, 110) if p["time"] != "sunset" else (255, 120, 70))
    if p["orb"] == "moon":
        c.ellipse(x, y, 0.06, 0.06, (240, 240, 225))
        c.ellipse(x + 0.025, y - 0.012, 0.052, 0.052, mix(top, bottom, y))
    c.near = 12
    if p["clouds"]:
        for _ in range(3):
            x, y = rng.random(), rng.uniform(0.05, horizon * 0.6)
            for k in range(4):
                color = shade((250, 250, 252), 0.55 if dark else 1)
                c.ellipse(x + k * 0.04, y + (0.01 if k in (0, 3) else 0), 0.045, 0.028, color)


def _water(c: Canvas, rng: random.Random, p: dict, light: float, dark: bool) -> None:
    horizon = p["horizon"]
    c.gradient(shade((40, 130, 200), light), shade((30, 90, 165), light), horizon, 1)
    c.slope(HORIZON, FOREGROUND, horizon)
    for k in range(6):
        y, x = horizon + 0.03 + k * 0.05, rng.random() * 0.7
        c.near = _ground_depth(y, horizon)
        c.line([(x, y), (x + 0.18, y)], shade((150, 205, 235), light), 0.006)
    if p["place"] == "beach":
        c.near = _ground_depth(0.85, horizon)
        shore = [(0, 0.80), (0.35, 0.74), (0.7, 0.80), (1, 0.72), (1, 1), (0, 1)]
        c.polygon(shore, shade((238, 214, 160), light))
        _trees(c, rng, 0.86, 2, "palm", dark, horizon)
    if p["place"] == "island":
        c.near = _ground_depth(horizon + 0.06, horizon)
        c.ellipse(0.5, horizon + 0.03, 0.24, 0.05, shade((232, 205, 150), light))
        for x in (0.44, 0.55):
            _palm(c, x, horizon + 0.02, 0.02, 0.18, (0.075, 0.03, 0.015), light)


def _mountains(c: Canvas, rng: random.Random, horizon: float, light: float, dark: bool) -> None:
    for k, (size, color) in enumerate(((0.9, (120, 130, 165)), (1.0, (88, 98, 130)))):
        c.near = HILLS - 15 + 15 * k
        points, x = [(0, horizon + 0.05)], -0.05
        while x < 1.05:
            width = rng.uniform(0.14, 0.24)
            peak = horizon - rng.uniform(0.12, 0.30) * size
            points += [(x + width / 2, peak), (x + width, horizon - 0.03)]
            x += width
        c.polygon([*points, (1, horizon + 0.1), (0, horizon + 0.1)], shade(color, light))
        if k:
            for px, py in points[1 : len(points) - 1 : 2]:
                cap = [(px, py), (px - 0.03, py + 0.05), (px, py + 0.04), (px + 0.03, py + 0.05)]
                c.polygon(cap, shade((245, 248, 252), max(light, 0.6)))
    c.rectangle(0, horizon + 0.02, 1, 1, shade((96, 150, 86), light))
    c.slope(HORIZON, FOREGROUND, horizon + 0.02)
    _trees(c, rng, horizon + 0.12, 5, "pine", dark, horizon)


def _desert(c: Canvas, horizon: float, light: float) -> None:
    c.rectangle(0, horizon, 1, 1, shade((226, 180, 110), light))
    c.ellipse(0.2, horizon + 0.08, 0.5, 0.10, shade((214, 165, 95), light))
    c.ellipse(0.85, horizon + 0.2, 0.5, 0.14, shade((235, 192, 124), light))
    c.slope(HORIZON, FOREGROUND, horizon)
    c.near = _ground_depth(horizon + 0.16, horizon)
    green = shade((58, 130, 76), light)
    for x in (0.25, 0.7):
        c.rounded(x - 0.018, horizon - 0.06, x + 0.018, horizon + 0.16, 0.018, green)
        c.rounded(x - 0.07, horizon + 0.0, x - 0.045, horizon + 0.07, 0.012, green)
        c.rectangle(x - 0.06, horizon + 0.05, x, horizon + 0.07, green)


def _city(c: Canvas, rng: random.Random, p: dict, light: float, dark: bool) -> None:
    horizon, x = p["horizon"], 0.0
    while x < 1:
        width, height, gray = rng.uniform(0.07, 0.14), rng.uniform(0.12, 0.42), rng.randint(70, 120)
        c.near = 60 + gray - 70
        c.rectangle(x, horizon + 0.15 - height, x + width, 1, shade((gray, gray + 6, gray + 22), light))
        lit = (250, 226, 130) if dark or p["time"] == "sunset" else (190, 215, 235)
        for y in np.arange(horizon + 0.17 - height, horizon + 0.2, 0.045):
            for left in np.arange(x + 0.012, x + width - 0.02, 0.03):
                if rng.random() < 0.65:
                    c.rectangle(left, y, left + 0.014, y + 0.02, lit)
        x += width + 0.004
    c.rectangle(0, 0.86, 1, 1, shade((70, 72, 78), light))
    c.slope(_ground_depth(0.86, horizon), FOREGROUND, 0.86)
    c.near = _ground_depth(0.93, horizon)
    for left in np.arange(0.02, 1, 0.14):
        c.rectangle(left, 0.925, left + 0.07, 0.935, shade((235, 220, 120), light))


def _land(c: Canvas, rng: random.Random, p: dict, light: float, dark: bool) -> None:
    """Forest, field and snow: ground with hills and trees."""
    horizon, place = p["horizon"], p["place"]
    if place == "forest":
        c.rectangle(0, horizon, 1, 1, shade((70, 125, 66), light))
        c.slope(HORIZON, FOREGROUND, horizon)
        _trees(c, rng, horizon + 0.05, 12, "pine", dark, horizon)
        _trees(c, rng, horizon + 0.25, 6, "round", dark, horizon)
    elif place == "field":
        c.rectangle(0, horizon, 1, 1, shade((116, 178, 78), light))
        c.ellipse(0.25, horizon + 0.1, 0.5, 0.13, shade((130, 190, 90), light))
        c.ellipse(0.85, horizon + 0.16, 0.45, 0.14, shade((104, 165, 72), light))
        c.slope(HORIZON, FOREGROUND, horizon)
        _trees(c, rng, horizon + 0.1, 4, "round", dark, horizon)
    elif place == "snow":
        c.rectangle(0, horizon, 1, 1, shade((236, 242, 250), max(light, 0.55)))
        c.ellipse(0.3, horizon + 0.08, 0.5, 0.1, shade((222, 232, 246), max(light, 0.55)))
        c.slope(HORIZON, FOREGROUND, horizon)
        _trees(c, rng, horizon + 0.1, 6, "pine", dark, horizon)
        c.near = FOREGROUND
        for _ in range(60):
            x, y = rng.random(), rng.random()
            c.ellipse(x, y, 0.005, 0.005, (255, 255, 255))


def _house(c: Canvas, p: dict, light: float, dark: bool) -> None:
    x, y = p["tx"], p["horizon"] + 0.22
    c.near = _ground_depth(y, p["horizon"])
    c.rectangle(x - 0.1, y - 0.13, x + 0.1, y, shade(COLORS[p["tcol"]], light))
    c.polygon([(x - 0.125, y - 0.13), (x + 0.125, y - 0.13), (x, y - 0.235)], shade((120, 60, 50), light))
    c.rectangle(x - 0.02, y - 0.07, x + 0.02, y, shade((80, 50, 35), light))
    for offset in (-0.065, 0.045):
        c.rectangle(x + offset, y - 0.10, x + offset + 0.03, y - 0.07, (255, 236, 150) if dark else (195, 225, 245))


def _boat(c: Canvas, p: dict, light: float) -> None:
    x, y = p["tx"], p["horizon"] + 0.10
    c.near = _ground_depth(y + 0.05, p["horizon"])
    hull = [(x - 0.1, y), (x + 0.1, y), (x + 0.065, y + 0.045), (x - 0.065, y + 0.045)]
    c.polygon(hull, shade((120, 72, 45), light))
    c.line([(x, y), (x, y - 0.17)], shade((90, 60, 40), light), 0.01)
    sail = [(x + 0.008, y - 0.165), (x + 0.008, y - 0.02), (x + 0.095, y - 0.02)]
    c.polygon(sail, shade(COLORS[p["tcol"]], light))


def _car(c: Canvas, p: dict, light: float) -> None:
    x, y = p["tx"], 0.88
    c.near = _ground_depth(0.94, p["horizon"])
    body = shade(COLORS[p["tcol"]], max(light, 0.6))
    c.rounded(x - 0.13, y - 0.05, x + 0.13, y + 0.03, 0.02, body)
    c.rounded(x - 0.075, y - 0.105, x + 0.07, y - 0.03, 0.03, body)
    c.rounded(x - 0.06, y - 0.09, x + 0.055, y - 0.05, 0.012, (190, 225, 245))
    for offset in (-0.075, 0.075):
        c.ellipse(x + offset, y + 0.03, 0.032, 0.032, (30, 30, 34))
        c.ellipse(x + offset, y + 0.03, 0.014, 0.014, (180, 180, 185))


def landscape(c: Canvas, rng: random.Random, p: dict) -> None:
    dark = p["time"] == "night"
    light = 0.45 if dark else (0.8 if p["time"] == "sunset" else 1)
    _sky(c, rng, p, dark)
    c.near = HORIZON
    if p["place"] in ("beach", "ocean", "island"):
        _water(c, rng, p, light, dark)
    elif p["place"] == "mountains":
        _mountains(c, rng, p["horizon"], light, dark)
    elif p["place"] == "desert":
        _desert(c, p["horizon"], light)
    elif p["place"] == "city":
        _city(c, rng, p, light, dark)
    else:
        _land(c, rng, p, light, dark)
    extra = p.get("thing")
    if extra == "house":
        _house(c, p, light, dark)
    if extra == "boat":
        _boat(c, p, light)
    if extra == "car":
        _car(c, p, light)
    if p.get("birds"):
        c.near = 30
        for _ in range(4):
            x, y = rng.uniform(0.1, 0.9), rng.uniform(0.06, p["horizon"] * 0.7)
            c.line([(x - 0.022, y - 0.012), (x, y), (x + 0.022, y - 0.012)], (40, 40, 50), 0.005)


def backdrop(c: Canvas, rng: random.Random, p: dict) -> None:
    """A plain colour that darkens downwards, or a place; far away in depth."""
    name = p["bg"]
    if name in COLORS:
        c.near = 15
        c.gradient(mix(COLORS[name], (255, 255, 255), 0.18), shade(COLORS[name], 0.82))
        return
    time = p.get("time", "day")
    place = {"beach": "ocean", "mars": "desert", "jungle": "forest"}.get(name, name)
    orb = "sun" if time != "night" else "moon"
    scene = {"time": time, "place": place, "horizon": 0.55, "sunx": 0.85, "suny": 0.3, "orb": orb, "clouds": False}
    landscape(c, rng, scene)
    if name == "mars":
        c.replace_picture(ImageChops.multiply(c.picture, Image.new("RGB", c.picture.size, (255, 150, 105))))
    c.depth = c.depth.point(lambda value: value // 3)
    c.replace_picture(c.picture)
