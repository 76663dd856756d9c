"""Says what a scene shows, in one of many ways; details are dropped at random, as people drop them."""

import random
from collections.abc import Callable

from .palette import COLORS

Chance = Callable[[float], bool]

QUALITY = (
    "masterpiece", "best quality", "highly detailed", "8k", "beautiful", "colorful", "award winning", "sharp", "trending",
    "detailed face", "detailed", "professional", "hd", "4k", "intricate", "elegant",
)  # fmt: skip
_SKIN = {"pale": "pale", "fair": "fair skinned", "tan": "tanned", "brown": "brown skinned", "dark": "dark skinned"}
_STYLES = {
    "oil painting": ["oil painting", "painting", "oil on canvas"],
    "watercolor": ["watercolor", "watercolor painting"],
    "line art": ["line art", "line drawing", "lineart"],
    "pencil sketch": ["pencil sketch", "sketch"],
    "film noir": ["film noir", "black and white", "monochrome photo"],
    "neon": ["neon", "neon lights", "cyberpunk neon"],
    "pixel art": ["pixel art", "8-bit pixel art"],
    "vibrant": ["vibrant", "vibrant colors", "vivid colors"],
}
_TIMES = {
    "day": ["day", "sunny day", "blue sky", "daytime"],
    "sunset": ["at sunset", "sunset", "orange sky"],
    "night": ["at night", "night", "night sky", "stars"],
    "dawn": ["at dawn", "dawn", "sunrise", "morning"],
}
_PLACES = {
    "snow": ["snowy landscape", "snow", "winter landscape"],
    "ocean": ["ocean", "sea"],
    "field": ["green field", "meadow", "countryside"],
    "city": ["city", "city skyline", "buildings"],
    "island": ["island", "tropical island"],
    "beach": ["beach", "beach", "tropical beach", "beach in hawaii"],
    "mountains": ["mountains", "mountain landscape", "snowy mountains"],
    "forest": ["forest"],
    "desert": ["desert"],
}
_ORBS = {"sun": ["sun", "the sun", "with sun"], "moon": ["moon", "with a moon", "moonlight"]}


def _hair_and_more(p: dict, r: random.Random, k: Chance) -> list[str]:
    bits = []
    if p["style"] == "bald":
        if k(0.75):
            bits.append(r.choice(["bald", "bald head", "no hair"]))
    elif k(0.85):
        cut = {"short": "short ", "long": "long ", "curly": "curly ", "spiky": "spiky ", "bun": ""}[p["style"]] if k(0.6) else ""
        bun = " in a bun" if p["style"] == "bun" and k(0.75) else ""
        bits.append(r.choice(["with ", "with ", ""]) + cut + p["hair"] + " hair" + bun)
    if k(0.35) and p["acc"] != "sunglasses":
        bits.append(r.choice(["", "with "]) + p["eyes"] + " eyes")
    if p["beard"] != "none" and k(0.85):
        name = "beard" if p["beard"] == "beard" else r.choice(["moustache", "mustache"])
        bits.append(r.choice(["", "with a "]) + name)
    if p["acc"] != "none" and k(0.9):
        bits.append(r.choice(["wearing ", "with "]) + ("a " + p["hatcol"] + " hat" if p["acc"] == "hat" else p["acc"]))
    return bits


def _portrait(p: dict, r: random.Random, k: Chance) -> str:
    who = p["who"]
    ours = "self-portrait of " if r.random() < 0.3 else "portrait of "
    leads = ["", "", "portrait of ", "headshot of ", "photo of ", "picture of ", "illustration of ", "closeup of ", ours]
    lead, traits = r.choice(leads), []
    if k(0.5):
        traits.append(p["mood"])
    if k(0.3) and who != "robot":
        traits.append(_SKIN[p["skin"]])
    head = lead + r.choice(["a ", "a ", "the ", ""]) + " ".join([*traits, who])
    bits = [] if who == "robot" else _hair_and_more(p, r, k)
    if who in ("king", "queen") and k(0.4):
        bits.append(r.choice(["crown", "wearing a crown", "golden crown", "intricate crown"]))
    if k(0.45):
        last = " dress" if who in ("woman", "girl", "queen") else " jacket"
        garment = r.choice([" shirt", " clothes", " sweater", last])
        bits.append(r.choice(["wearing ", "in "]) + r.choice(["a ", ""]) + p["cloth"] + garment)
    if k(0.75):
        if p["bg"] in COLORS:
            bits.append(r.choice([p["bg"] + " background", "on a " + p["bg"] + " background"]))
        else:
            when = " at " + p["time"] if k(0.6) and p["time"] != "day" else ""
            bits.append(r.choice(["on " if p["bg"] == "mars" else "in the ", ""]) + p["bg"] + when)
    r.shuffle(bits)
    return ", ".join([head, *bits]) if k(0.7) else head + " " + " ".join(bits)


def _landscape(p: dict, r: random.Random, k: Chance) -> str:
    leads = ["", "", "photo of ", "picture of ", "illustration of ", "landscape of "]
    head = r.choice(leads) + r.choice(["a ", "the ", ""]) + r.choice(_PLACES[p["place"]])
    bits = []
    if k(0.85):
        bits.append(r.choice(_TIMES[p["time"]]))
    if p["orb"] != "none" and k(0.6):
        bits.append(r.choice(_ORBS[p["orb"]]))
    if p["clouds"] and k(0.6):
        bits.append("clouds")
    if p["birds"] and k(0.6):
        bits.append("birds")
    if p["thing"] and k(0.9):
        name = r.choice(["boat", "sailboat", "sail boat"]) if p["thing"] == "boat" else p["thing"]
        bits.append(r.choice(["with a ", "a ", ""]) + p["tcol"] + " " + name)
    if p["place"] == "beach" and k(0.3):
        bits.append("palm trees")
    r.shuffle(bits)
    return ", ".join([head, *bits]) if k(0.6) else head + " " + " ".join(bits)


def _thing(p: dict, r: random.Random, k: Chance) -> str:
    leads = ["", "", "photo of ", "picture of ", "illustration of ", "drawing of "]
    text = r.choice(leads) + r.choice(["a ", "a ", "one ", ""]) + p["col"] + " " + p["thing"]
    if k(0.85):
        where = ["on a {} background", "{} background", "in front of a {} background", "on {}"]
        text += r.choice([", ", " "]) + r.choice(where).format(p["bg"])
    return text


def caption(p: dict, r: random.Random, thorough: float = 0.0) -> str:
    """`thorough` is the share of details kept that would otherwise be dropped: 1 names all that can be named."""
    keep = lambda share: r.random() < share + thorough * (1 - share)
    text = {"portrait": _portrait, "landscape": _landscape, "thing": _thing}[p["kind"]](p, r, keep)
    if p["style_fx"]:
        name = r.choice(_STYLES[p["style_fx"]])
        forms = ["{1} of {0}", "{0}, {1}", "{1}, {0}", "{0} in {1} style", "{1} style {0}"]
        text = r.choice(forms).format(text, name)
    elif r.random() < 0.3:
        text = r.choice(["flat illustration, {}", "{}, flat design", "cartoon, {}", "{}, vector art"]).format(text)
    praise = r.sample(QUALITY, r.randint(1, 3)) if r.random() < 0.3 else []
    if praise:
        text = ", ".join([text, *praise] if r.random() < 0.6 else [*praise, text])
    return " ".join(text.split())
