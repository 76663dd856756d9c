"""Stage `identity`: InstantID's three parts for Pinhole. A resampler makes tokens of a face's embedding; the UNet's
cross-attentions read them through keys and values of their own; IdentityNet, a ControlNet on the face's five points, reads
them in place of the prompt.

Prompts mostly leave a person's looks out, so that these have to come from the face. The face shown is another drawing of the
same sitter than the picture to be drawn. In half of the steps both count only where the head is, as in requests.
"""

import os
import random
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import ControlNetModel, UNet2DConditionModel
from safetensors.torch import load_file

from . import scenes
from .control_images import face_points_of
from .control_pairs import grow_and_save
from .controlnet import EMBEDDING_CHANNELS, PIXELS_PER_LATENT, control_timesteps, core_folder, keep_signal, to_tensor
from .dataset import PICTURE_SIDE, Shards, random_crop, varied_caption
from .diffusion import Predictor
from .face_networks import EMBEDDING_WIDTH, Embed, open_embedder
from .faces import cut_face, drawn_again
from .image_projection import Resampler
from .ip_adapter import adapter_parts, attach, initial_attention, save_adapter
from .networks import LATENT_SIDE, Base, open_base
from .training_run import TrainingRun
from .unet import noisy_batch, v_loss

FILE, NET = "ip-adapter.safetensors", "ControlNetModel"
#: Channels that the resampler works in: one head of diffusers' 64.
RESAMPLER_WIDTH = 64
#: Other drawings of each sitter whose embeddings are kept.
SHOWN = 2
EMPTY_FACE, EMPTY_TEXT, WHOLE_TEXT, MASKED_SHARE = 0.08, 0.1, 0.12, 0.5
#: Cuts have heads at the sides too, and cost less than whole pictures.
CROPPED_SHARE = 0.8
#: What the head counts beside the rest of the picture.
HEAD_WEIGHT = 4.0
ALIGNMENT_STEPS, ALIGNMENT_BATCH, ALIGNMENT_RATE = 400, 64, 3e-3
FRESH_RATE, OUTPUT_RATE, FACE_RATE = 2.0, 4.0, 2.0


def new_resampler() -> Resampler:
    return Resampler(EMBEDDING_WIDTH, RESAMPLER_WIDTH)


def new_identity_net(unet: UNet2DConditionModel, pose: Path) -> ControlNetModel:
    """A ControlNet with cross-attention that starts as the one for poses does, if that is there, and with the UNet's attention.

    What the attention adds starts at zero, since the other has learnt without it.
    """
    taken = ("in_channels", "flip_sin_to_cos", "freq_shift", "block_out_channels", "layers_per_block", "norm_num_groups", "down_block_types")
    config = {key: unet.config[key] for key in (*taken, "cross_attention_dim", "attention_head_dim")}
    model = ControlNetModel(**config, mid_block_type="UNetMidBlock2D", conditioning_embedding_out_channels=EMBEDDING_CHANNELS)
    own = model.state_dict()
    model.load_state_dict({k: v for k, v in unet.state_dict().items() if k in own}, strict=False)
    keep_signal(model.controlnet_cond_embedding)
    if pose.is_dir():
        model.load_state_dict(ControlNetModel.from_pretrained(pose, torch_dtype=torch.float32).state_dict(), strict=False)
    for name, parameter in model.named_parameters():
        if ".attentions." in name and ".proj_out." in name:
            torch.nn.init.zeros_(parameter)
    return model.to(memory_format=torch.channels_last)


def head_mask(scene: dict) -> np.ndarray:
    """Shares in which the latents' places lie in a portrait's head box, (16, 16)."""
    left, top, right, bottom = scenes.head_box(scene)
    cells = np.arange(LATENT_SIDE)
    covered = lambda start, end: np.clip(np.minimum(cells + 1, end * LATENT_SIDE) - np.maximum(cells, start * LATENT_SIDE), 0, 1)
    return np.outer(covered(top, bottom), covered(left, right))


def face_embeddings(embed: Embed, pictures: np.ndarray, described: list[dict]) -> torch.Tensor:
    """(n, 512) of drawn portraits (n, 256, 256, 3), cut out by their true points."""
    cut = [cut_face(p, np.array(scenes.face_points(s)) * PICTURE_SIDE) for p, s in zip(pictures, described, strict=True)]
    return torch.from_numpy(np.concatenate([embed(face) for face in cut]))


def shown_faces(embed: Embed, sitters: list[dict], work: Path, seed: int) -> torch.Tensor:
    """Embeddings (sitters, drawings, 512) of other drawings of each sitter; kept in a file."""
    path = work / "shown-faces.npy"
    if not path.exists():
        parts = []
        for i, sitter in enumerate(sitters):
            rng = random.Random(seed + i)
            others = [drawn_again(sitter, rng) for _ in range(SHOWN)]
            parts.append(face_embeddings(embed, np.stack([np.asarray(scenes.render(s, oversampling=1)) for s in others]), others).numpy())
        part = path.with_suffix(".part.npy")
        np.save(part, np.stack(parts))
        os.replace(part, path)
    return torch.from_numpy(np.load(path))


