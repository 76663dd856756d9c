"""Scenes for the few-step LoRA: usual unless a prompt says otherwise.

In four steps a network that cannot know where a thing will be draws the mean of all places: a blur. The training set's scenes put things
anywhere and detail at random; here geometry is fixed and what prompts seldom name is as usual (an apple is red, a cat orange, a king wears purple), so that a prompt
has one picture but for the backdrop and the skin, which the first noise decides where the prompt does not (`noise_codes`). When the noise had to say the colours of things,
clothes and hair too, and one of fifteen of backdrops, the network drew means of them, and those are brown. Things are drawn more often than in the training set, for shapes are
what few steps have to learn most. A second set is *moved*: geometry at random, as image to image meets it; some of it comes with a second drawing that differs in
what the prompt names, as the picture to start from.
"""

import json
import os
import random
from pathlib import Path

import numpy as np
from diffusers import AutoencoderKL

from . import scenes
from .make_data import encode

KINDS, SHARES = ("thing", "portrait", "landscape"), (0.42, 0.34, 0.24)
STYLED, CHANGED = 0.34, 0.15
SCENES_PER_FILE = 250
SEEDS = (11, 22, 33, 44, 55, 66)
#: Where everything is in scenes that are not moved, and how far it may be moved.
_GEOMETRY = {
    "thing": {"x": (0.5, 0.06), "y": (0.5, 0.04), "s": (1.06, 0.14)},
    "portrait": {"x": (0.5, 0.05), "y": (0.47, 0.04), "s": (0.95, 0.1), "yaw": (0.0, 1.0)},
    "landscape": {"horizon": (0.54, 0.06), "sunx": (0.7, 0.2), "suny": (0.34, 0.14), "tx": (0.4, 0.15)},
}
#: Share of scenes of which a prompt need say nothing but what they show, and of what is usual in the others.
WHOLLY_USUAL, USUAL_SHARE = 0.3, 0.5
_STYLES = [style for style in scenes.STYLES if style]


#: Colours of backdrops that a prompt need not name, and what else it need not: the colours of things, clothes and hair.
OPEN_BACKDROPS = ("yellow", "green", "blue", "pink")
_THING_COLOURS = {
    "circle": "red", "square": "blue", "triangle": "green", "star": "yellow", "heart": "red", "apple": "red", "flower": "pink", "cat": "orange",
    "dog": "brown", "fish": "orange", "bird": "blue", "cup": "white", "balloon": "red", "mushroom": "red", "car": "red", "house": "beige",
    "butterfly": "purple",
}  # fmt: skip
_CLOTHES = {"king": "purple", "queen": "purple", "wizard": "navy", "astronaut": "white", "robot": "gray", "cyborg": "black"}
_HAIR = {"woman": "blonde", "girl": "red", "queen": "blonde", "old man": "silver", "old woman": "silver", "wizard": "silver", "cyborg": "black"}
_LONG_HAIRED = ("woman", "girl", "queen", "old woman")


def usual(scene: dict) -> dict[str, tuple[object, ...]]:
    """What of a scene's attributes goes without saying: the values that a prompt need not name."""
    if scene["kind"] == "portrait":
        who = scene["who"]
        return {
            "style": ("long" if who in _LONG_HAIRED else "short",), "mood": ("smiling",), "beard": ("beard" if who == "wizard" else "none",),
            "acc": ("none",), "time": ("day",), "hair": (_HAIR.get(who, "brown"),), "cloth": (_CLOTHES.get(who, "red"),), "bg": OPEN_BACKDROPS,
        }  # fmt: skip
    if scene["kind"] == "landscape":
        return {"time": ("day",), "orb": ("moon" if scene["time"] == "night" else "sun",), "clouds": (False,), "birds": (False,), "thing": ("",)}
    return {"col": (_THING_COLOURS[scene["thing"]],), "bg": tuple(colour for colour in OPEN_BACKDROPS if colour != scene["col"])}


def few_step_scene(rng: random.Random, moved: bool) -> dict:
    kind = rng.choices(KINDS, SHARES)[0]
    scene = scenes.sample(rng)
    while scene["kind"] != kind:
        scene = scenes.sample(rng)
    scene["style_fx"] = rng.choice(_STYLES) if rng.random() < STYLED else ""
    scene["seed"] = rng.choice(SEEDS) if moved else SEEDS[2]
    for name, (middle, width) in _GEOMETRY[kind].items():
        scene[name] = middle + width * rng.uniform(-1, 1) if moved else middle
    share = 1.0 if rng.random() < WHOLLY_USUAL else USUAL_SHARE
    for name in usual(scene):
        if rng.random() < share:
            # Asked anew each time: a backdrop's usual colours depend on the thing's.
            scene[name] = rng.choice(usual(scene)[name])
    if scene["kind"] == "thing" and scene["bg"] == scene["col"]:
        scene["bg"] = rng.choice(usual(scene)["bg"])
    return scene


def at_one_place(scene: dict) -> dict:
    """A scene of the training set, laid out as the few-step LoRA lays scenes out."""
    middles = {name: middle for name, (middle, _) in _GEOMETRY[scene["kind"]].items()}
    return scene | middles | {"seed": SEEDS[2]}


def changed(scene: dict, rng: random.Random) -> dict:
    """The same scene but for one or two attributes that prompts name."""
    names = {"thing": ("thing", "col", "bg"), "portrait": ("who", "hair", "cloth", "bg"), "landscape": ("place", "time")}[scene["kind"]]
    other = scenes.sample(rng)
    while other["kind"] != scene["kind"]:
        other = scenes.sample(rng)
    picked = rng.sample(names, rng.choice((1, 2)))
    result = scene | {name: other[name] for name in picked}
    if rng.random() < 0.3:
        result["style_fx"] = "" if scene["style_fx"] else rng.choice(_STYLES)
    if result["kind"] == "landscape":
        result["thing"] = ""
        result["orb"] = "moon" if result["time"] == "night" else "sun" if scene["orb"] == "moon" else scene["orb"]
    return result


def make_few_step_scenes(folder: Path, autoencoder: AutoencoderKL, count: int, moved: bool, seed: int) -> None:
    """Files of scenes (.json) and of latents (.npz: `ends`; `starts` of the changed ones and their `indices`). Files that exist are kept."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count // SCENES_PER_FILE):
        path = folder / f"{number:03d}.json"
        if path.exists():
            continue
        rng = random.Random(seed * 1_000_003 + number)
        drawn = [few_step_scene(rng, moved) for _ in range(SCENES_PER_FILE)]
        indices = [i for i in range(SCENES_PER_FILE) if moved and rng.random() < CHANGED]
        befores = [changed(drawn[i], rng) for i in indices]
        pictures = np.stack([np.asarray(scenes.render(scene)) for scene in (*drawn, *befores)])
        latents = encode(autoencoder, pictures)
        np.savez(path.with_suffix(".npz"), ends=latents[:SCENES_PER_FILE], starts=latents[SCENES_PER_FILE:], indices=np.array(indices))
        part = path.with_suffix(".part")
        part.write_text(json.dumps(drawn))
        os.replace(part, path)
        print(f"drawn {(number + 1) * SCENES_PER_FILE}", flush=True)
