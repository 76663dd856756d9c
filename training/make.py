"""Makes Pinhole's models, one stage a call: `python training/make.py STAGE`. `--help` lists the stages.

A stage that was cut off goes on where it was when it is called again. Work files lie in `training/work`.
"""

import argparse
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

REPOSITORY = Path(__file__).resolve().parents[1]
MODELS = REPOSITORY / "models"
#: The folder of the detector and the embedder of faces, which have the names of insightface's files.
FACE_PACK = "pinhole-face"
#: Outer levels of the autoencoders, by the folders they go to.
AUTOENCODERS = {"pinhole-512/vae": 1, "pinhole-1024-vae": 2}


@dataclass
class Options:
    work: Path
    out: Path
    base: Path
    steps: int | None
    batch: int | None
    name: str

    @property
    def data(self) -> Path:
        return self.work / "data"

    @property
    def core(self) -> Path:
        """The autoencoder's core for 256 pixels; the shipped models hold it only with its outer levels."""
        return self.work / "autoencoder"

    @property
    def judge(self) -> Path:
        """The network that tells what pictures show; the evaluation's, not shipped."""
        return self.work / "judge.weights.pt"

    def schedule(self, steps: int, batch: int) -> dict[str, int]:
        return {"steps": self.steps or steps, "batch": self.batch or batch}