def phrases(sitter: dict) -> list[str]:
    """What each of the eight tokens learns to say first, in the text encoder's own words."""
    who, is_robot = sitter["who"], sitter["who"] == "robot"
    bald = sitter["style"] == "bald"
    hair = "robot" if is_robot else "bald" if bald else f"{sitter['hair']} hair"
    worn = {"none": who, "hat": f"wearing a {sitter['hatcol']} hat"}.get(sitter["acc"], f"wearing {sitter['acc']}")
    skin = {"fair": "fair skinned", "tan": "tanned", "brown": "brown skinned", "dark": "dark skinned"}.get(sitter["skin"], "pale")
    whole = f"portrait of a {who}, {hair}, {worn}"
    cut = hair if is_robot or bald else f"{sitter['style']} {sitter['hair']} hair"
    beard = who if sitter["beard"] == "none" else f"{who} with a {sitter['beard']}"
    return [whole, hair, cut, f"{skin} {who}", worn, beard, f"{sitter['eyes']} eyes", who]


def align_with_text(resampler: Resampler, base: Base, faces: torch.Tensor, sitters: list[dict], work: Path, seed: int) -> None:
    """Teaches the resampler, without the UNet, to say of a face what the text encoder's last position says of `phrases`."""
    run = TrainingRun(work / "identity-alignment.pt", [{"params": list(resampler.parameters())}], ALIGNMENT_STEPS, ALIGNMENT_RATE, seed, average=0.99)
    listed = [phrase for sitter in sitters for phrase in phrases(sitter)]
    different = sorted(set(listed))
    states = torch.cat([base.embed(different[start : start + 64])[:, -1] for start in range(0, len(different), 64)])
    place = {phrase: i for i, phrase in enumerate(different)}
    wanted = states[[place[phrase] for phrase in listed]].view(len(sitters), -1, states.shape[1])

    def loss_of(rng: random.Random) -> torch.Tensor:
        chosen, drawings = zip(*((rng.randrange(len(sitters)), rng.randrange(SHOWN)) for _ in range(ALIGNMENT_BATCH)), strict=True)
        return (resampler(faces[list(chosen), list(drawings)][:, None]) - wanted[list(chosen)]).square().mean()

    run.train(loss_of, report_every=100)
    run.use_average()


def silent_caption(scene: dict, rng: random.Random) -> str:
    """A caption that says nothing of a person's looks, and mostly who it is."""
    subject = scene["who"] if rng.random() < 0.6 else rng.choice(("person", "portrait", "face"))
    bits = [rng.choice(("portrait of a ", "a ", "headshot of a ", "")) + subject]
    if rng.random() < 0.5:
        bits.append(f"wearing a {scene['cloth']} {rng.choice(('shirt', 'jacket', 'sweater'))}")
    if rng.random() < 0.75:
        bits.append(f"{scene['bg']} background" if scene["bg"] in scenes.COLORS else f"in the {scene['bg']}")
    if scene["style_fx"]:
        bits.insert(rng.choice((0, len(bits))), scene["style_fx"])
    return ", ".join(bits)


def caption_for(scene: dict, rng: random.Random) -> str:
    kind = rng.random()
    if kind < EMPTY_TEXT:
        return ""
    if kind < EMPTY_TEXT + WHOLE_TEXT:
        return varied_caption(scene, rng, empty=0, distracted=0.1)
    return silent_caption(scene, rng)


def with_identity(
    unet: UNet2DConditionModel,
    net: ControlNetModel,
    resampler: Resampler,
    faces: torch.Tensor,
    control: torch.Tensor,
    mask: torch.Tensor | None = None,
    scale: float = 1.0,
) -> Predictor:
    """v with faces (n, 512) and control images (n, 3, height, width) in 0 … 1; `mask` (n, 1, height, width) of latents is where they count.

    `scale` is IdentityNet's; that of the image prompt is the UNet's.
    """

    def predict(latents: torch.Tensor, timesteps: torch.Tensor, embeds: torch.Tensor) -> torch.Tensor:
        latents = latents.contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            tokens = resampler(faces[:, None])
            down, mid = net(latents, timesteps, tokens, control, conditioning_scale=scale, return_dict=False)
            if mask is not None:
                fitted = lambda r: r * F.interpolate(mask, r.shape[2:], mode="bilinear")
                down, mid = [fitted(r) for r in down], fitted(mid)
            given = {} if mask is None else {"cross_attention_kwargs": {"ip_adapter_masks": [mask]}}
            conditions = {"image_embeds": [faces[:, None, None]]}
            return unet(
                latents, timesteps, embeds, added_cond_kwargs=conditions, down_block_additional_residuals=down,
                mid_block_additional_residual=mid, **given,
            ).sample.float()  # fmt: skip

    return predict


