"""Draws the parameters of scenes."""

import random

from .palette import COLORS, EYES, HAIR, SKIN
from .styles import STYLES
from .things import THINGS

SUBJECTS = ("man", "woman", "boy", "girl", "king", "queen", "old man", "old woman", "wizard", "robot", "cyborg", "astronaut")
PLACES = ("beach", "ocean", "island", "mountains", "forest", "desert", "city", "field", "snow")
_FEMALE = ("woman", "girl", "queen", "old woman")
_UNIFORMED = ("king", "queen", "wizard", "robot", "astronaut", "cyborg")
_THINGS_OF_PLACES = {
    "beach": ["", "boat"], "ocean": ["boat", "boat", ""], "island": [""], "mountains": ["", "house"],
    "forest": ["", "house"], "desert": [""], "city": ["car", ""], "field": ["house", "house", ""], "snow": ["house", ""],
}  # fmt: skip


def _portrait(r: random.Random, p: dict) -> None:
    colors = list(COLORS)
    who = r.choice(["man", "woman", *SUBJECTS])
    female = who in _FEMALE
    hair = r.choice(list(HAIR))
    if who.startswith("old") or who == "wizard":
        hair = r.choice(["gray", "silver", "white"])
    cuts = ["long", "long", "curly", "bun", "short"] if female else ["short", "short", "spiky", "curly", "bald", "long"]
    style = r.choice(cuts)
    p.update(kind="portrait", who=who, skin=r.choice(list(SKIN)), hair=hair, style=style, eyes=r.choice(list(EYES)))
    p["mood"] = r.choice(["smiling", "smiling", "sad", "surprised", "serious"])
    if female or who in ("boy", "robot", "cyborg"):
        p["beard"] = "none"
    else:
        p["beard"] = "beard" if who == "wizard" else r.choice(["none", "none", "beard", "moustache"])
    plain = who not in _UNIFORMED
    p["acc"] = r.choice(["none", "none", "glasses", "sunglasses", "hat", "earrings"]) if plain else "none"
    p["cloth"], p["hatcol"] = r.choice(colors), r.choice(colors)
    p["bg"] = r.choice([*colors, "beach", "forest", "city", "snow", "desert", "mountains", "mars", "jungle"])
    p["time"] = r.choice(["day", "day", "sunset", "night"])
    p["x"], p["y"] = 0.5 + r.uniform(-0.08, 0.08), 0.46 + r.uniform(-0.05, 0.06)
    p["s"], p["yaw"] = r.uniform(0.78, 1.08), r.uniform(-1, 1)


def _landscape(r: random.Random, p: dict) -> None:
    place = r.choice(["beach", *PLACES])
    time = r.choice(["day", "day", "sunset", "night", "dawn"])
    p.update(kind="landscape", place=place, time=time)
    p["orb"] = "moon" if time == "night" else r.choice(["sun", "sun", "none"])
    p["clouds"] = r.random() < 0.4
    p["birds"] = r.random() < 0.15 and time != "night"
    p["horizon"], p["sunx"], p["suny"] = r.uniform(0.48, 0.6), r.uniform(0.12, 0.88), r.uniform(0.2, 0.6)
    p["thing"], p["tx"], p["tcol"] = r.choice(_THINGS_OF_PLACES[place]), r.uniform(0.25, 0.75), r.choice(list(COLORS))


def _thing(r: random.Random, p: dict) -> None:
    colors = list(COLORS)
    p.update(kind="thing", thing=r.choice(THINGS), col=r.choice(colors), bg=r.choice(colors))
    p["x"], p["y"], p["s"] = 0.5 + r.uniform(-0.1, 0.1), 0.5 + r.uniform(-0.08, 0.08), r.uniform(0.75, 1.25)
    while p["bg"] == p["col"]:
        p["bg"] = r.choice(colors)


def sample(r: random.Random) -> dict:
    """The parameters of one scene: two in five portraits, a quarter landscapes, the rest single things."""
    kind = r.random()
    p: dict = {"style_fx": r.choice(STYLES)}
    (_portrait if kind < 0.40 else _landscape if kind < 0.65 else _thing)(r, p)
    p["seed"] = r.randrange(1 << 30)
    return p