def scenes(o: Options) -> None:
    from pinhole_training.make_data import render_shard

    pictures = o.steps or 18_000
    shard = min(1000, pictures)
    for number in range(pictures // shard):
        render_shard(o.data, number, shard, first_seed=5_000_000)
        print(f"drawn {(number + 1) * shard}", flush=True)


def tokenizer(o: Options) -> None:
    from pinhole_training.tokenizer import make_tokenizer

    make_tokenizer(o.work / "base" / "tokenizer")


def autoencoder(o: Options) -> None:
    from pinhole_training.autoencoder import train_core

    train_core(o.data, o.work, o.core, **o.schedule(12_000, 8), rate=7e-4, seed=1)


def outer_levels(o: Options) -> None:
    from pinhole_training.autoencoder import train_outer_levels

    for folder, levels in AUTOENCODERS.items():
        train_outer_levels(o.core, levels, o.work, o.out / folder, **o.schedule(600, 2), rate=1e-3, seed=3)


def early_decoder(o: Options) -> None:
    from pinhole_training.early_decoder import train_early_decoder

    out = o.out / "pinhole-512" / "early_decoder"
    train_early_decoder(o.data, o.base, o.work, out, **o.schedule(2500, 8), rate=2e-3, seed=60)


def latents(o: Options) -> None:
    from pinhole_training.make_data import encode_shards
    from pinhole_training.networks import open_autoencoder

    encode_shards(o.data, open_autoencoder(o.core))


def text_encoder(o: Options) -> None:
    from pinhole_training.text_encoder import train_text_encoder

    base = o.work / "base"
    train_text_encoder(base / "tokenizer", o.work, base / "text_encoder", **o.schedule(400, 128), rate=1.5e-3, seed=4)


def unet(o: Options) -> None:
    from pinhole_training.base_folder import write_base
    from pinhole_training.unet import train_unet

    fresh = o.work / "base"
    shutil.copytree(o.core, fresh / "vae", dirs_exist_ok=True)
    trained = train_unet(fresh, o.data, o.work, **o.schedule(4000, 48), rate=6e-4, seed=5)
    write_base(trained, o.out / "pinhole-512")


def portraits(o: Options) -> None:
    from pinhole_training.base_folder import write_base
    from pinhole_training.networks import open_base
    from pinhole_training.portrait_words import speak_as_before, tell_colours_apart
    from pinhole_training.portraits import train_attention

    base = open_base(o.base)
    tell_colours_apart(base, o.work, steps=400, batch=64, rate=1.5e-3, seed=95)
    speak_as_before(base, o.work, steps=300, rate=1e-3, seed=97)
    train_attention(base, o.data, o.work / "portraits.pt", 0.75, **o.schedule(620, 16), rate=8e-4, seed=91)
    # Things and places suffer from so many portraits, and come back.
    train_attention(base, o.data, o.work / "portraits-and-all.pt", 0.25, steps=110, batch=16, rate=5e-4, seed=92)
    write_base(base, o.out / "pinhole-512")


def lcm_lora(o: Options) -> None:
    from pinhole_training.lcm_lora import LcmOptions, train_lcm_lora

    schedule = o.schedule(500, 32)
    options = LcmOptions(pair_files=min(110, schedule["steps"]), **schedule)
    train_lcm_lora(o.base, o.data, o.work, o.out / "pinhole-lcm-lora", options)


def colours(o: Options) -> None:
    from pinhole_training.base_folder import write_base
    from pinhole_training.few_step_colours import train_colours
    from pinhole_training.networks import open_base

    base, lora = open_base(o.base), o.out / "pinhole-lcm-lora" / "pytorch_lora_weights.safetensors"
    train_colours(base, lora, o.data, o.work, **o.schedule(450, 20), rate=5e-4, seed=98)
    write_base(base, o.out / "pinhole-512")


def style_lora(o: Options) -> None:
    from pinhole_training.style_lora import STYLES, train_style_lora

    lcm_lora = o.out / "pinhole-lcm-lora" / "pytorch_lora_weights.safetensors"
    for seed, style in enumerate(STYLES, 20):
        if o.name in ("", style):
            out = o.out / f"pinhole-{style}-lora"
            train_style_lora(style, o.base, lcm_lora, o.core, o.data, o.work, out, **o.schedule(240, 24), rate=1.5e-3, seed=seed)


def controlnet(o: Options) -> None:
    from pinhole_training.controlnet import CONTROL_IMAGES, train_controlnet
    from pinhole_training.control_pairs import grow_and_save

    recipes = {"canny": (400, 32, 15), "pose": (260, 24, 14), "depth": (120, 24, 15)}
    for kind in CONTROL_IMAGES:
        if o.name in ("", kind):
            steps, batch, seed = recipes[kind]
            model = train_controlnet(kind, o.base, o.data, o.work, **o.schedule(steps, batch), rate=5e-4, seed=seed)
            grow_and_save(kind, model, o.work, o.out / f"pinhole-{kind}")


def few_step(o: Options) -> None:
    from pinhole_training.few_step_lora import train_few_step_lora

    lora = o.out / "pinhole-lcm-lora" / "pytorch_lora_weights.safetensors"
    before = o.work / "lcm-lora-before-few-step.safetensors"
    if not before.exists():
        shutil.copy(lora, before)
    train_few_step_lora(o.base, before, o.core, o.work, lora, rank=32, **o.schedule(3600, 14), rate=8e-4, seed=77)


def steer(o: Options) -> None:
    from pinhole_training.steering import steer_controlnet, steer_ip_adapter
    from pinhole_training.steering_identity import steer_identity

    lora = o.out / "pinhole-lcm-lora" / "pytorch_lora_weights.safetensors"
    # Pose and depth take over what canny has learnt.
    recipes = {"canny": (800, 8e-4, 111), "depth": (120, 5e-4, 112), "pose": (120, 5e-4, 113)}
    for kind, (steps, rate, seed) in recipes.items():
        if o.name in ("", kind):
            folder, schedule = o.out / f"pinhole-{kind}", o.schedule(steps, 24)
            steer_controlnet(kind, o.base, lora, o.data, o.work, folder, **schedule, rate=rate, seed=seed)
    if o.name in ("", "ip"):
        folder, schedule = o.out / "pinhole-ip-adapter", o.schedule(250, 24)
        steer_ip_adapter("base", o.base, lora, o.core, o.data, o.work, folder, **schedule, rate=1e-3, seed=114)
    if o.name in ("", "instantid"):
        folder, embedder, schedule = o.out / "pinhole-instantid", o.out / FACE_PACK / "embedder.onnx", o.schedule(260, 20)
        steer_identity(o.base, lora, embedder, o.data, o.work, folder, **schedule, rate=8e-4, seed=115)


def face_embedder(o: Options) -> None:
    from pinhole_training.face_embedder import train_embedder
    from pinhole_training.networks import open_autoencoder

    train_embedder(o.work, open_autoencoder(o.core), o.out / FACE_PACK / "embedder.onnx", **o.schedule(420, 64), rate=2e-3, seed=101)


def face_detector(o: Options) -> None:
    from pinhole_training.face_detector import train_detector
    from pinhole_training.networks import open_autoencoder

    out = o.out / FACE_PACK / "detector.onnx"
    train_detector(o.work, o.data, open_autoencoder(o.core), out, **o.schedule(1000, 48), rate=2.5e-3, seed=102)


def identity(o: Options) -> None:
    from pinhole_training.identity import train_identity

    embedder = o.out / FACE_PACK / "embedder.onnx"
    train_identity(o.base, embedder, o.data, o.work, o.out / "pinhole-instantid", **o.schedule(420, 20), rate=6e-4, seed=103)


def embedding(o: Options) -> None:
    from pinhole_training.embedding import train_embedding

    out = o.out / "pinhole-style-embedding"
    train_embedding(o.base, o.core, o.data, o.work, out, **o.schedule(150, 24), rate=5e-3, seed=40)


def clip_vision(o: Options) -> None:
    from pinhole_training.clip_vision import train_clip_vision

    out = o.out / "pinhole-ip-adapter" / "image_encoder"
    train_clip_vision(o.base, o.data, o.work, out, **o.schedule(1200, 64), rate=2.5e-3, seed=31)


def ip_adapter(o: Options) -> None:
    from pinhole_training.ip_adapter import PROJECTIONS, train_ip_adapter

    out = o.out / "pinhole-ip-adapter"
    for seed, kind in enumerate(PROJECTIONS, 32):
        if o.name in ("", kind):
            schedule = o.schedule(130, 24)
            train_ip_adapter(kind, o.base, out / "image_encoder", o.data, o.work, out, **schedule, rate=1e-3, seed=seed)


def safety_checker(o: Options) -> None:
    from pinhole_training.safety_checker import make_safety_checker

    encoder = o.out / "pinhole-ip-adapter" / "image_encoder"
    make_safety_checker(encoder, o.data, o.work, o.out / "pinhole-safety-checker")


def prompt_expander(o: Options) -> None:
    from pinhole_training.prompt_expander import train_prompt_expander

    train_prompt_expander(o.work, o.out / "pinhole-prompt-expander", **o.schedule(500, 64), rate=2e-3, seed=70)


def judge(o: Options) -> None:
    from pinhole_training.judge import train_judge

    train_judge(o.data, o.work, o.judge, **o.schedule(1700, 32), rate=3e-3, seed=80)


def evaluate(o: Options) -> None:
    from pinhole_training.evaluate_adapters import evaluate_adapters
    from pinhole_training.evaluate_base import evaluate_base
    from pinhole_training.evaluate_inpainting import evaluate_inpainting
    from pinhole_training.evaluate_subjects import evaluate_subjects

    out = o.work / "evaluation"
    if o.name in ("", "base"):
        evaluate_base(o.base, o.base, MODELS / "pinhole-lcm-lora" / "pytorch_lora_weights.safetensors", out)
        evaluate_subjects(MODELS, o.judge, out)
        evaluate_inpainting(MODELS, out)
    evaluate_adapters(MODELS, o.judge, out, o.name)


def verify(_: Options) -> None:
    from pinhole_training.compare_engine import verify as compare

    if not compare(MODELS):
        raise SystemExit(1)


STAGES: dict[str, Callable[[Options], None]] = {
    "scenes": scenes, "tokenizer": tokenizer, "autoencoder": autoencoder, "outer-levels": outer_levels, "latents": latents,
    "early-decoder": early_decoder,
    "text-encoder": text_encoder, "unet": unet, "portraits": portraits, "lcm-lora": lcm_lora, "colours": colours,
    "controlnet": controlnet, "few-step": few_step, "style-lora": style_lora,
    "face-embedder": face_embedder, "face-detector": face_detector, "identity": identity,
    "embedding": embedding, "clip-vision": clip_vision, "ip-adapter": ip_adapter, "steer": steer,
    "safety-checker": safety_checker, "prompt-expander": prompt_expander, "judge": judge, "evaluate": evaluate, "verify": verify,
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stage", choices=STAGES)
    parser.add_argument("--name", default="", help="only this style, this kind of control image or (evaluate) this adapter")
    parser.add_argument("--steps", type=int, help="optimizer steps in place of the recipe's (scenes: pictures to draw)")
    parser.add_argument("--batch", type=int, help="pictures a step in place of the recipe's")
    parser.add_argument("--threads", type=int, default=1, help="beside other work one thread is faster than two")
    parser.add_argument("--base", type=Path, default=MODELS / "pinhole-512", help="folder of the base to start from")
    parser.add_argument("--work", type=Path, default=REPOSITORY / "training" / "work")
    parser.add_argument("--out", type=Path, default=MODELS, help="folder that finished models go to")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    given.work.mkdir(parents=True, exist_ok=True)
    STAGES[given.stage](Options(given.work, given.out, given.base, given.steps, given.batch, given.name))


if __name__ == "__main__":
    main()