@dataclass
class Identity:
    """InstantID's parts on a base: IdentityNet, the resampler, and by their keys in the file what of the UNet and it is the face's own."""

    net: ControlNetModel
    resampler: Resampler
    named: dict[str, torch.nn.Parameter]


def open_identity(folder: Path, base: Base) -> Identity:
    """Puts the adapter of a folder as it is shipped into the base's UNet."""
    parts = adapter_parts(load_file(folder / FILE))
    resampler = new_resampler()
    resampler.load_state_dict(parts["image_proj"])
    named = attach(base.unet, resampler, parts["ip_adapter"])
    return Identity(ControlNetModel.from_pretrained(folder / NET, torch_dtype=torch.float32).eval(), resampler, named)


def set_face_scale(base: Base, scale: float) -> None:
    """What the face's image prompt counts in the UNet, if it has one."""
    for processor in base.unet.attn_processors.values():
        if hasattr(processor, "scale"):
            processor.scale = [scale]


class Faces:
    """The portraits of the training set, and embeddings of other drawings of the same sitters."""

    def __init__(self, shards: Shards, embed: Embed, work: Path, seed: int):
        self.shards = shards
        self.indices = [i for i, s in enumerate(shards.scenes) if s["kind"] == "portrait"]
        self.sitters = [shards.scenes[i] for i in self.indices]
        self.embeddings = shown_faces(embed, self.sitters, work, seed)
        self.masks = torch.from_numpy(np.stack([head_mask(s) for s in self.sitters])).float()[:, None]


def train_identity(
    base_folder: Path, embedder_file: Path, data: Path, work: Path, out: Path, steps: int, batch: int, rate: float, seed: int
) -> None:
    base, shards = open_base(base_folder), Shards(data)
    known = Faces(shards, open_embedder(embedder_file), work, seed)
    torch.manual_seed(seed)
    resampler = new_resampler()
    align_with_text(resampler, base, known.embeddings, known.sitters, work, seed)
    named = attach(base.unet, resampler, initial_attention(base.unet))
    net = new_identity_net(base.unet, core_folder("pose", work))
    run = TrainingRun(work / "identity.pt", _groups(net, named), steps, rate, seed, average=0.99)

    def loss_of(rng: random.Random) -> torch.Tensor:
        chosen = [rng.randrange(len(known.indices)) for _ in range(batch)]
        described = [known.sitters[i] for i in chosen]
        faces = known.embeddings[chosen, [rng.randrange(SHOWN) for _ in chosen]].clone()
        faces[torch.rand(batch) < EMPTY_FACE] = 0
        clean = torch.cat([shards.scaled_latents([known.indices[i] for i in chosen], base), known.masks[chosen]], 1)
        control = to_tensor([face_points_of(s) for s in described])
        if rng.random() < CROPPED_SHARE:
            clean, (top, left) = random_crop(clean, rng, spread=0.5)
            (height, width), p = clean.shape[2:], PIXELS_PER_LATENT
            control = control[:, :, top * p : (top + height) * p, left * p : (left + width) * p]
        clean, heads = clean[:, :-1], clean[:, -1:]
        embeds = base.embed([caption_for(s, rng) for s in described])
        noisy, target = noisy_batch(clean, timesteps := control_timesteps(batch))
        mask = (heads > 0.5).float() if rng.random() < MASKED_SHARE else None
        predicted = with_identity(base.unet, net, resampler, faces, control, mask)(noisy, timesteps, embeds)
        return v_loss(predicted, target, 1 + (HEAD_WEIGHT - 1) * heads)

    run.train(loss_of, report_every=20)
    run.use_average()
    out.mkdir(parents=True, exist_ok=True)
    save_adapter(named, out / FILE)
    net.save_pretrained(core_folder("identity", work))
    grow_and_save("identity", net, work, out / NET)


def _groups(net: ControlNetModel, named: dict[str, torch.nn.Parameter]) -> list[dict]:
    """IdentityNet's parameters and the face's own, with their rates."""
    groups: dict[str, list[torch.nn.Parameter]] = {"trunk": [], "fresh": [], "outputs": []}
    for name, parameter in net.named_parameters():
        if name.startswith(("controlnet_down_blocks", "controlnet_mid_block")):
            groups["outputs"].append(parameter)
        else:
            fresh = name.startswith("controlnet_cond_embedding") or ".attentions." in name
            groups["fresh" if fresh else "trunk"].append(parameter)
    rates = {"trunk": 1.0, "fresh": FRESH_RATE, "outputs": OUTPUT_RATE}
    return [*({"params": groups[key], "factor": rate} for key, rate in rates.items()), {"params": list(named.values()), "factor": FACE_RATE}]
