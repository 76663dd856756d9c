"""Prompts for few-step scenes, in captions' words and as strangers type them, and which of the scene's attributes each names."""

import random
import re

from . import scenes
from .colour_prompts import FORMS, a
from .dataset import varied_caption
from .few_step_scenes import usual

_OWN_FORM = 0.6
_SKIN_WORDS = {"pale": "pale", "fair": "fair skinned", "tan": "tanned", "brown": "brown skinned", "dark": "dark skinned"}
_TIME_WORDS = {"day": "day|blue sky", "sunset": "sunset|orange sky", "night": "night|stars", "dawn": "dawn|sunrise|morning"}


def _short(scene: dict, rng: random.Random) -> str:
    """As little as one may type: who or what it is, perhaps with its colour."""
    if scene["kind"] == "portrait":
        return rng.choice(("portrait of {}", "portrait of {}", "{}", "photo of {}")).format(a(scene["who"]))
    if scene["kind"] == "thing":
        thing, coloured = scene["thing"], f"{scene['col']} {scene['thing']}"
        return rng.choice((a(thing), a(coloured), thing, coloured))
    return rng.choice((scene["place"], a(scene["place"]), f"{scene['place']} at {scene['time']}"))


def _styled(text: str, style: str, rng: random.Random) -> str:
    return rng.choice(("{0}, {1}", "{0}, {1}", "{1} of {0}", "{1}, {0}", "{1} {0}")).format(text, style) if style else text


def _names_what_is_unusual(scene: dict, named: set[str]) -> bool:
    """Whether a prompt says all that should be in a picture only if asked for."""
    hidden: set[str] = {"time"} if scene.get("bg") in scenes.COLORS else set()
    if scene.get("who") == "robot":
        hidden |= {"style", "beard", "acc", "time", "hair"}
    return all(scene[name] in values or name in named or name in hidden for name, values in usual(scene).items())


def prompt_of(scene: dict, rng: random.Random) -> str:
    for _ in range(30):
        kind = rng.random()
        if kind < 0.25:
            prompt = _styled(_short(scene, rng), scene["style_fx"], rng)
        elif kind < _OWN_FORM:
            prompt = _styled(FORMS[scene["kind"]](scene, rng), scene["style_fx"], rng)
        else:
            prompt = varied_caption(scene, rng, empty=0, distracted=0.2, thorough=rng.choice((0.0, 0.5, 1.0)))
        if _names_what_is_unusual(scene, named_attributes(scene, prompt)):
            return prompt
    return varied_caption(scene, rng, empty=0, distracted=0, thorough=1.0)


def named_attributes(scene: dict, prompt: str) -> set[str]:
    """Names of the attributes that the prompt says."""
    hair, cloth, bg = scene.get("hair"), scene.get("cloth"), str(scene.get("bg"))
    ways = {
        "hair": rf"{hair} hair|bald|no hair", "cloth": rf"{cloth} (shirt|clothes|sweater|dress|jacket)",
        "style": rf"{scene.get('style')}|no hair", "mood": str(scene.get("mood")), "skin": _SKIN_WORDS.get(scene.get("skin"), "(?!)"),
        "col": rf"{scene.get('col')} {scene.get('thing')}",
        "bg": rf"{bg} background|on {bg}" if bg in scenes.COLORS else bg,
        "time": _TIME_WORDS.get(scene.get("time"), "(?!)"), "orb": str(scene.get("orb")), "clouds": "clouds", "birds": "birds", "thing": str(scene.get("thing")),
        "acc": str(scene.get("acc")), "beard": {"beard": "beard", "moustache": "m[ou]+stache"}.get(scene.get("beard"), "(?!)"),
    }  # fmt: skip
    return {name for name, way in ways.items() if re.search(way, prompt)}
