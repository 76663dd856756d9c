"""Prompts of one line, and which of a scene's attributes each of them names."""

import random
import re

from . import scenes
from .text_encoder import ATTRIBUTES, UNSEEN, labels

#: Of a scene in one of these styles no colour can be asked.
WITHOUT_COLOURS = ("line art", "pencil sketch", "film noir", "neon", "watercolor", "vibrant")
_GARMENTS = ("shirt", "shirt", "shirt", "sweater", "dress", "jacket", "clothes")
_TIMES = {
    "day": ("day", "sunny day", "blue sky"), "sunset": ("sunset", "orange sky"), "night": ("night", "stars"),
    "dawn": ("dawn", "sunrise", "morning"),
}  # fmt: skip
_KINDS, _SHARES = ("portrait", "thing", "landscape"), (0.6, 0.25, 0.15)
_STYLED, _OWN_FORM = 0.1, 0.6


def a(words: str) -> str:
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"


def _portrait(scene: dict, rng: random.Random) -> str:
    parts = []
    if scene["style"] == "bald" and scene["who"] != "robot":
        parts.append("bald")
    elif scene["who"] != "robot" and rng.random() < 0.85:
        cut = f"{scene['style']} " if scene["style"] != "bun" and rng.random() < 0.3 else ""
        parts.append(rng.choice(("", "with ")) + f"{cut}{scene['hair']} hair")
    if rng.random() < 0.65:
        parts.append(rng.choice(("wearing a ", "in a ", "wearing ", "in ", "")) + f"{scene['cloth']} {rng.choice(_GARMENTS)}")
    if rng.random() < 0.8:
        plain = rng.choice(("", "", "on a ", "with a ")) + f"{scene['bg']} background"
        parts.append(plain if scene["bg"] in scenes.COLORS else f"{'on' if scene['bg'] == 'mars' else 'in the'} {scene['bg']}".strip())
    if scene["acc"] != "none" and rng.random() < 0.8:
        parts.append(rng.choice(("with ", "wearing ")) + (a(f"{scene['hatcol']} hat") if scene["acc"] == "hat" else scene["acc"]))
    if rng.random() < 0.6:
        rng.shuffle(parts)
    mood = f"{scene['mood']} " if rng.random() < 0.3 else ""
    return rng.choice((", ", ", ", " ")).join([rng.choice(("portrait of ", "", "photo of ")) + a(mood + scene["who"]), *parts])


def _thing(scene: dict, rng: random.Random) -> str:
    where = rng.choice((" on {} background", " on {} background", ", {} background", "", "")).format(a(scene["bg"]))
    return a(f"{scene['col']} {scene['thing']}") + where.replace(", a ", ", ").replace(", an ", ", ")


def _landscape(scene: dict, rng: random.Random) -> str:
    when = rng.choice(_TIMES[scene["time"]])
    at = "at " if when in ("sunset", "night", "dawn") and rng.random() < 0.6 else ""
    return scene["place"] + rng.choice((", ", " ")) + at + when


FORMS = {"portrait": _portrait, "thing": _thing, "landscape": _landscape}


def scene_and_prompt(rng: random.Random) -> tuple[dict, str]:
    """A scene, mostly a portrait, and a prompt as people type it, or one of its captions."""
    kind = rng.choices(_KINDS, _SHARES)[0]
    scene = scenes.sample(rng)
    while scene["kind"] != kind:
        scene = scenes.sample(rng)
    scene["style_fx"] = rng.choice([style for style in scenes.STYLES if style]) if rng.random() < _STYLED else ""
    if rng.random() < _OWN_FORM:
        form = f"{FORMS[kind](scene, rng)}, {scene['style_fx']}".removesuffix(", ")
        return scene, form
    return scene, scenes.caption(scene, rng, thorough=rng.choice((0.0, 0.5, 1.0)))


def named_colours(scene: dict, prompt: str) -> dict[str, str]:
    """The colours (and the time of day) that a prompt names, by the attribute whose value they are; none of a style without colours."""
    if scene["style_fx"] in WITHOUT_COLOURS:
        return {}
    ways = {
        "hair": rf"{scene.get('hair')} hair", "cloth": rf"{scene.get('cloth')} ({'|'.join(_GARMENTS)})", "hatcol": rf"{scene.get('hatcol')} hat",
        "col": rf"{scene.get('col')} {scene.get('thing')}", "bg": rf"{scene.get('bg')} background|on {scene.get('bg')}",
        "time": "|".join(_TIMES[scene["time"]]) if scene["kind"] == "landscape" else "(?!)",
    }  # fmt: skip
    told = dict(zip(ATTRIBUTES, labels(scene), strict=True))
    if scene.get("bg") not in scenes.COLORS:
        del ways["bg"]
    return {name: scene[name] for name, way in ways.items() if told[name] != UNSEEN and re.search(way, prompt)}
