"""LoRA files of every dialect and kind for the tiny checkpoints, and the change that each makes to every weight, for lora.test.ts.

    python scripts/golden/lora.py   (torch, diffusers, transformers, peft, lycoris-lora, safetensors)

Each case is packages/engine/test/golden/data/lora/<name>.safetensors, with <name>.deltas.safetensors beside it: ΔW by
`<component>/<key of the weight>`. What fuses a file is named for each case: diffusers' pipeline where it loads such files, otherwise
peft's or LyCORIS' layers, or the formula in float64. Final latents of diffusers with LoRAs are in latents.safetensors.
"""

import json
import math
import shutil

import diffusers
import lycoris.functional as lycoris
import peft
import torch
import transformers
from lycoris.functional.general import weight_decompose
from safetensors.torch import load_file, save_file

from lora_pipelines import OUT, SCALE, add_changes, apply_lora
from pipelines import CHECKPOINTS, DEFAULTS, load, run

TEXT_LAYER = "text_model.encoder.layers"
BLOCK = "down_blocks.0.attentions.0.transformer_blocks.0"


def base(checkpoint):
    """Weights by `<component>/<key>`."""
    weights = {}
    for folder in sorted((CHECKPOINTS / checkpoint).iterdir()):
        for path in folder.glob("*.safetensors"):
            weights |= {f"{folder.name}/{key}": value for key, value in load_file(path).items()}
    return weights


def numbers(*shape, size=0.3):
    return torch.randn(*shape) * size


def factors(weight, rank):
    down = numbers(rank, *weight.shape[1:])
    return down, numbers(weight.shape[0], rank, *([1, 1] if weight.ndim == 4 else []))


def product(down, up, weight, scale):
    """Scaled up · down in float64, in the weight's shape."""
    matrix = up.double().flatten(1) @ down.double().flatten(1)
    return (scale * matrix).reshape(weight.shape).float()


class Case:
    """A file under construction and what it changes."""

    def __init__(self, name, checkpoint, seed):
        self.name, self.checkpoint = name, checkpoint
        self.weights = base(checkpoint)
        self.tensors, self.metadata, self.deltas = {}, {}, {}
        torch.manual_seed(seed)

    def weight(self, path, component="unet"):
        return self.weights[f"{component}/{path}.weight"]

    def change(self, path, delta, component="unet", kind="weight"):
        self.deltas[f"{component}/{path}.{kind}"] = delta.float().contiguous()

    def save(self, oracle, suffix="safetensors"):
        file = OUT / f"{self.name}.{suffix}"
        if suffix == "bin":
            torch.save(self.tensors, file)
        else:
            save_file(self.tensors, file, self.metadata or None)
        save_file(self.deltas, OUT / f"{self.name}.deltas.safetensors")
        return {"name": self.name, "file": file.name, "checkpoint": self.checkpoint, "oracle": oracle}


def kohya_name(path):
    return path.replace(".", "_")


# Low-rank changes

UNET_MODULES = [
    "conv_in",
    "time_embedding.linear_1",
    "down_blocks.0.resnets.0.conv1",
    "down_blocks.0.resnets.0.time_emb_proj",
    "down_blocks.0.downsamplers.0.conv",
    "down_blocks.1.resnets.0.conv_shortcut",
    "down_blocks.0.attentions.0.proj_in",
    f"{BLOCK}.attn1.to_q",
    f"{BLOCK}.attn2.to_k",
    f"{BLOCK}.attn2.to_out.0",
    f"{BLOCK}.ff.net.0.proj",
    f"{BLOCK}.ff.net.2",
    "up_blocks.1.upsamplers.0.conv",
    "conv_out",
]
TEXT_MODULES = [f"{TEXT_LAYER}.0.self_attn.q_proj", f"{TEXT_LAYER}.1.mlp.fc1", f"{TEXT_LAYER}.2.self_attn.out_proj"]


def add_kohya(case, name, path, component, rank, alpha):
    down, up = factors(case.weight(path, component), rank)
    case.tensors |= {f"{name}.lora_down.weight": down, f"{name}.lora_up.weight": up}
    if alpha is not None:
        case.tensors[f"{name}.alpha"] = torch.tensor(float(alpha))
    scale = SCALE * (1 if alpha is None else alpha / rank)
    case.change(path, product(down, up, case.weight(path, component), scale), component)


def kohya():
    """Ranks and alphas by module, one without; diffusers takes one alpha for all of some modules."""
    case = Case("kohya", "tiny-sd15", 1)
    modules = [("lora_unet", "unet", path) for path in UNET_MODULES] + [("lora_te", "text_encoder", path) for path in TEXT_MODULES]
    for i, (prefix, component, path) in enumerate(modules):
        add_kohya(case, f"{prefix}_{kohya_name(path)}", path, component, 2 + i % 3, None if i == 5 else 1 + i % 4)
    return case.save("float64")


SGM_MODULES = {
    "input_blocks_0_0": "conv_in",
    "time_embed_0": "time_embedding.linear_1",
    "time_embed_2": "time_embedding.linear_2",
    "label_emb_0_0": "add_embedding.linear_1",
    "label_emb_0_2": "add_embedding.linear_2",
    "input_blocks_1_0_in_layers_2": "down_blocks.0.resnets.0.conv1",
    "input_blocks_2_0_emb_layers_1": "down_blocks.0.resnets.1.time_emb_proj",
    "input_blocks_3_0_op": "down_blocks.0.downsamplers.0.conv",
    "input_blocks_4_0_skip_connection": "down_blocks.1.resnets.0.conv_shortcut",
    "input_blocks_4_1_proj_in": "down_blocks.1.attentions.0.proj_in",
    "input_blocks_4_1_transformer_blocks_0_attn1_to_q": "down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q",
    "input_blocks_5_1_transformer_blocks_1_attn2_to_out_0": "down_blocks.1.attentions.1.transformer_blocks.1.attn2.to_out.0",
    "middle_block_0_out_layers_3": "mid_block.resnets.0.conv2",
    "middle_block_1_transformer_blocks_0_ff_net_0_proj": "mid_block.attentions.0.transformer_blocks.0.ff.net.0.proj",
    "middle_block_2_in_layers_2": "mid_block.resnets.1.conv1",
    "output_blocks_0_1_transformer_blocks_1_attn2_to_v": "up_blocks.0.attentions.0.transformer_blocks.1.attn2.to_v",
    "output_blocks_2_2_conv": "up_blocks.0.upsamplers.0.conv",
    "output_blocks_5_0_in_layers_2": "up_blocks.1.resnets.2.conv1",
    "out_2": "conv_out",
}


def kohya_sgm():
    case = Case("kohya-sgm", "tiny-sdxl", 2)
    for name, path in SGM_MODULES.items():
        add_kohya(case, f"lora_unet_{name}", path, "unet", 3, 2)
    for prefix, component in (("lora_te1", "text_encoder"), ("lora_te2", "text_encoder_2")):
        for path in TEXT_MODULES:
            add_kohya(case, f"{prefix}_{kohya_name(path)}", path, component, 3, 2)
    add_kohya(case, "lora_te2_text_projection", "text_projection", "text_encoder_2", 3, 2)
    return case.save("float64")


def attention_processors(name, prefix, suffix="safetensors"):
    case = Case(name, "tiny-sd15", 3)
    for block in (BLOCK, "mid_block.attentions.0.transformer_blocks.0"):
        for attention in ("attn1", "attn2"):
            for part, module in (("to_q", "to_q"), ("to_k", "to_k"), ("to_v", "to_v"), ("to_out", "to_out.0")):
                path = f"{block}.{attention}.{module}"
                down, up = factors(case.weight(path), 4)
                stem = f"{prefix}{block}.{attention}.processor.{part}_lora"
                case.tensors |= {f"{stem}.down.weight": down, f"{stem}.up.weight": up}
                case.change(path, product(down, up, case.weight(path), SCALE))
    return case.save("float64", suffix)


def old_text_encoder():
    case = Case("old-text-encoder", "tiny-sd15", 4)
    layer = f"{TEXT_LAYER}.1.self_attn"
    names = {f"{layer}.{old}_lora": f"{layer}.{new}" for old, new in (("to_q", "q_proj"), ("to_out", "out_proj"))}
    names |= {f"{layer}.{module}.lora_linear_layer": f"{layer}.{module}" for module in ("k_proj", "v_proj")}
    names[f"{TEXT_LAYER}.0.mlp.fc2.lora_linear_layer"] = f"{TEXT_LAYER}.0.mlp.fc2"
    for stem, path in names.items():
        weight = case.weight(path, "text_encoder")
        down, up = factors(weight, 4)
        case.tensors |= {f"text_encoder.{stem}.down.weight": down, f"text_encoder.{stem}.up.weight": up}
        case.change(path, product(down, up, weight, SCALE), "text_encoder")
    path = f"{BLOCK}.attn1.to_v"
    down, up = factors(case.weight(path), 2)
    case.tensors |= {f"unet.{path}.lora.down.weight": down, f"unet.{path}.lora.up.weight": up}
    case.change(path, product(down, up, case.weight(path), SCALE))
    return case.save("float64")


PEFT_CONFIG = {
    "unet.r": 4,
    "unet.lora_alpha": 6,
    "unet.use_rslora": True,
    "unet.target_modules": ["to_q", "to_k", "to_out.0", "conv1"],
    "unet.rank_pattern": {f"^{BLOCK}.attn1.to_k": 2},
    "unet.alpha_pattern": {"attn2.to_q": 9, f"^{BLOCK}.attn1.to_q": 5},
    "text_encoder.r": 4,
    "text_encoder.lora_alpha": 8,
    "text_encoder.target_modules": ["q_proj"],
}


def peft_alphas():
    """Alphas in the metadata: of all, by pattern, over the root of the rank. What pattern is whose, peft itself says."""
    case = Case("peft-metadata", "tiny-sd15", 5)
    case.metadata = {"lora_adapter_metadata": json.dumps(PEFT_CONFIG)}
    unet_modules = [f"{BLOCK}.attn1.to_q", f"{BLOCK}.attn1.to_k", f"{BLOCK}.attn2.to_q", "down_blocks.1.resnets.0.conv1"]
    modules = [("unet", path) for path in unet_modules] + [("text_encoder", TEXT_MODULES[0])]
    for component, path in modules:
        options = {key.removeprefix(f"{component}."): v for key, v in PEFT_CONFIG.items() if key.startswith(f"{component}.")}
        rank = options.get("rank_pattern", {}).get(f"^{path}", options["r"])
        alphas = options.get("alpha_pattern", {})
        alpha = alphas.get(peft.utils.other.get_pattern_key(list(alphas), path), options["lora_alpha"])
        scale = SCALE * alpha / (math.sqrt(rank) if options.get("use_rslora") else rank)
        weight = case.weight(path, component)
        down, up = factors(weight, rank)
        case.tensors |= {f"{component}.{path}.lora_A.weight": down, f"{component}.{path}.lora_B.weight": up}
        case.change(path, product(down, up, weight, scale), component)
    return case.save("float64, peft's get_pattern_key")


def peft_wrapped():
    """peft's own names of a wrapped UNet, and diffusers' with the wrapper inside; a bias of the second factor."""
    case = Case("peft-wrapped", "tiny-sd15", 6)
    stems = {
        f"base_model.model.{BLOCK}.attn1.to_q": f"{BLOCK}.attn1.to_q",
        f"unet.base_model.model.{BLOCK}.ff.net.2": f"{BLOCK}.ff.net.2",
        "base_model.model.conv_in": "conv_in",
    }
    for stem, path in stems.items():
        weight = case.weight(path)
        down, up = factors(weight, 4)
        case.tensors |= {f"{stem}.lora_A.weight": down, f"{stem}.lora_B.weight": up, f"{stem}.alpha": torch.tensor(8.0)}
        case.change(path, product(down, up, weight, SCALE * 2))
    bias = numbers(case.weight("conv_in").shape[0])
    case.tensors["base_model.model.conv_in.lora_B.bias"] = bias
    case.change("conv_in", SCALE * 2 * bias, kind="bias")
    return case.save("float64")


def locon():
    """Convolutions with a Tucker core; matrices for 1x1 convolutions and the other way round."""
    case = Case("locon", "tiny-sd15", 7)
    for path in ("down_blocks.0.resnets.0.conv1", "down_blocks.1.resnets.0.conv1"):
        weight = case.weight(path)
        out, inputs, *kernel = weight.shape
        down, mid, up = numbers(3, inputs, 1, 1), numbers(3, 3, *kernel), numbers(out, 3, 1, 1)
        name = f"lora_unet_{kohya_name(path)}"
        case.tensors |= {f"{name}.lora_down.weight": down, f"{name}.lora_mid.weight": mid, f"{name}.lora_up.weight": up}
        case.tensors[f"{name}.alpha"] = torch.tensor(2.0)
        case.change(path, lycoris.locon.diff_weight(down.double(), up.double(), mid.double(), gamma=SCALE * 2 / 3, backend="torch"))
    swapped = {"down_blocks.0.attentions.0.proj_in": [], f"{BLOCK}.attn1.to_q": [1, 1]}
    for path, kernel in swapped.items():
        weight = case.weight(path)
        down, up = numbers(3, weight.shape[1], *kernel), numbers(weight.shape[0], 3, *kernel)
        name = f"lora_unet_{kohya_name(path)}"
        case.tensors |= {f"{name}.lora_down.weight": down, f"{name}.lora_up.weight": up}
        case.change(path, product(down, up, weight, SCALE))
    return case.save("LyCORIS")


# Other kinds

LINEAR, CONVOLUTION, POINTWISE = f"{BLOCK}.ff.net.0.proj", "down_blocks.1.resnets.0.conv1", "down_blocks.0.attentions.0.proj_in"


def loha():
    case = Case("loha", "tiny-sd15", 8)
    for path, is_tucker in ((LINEAR, False), (CONVOLUTION, False), (POINTWISE, False), ("down_blocks.2.resnets.0.conv2", True)):
        out, inputs, *kernel = case.weight(path).shape
        width = inputs * math.prod(kernel)
        parts = {}
        for i in (1, 2):
            if is_tucker:
                parts |= {f"w{i}_a": numbers(2, out), f"w{i}_b": numbers(2, inputs), f"t{i}": numbers(2, 2, *kernel)}
            else:
                parts |= {f"w{i}_a": numbers(out, 2), f"w{i}_b": numbers(2, width)}
        name = f"lora_unet_{kohya_name(path)}"
        case.tensors |= {f"{name}.hada_{part}": value for part, value in parts.items()}
        case.tensors[f"{name}.alpha"] = torch.tensor(1.5)
        double = {part: value.double() for part, value in parts.items()}
        weights = [double["w1_b"], double["w1_a"], double["w2_b"], double["w2_a"], double.get("t1"), double.get("t2")]
        delta = lycoris.loha.diff_weight(*weights, gamma=SCALE * 1.5 / 2, backend="torch")
        case.change(path, delta.reshape(case.weight(path).shape))
        if not kernel:
            check_with_peft(peft.LoHaConfig, case, path, {f"hada_{part}": value for part, value in parts.items()}, 2, 1.5)
    return case.save("LyCORIS, peft")


def check_with_peft(config, case, path, parts, rank, alpha):
    """That peft makes the same of a linear layer."""
    weight = case.weight(path)
    holder = torch.nn.Sequential(torch.nn.Linear(*weight.shape[::-1], bias=False))
    holder[0].weight.data.copy_(weight)
    peft.inject_adapter_in_model(config(r=rank, alpha=alpha, target_modules=["0"]), holder)
    for part, value in parts.items():
        getattr(holder[0], part)["default"].data.copy_(value)
    holder[0].set_scale("default", SCALE)
    with torch.no_grad():
        found = holder[0].get_delta_weight("default")
    torch.testing.assert_close(found, case.deltas[f"unet/{path}.weight"], rtol=1e-4, atol=1e-6)


def lokr():
    """Both factors whole, one or both of low rank; convolutions with the kernel in the second, decomposed or with a Tucker core."""
    case = Case("lokr", "tiny-sd15", 9)
    r = 2

    def add(path, parts, alpha):
        name = f"lora_unet_{kohya_name(path)}"
        case.tensors |= {f"{name}.lokr_{part}": value for part, value in parts.items()}
        case.tensors[f"{name}.alpha"] = torch.tensor(float(alpha))
        is_scaled = "w1_a" in parts or "w2_a" in parts
        names = ("w1", "w1_a", "w1_b", "w2", "w2_a", "w2_b", "t2")
        weights = [parts[part].double() if part in parts else None for part in names]
        w1 = weights[0] if weights[0] is not None else weights[1] @ weights[2]
        if weights[3] is not None:
            w2 = weights[3]
        elif weights[6] is not None:
            w2 = lycoris.general.rebuild_tucker(weights[6], weights[4], weights[5])
        else:
            w2 = (weights[4] @ weights[5].flatten(1)).reshape(weights[4].shape[0], *weights[5].shape[1:])
        delta = lycoris.lokr.make_kron(w1, w2, SCALE * (alpha / r if is_scaled else 1))
        case.change(path, delta.reshape(case.weight(path).shape))

    add(f"{BLOCK}.attn1.to_q", {"w1": numbers(2, 4), "w2": numbers(4, 2)}, 8)
    add(f"{BLOCK}.attn1.to_k", {"w1": numbers(4, 2), "w2_a": numbers(2, r), "w2_b": numbers(r, 4)}, 3)
    add(f"{BLOCK}.attn2.to_k", {"w1_a": numbers(2, r), "w1_b": numbers(r, 4), "w2_a": numbers(4, r), "w2_b": numbers(r, 4)}, 1)
    conv = "down_blocks.1.resnets.0.conv1"  # [16, 8, 3, 3]
    add(conv, {"w1": numbers(4, 2), "w2": numbers(4, 4, 3, 3)}, 5)
    add("down_blocks.1.resnets.0.conv2", {"w1": numbers(4, 4), "w2_a": numbers(4, r), "w2_b": numbers(r, 4 * 9)}, 1)
    add("mid_block.resnets.0.conv1", {"w1": numbers(2, 4), "w2_a": numbers(8, r), "w2_b": numbers(r, 4, 3, 3)}, 1)
    add("mid_block.resnets.0.conv2", {"w1": numbers(2, 4), "t2": numbers(r, r, 3, 3), "w2_a": numbers(r, 8), "w2_b": numbers(r, 4)}, 1)
    return case.save("LyCORIS")


def peft_dora(weight, down, up, alpha, norms, scale):
    """ΔW of a layer that peft merges."""
    convolution = weight.ndim == 4
    layer = (
        torch.nn.Conv2d(weight.shape[1], weight.shape[0], tuple(weight.shape[2:]), bias=False)
        if convolution
        else torch.nn.Linear(weight.shape[1], weight.shape[0], bias=False)
    )
    layer.weight.data.copy_(weight)
    holder = torch.nn.Sequential(layer)
    config = peft.LoraConfig(r=down.shape[0], lora_alpha=alpha, target_modules=["0"], use_dora=True)
    peft.inject_adapter_in_model(config, holder)
    module = holder[0].double()
    module.lora_A["default"].weight.data.copy_(down)
    module.lora_B["default"].weight.data.copy_(up)
    magnitude = module.lora_magnitude_vector["default"].weight
    magnitude.data.copy_(norms.reshape(magnitude.shape))
    module.set_scale("default", scale)
    module.merge()
    return module.base_layer.weight.detach() - weight.double()


def dora():
    """Norms of rows as peft and LyCORIS store them, norms of columns, and norms over other kinds of changes."""
    case = Case("dora", "tiny-sd15", 10)
    for path, is_kohya in ((f"{BLOCK}.attn1.to_q", True), (f"{BLOCK}.ff.net.0.proj", False), ("down_blocks.1.resnets.0.conv1", False)):
        weight = case.weight(path)
        down, up = factors(weight, 3)
        norms = weight.flatten(1).norm(dim=1) * (1 + numbers(weight.shape[0], size=0.2))
        if is_kohya:
            name, parts = f"lora_unet_{kohya_name(path)}", ("lora_down.weight", "lora_up.weight", "dora_scale")
            shape = [-1, *[1] * (weight.ndim - 1)]
        else:
            name, parts = f"unet.{path}", ("lora_A.weight", "lora_B.weight", "lora_magnitude_vector")
            shape = [1, -1, 1, 1] if weight.ndim == 4 else [-1]
        values = (down, up, norms.reshape(shape).contiguous())
        case.tensors |= {f"{name}.{part}": value for part, value in zip(parts, values)}
        case.tensors[f"{name}.alpha"] = torch.tensor(2.0)
        case.change(path, peft_dora(weight, down, up, 2, norms, SCALE))
    columns("down_blocks.1.resnets.0.conv2", case)
    columns(f"{BLOCK}.attn2.to_k", case)
    path = "mid_block.resnets.0.conv1"
    weight = case.weight(path)
    out, inputs, *kernel = weight.shape
    a1, b1, a2, b2 = numbers(out, 2), numbers(2, inputs * 9), numbers(out, 2), numbers(2, inputs * 9)
    norms = weight.flatten(1).norm(dim=1).reshape(-1, 1, 1, 1) * 1.1
    name = f"lora_unet_{kohya_name(path)}"
    case.tensors |= {f"{name}.hada_w1_a": a1, f"{name}.hada_w1_b": b1, f"{name}.hada_w2_a": a2, f"{name}.hada_w2_b": b2}
    case.tensors[f"{name}.dora_scale"] = norms
    double = [value.double() for value in (b1, a1, b2, a2)]
    changed = weight.double() + lycoris.loha.diff_weight(*double, None, None, gamma=SCALE, backend="torch").reshape(weight.shape)
    case.change(path, weight_decompose(changed, norms.double(), 1, True, backend="torch") - weight.double())
    return case.save("peft, LyCORIS")


def columns(path, case):
    weight = case.weight(path)
    down, up = factors(weight, 3)
    norms = weight.transpose(0, 1).flatten(1).norm(dim=1) * 0.9
    norms = norms.reshape(1, -1, *[1] * (weight.ndim - 2)).contiguous()
    name = f"lora_unet_{kohya_name(path)}"
    case.tensors |= {f"{name}.lora_down.weight": down, f"{name}.lora_up.weight": up, f"{name}.dora_scale": norms}
    changed = weight.double() + product(down, up, weight, SCALE).double()
    case.change(path, weight_decompose(changed, norms.double(), 1, False, backend="torch") - weight.double())


def full():
    """Differences of weights, biases and norms, as LyCORIS' full training and extracted files have them."""
    case = Case("full", "tiny-sd15", 11)
    for path in ("conv_in", f"{BLOCK}.attn1.to_q"):
        difference = numbers(*case.weight(path).shape)
        case.tensors |= {f"lora_unet_{kohya_name(path)}.diff": difference}
        case.change(path, SCALE * difference)
    bias = numbers(case.weight("conv_in").shape[0])
    case.tensors["lora_unet_conv_in.diff_b"] = bias
    case.change("conv_in", SCALE * bias, kind="bias")
    for component, prefix, path in (
        ("unet", "lora_unet", "down_blocks.0.resnets.0.norm1"),
        ("unet", "lora_unet", f"{BLOCK}.norm2"),
        ("text_encoder", "lora_te", "text_model.final_layer_norm"),
    ):
        size = case.weight(path, component).shape[0]
        weight, bias = numbers(size), numbers(size)
        name = f"{prefix}_{kohya_name(path)}"
        case.tensors |= {f"{name}.w_norm": weight, f"{name}.b_norm": bias}
        case.change(path, SCALE * weight, component)
        case.change(path, SCALE * bias, component, "bias")
    # A low-rank change of the weight and a difference of the bias of one module.
    path = "down_blocks.0.resnets.0.conv1"
    add_kohya(case, f"lora_unet_{kohya_name(path)}", path, "unet", 2, 1)
    bias = numbers(case.weight(path).shape[0])
    case.tensors[f"lora_unet_{kohya_name(path)}.diff_b"] = bias
    case.change(path, SCALE * bias, kind="bias")
    for path in (f"{BLOCK}.attn2.to_v",):
        add_kohya(case, f"lycoris_{kohya_name(path)}", path, "unet", 2, 1)
    add_kohya(case, f"lycoris_{kohya_name(TEXT_MODULES[0])}", TEXT_MODULES[0], "text_encoder", 2, 1)
    return case.save("float64")


# Whole pipelines

LATENTS = [
    {"name": "sd15-kohya", "checkpoint": "tiny-sd15", "loras": [["plain-kohya", 0.8]]},
    {"name": "sd15-two", "checkpoint": "tiny-sd15", "loras": [["plain-kohya", 0.8], ["attention-processors", -0.5]]},
    {"name": "sd15-peft", "checkpoint": "tiny-sd15", "loras": [["peft-metadata", 0.6]]},
    {"name": "sdxl-sgm", "checkpoint": "tiny-sdxl", "loras": [["kohya-sgm", 0.7]]},
    # Kinds that diffusers does not load: their changes are added to its weights.
    {"name": "sd15-products", "checkpoint": "tiny-sd15", "loras": [["loha", SCALE], ["lokr", SCALE], ["locon", SCALE]]},
    {"name": "sd15-dora", "checkpoint": "tiny-sd15", "loras": [["dora", SCALE], ["full", SCALE]]},
]
ADDED = ("sd15-products", "sd15-dora")


def plain_kohya():
    """One rank and one alpha, which diffusers reads as they are; kept for the latents."""
    case = Case("plain-kohya", "tiny-sd15", 12)
    modules = [("lora_unet", "unet", path) for path in UNET_MODULES] + [("lora_te", "text_encoder", path) for path in TEXT_MODULES]
    for prefix, component, path in modules:
        add_kohya(case, f"{prefix}_{kohya_name(path)}", path, component, 4, 4)
    return case.save("float64")


def latents():
    tensors = {}
    for case in LATENTS:
        pipe = load(case["checkpoint"], False, None)
        for i, (name, scale) in enumerate(case["loras"]):
            if case["name"] in ADDED:
                add_changes(pipe, name, scale)
            else:
                apply_lora(pipe, name, f"a{i}", scale)
        if case["name"] not in ADDED:
            pipe.set_adapters([f"a{i}" for i in range(len(case["loras"]))], [scale for _, scale in case["loras"]])
        request = {**DEFAULTS, "checkpoint": case["checkpoint"], "scheduler": "Euler"}
        tensors[case["name"]] = torch.from_numpy(run(pipe, pipe.scheduler.config, None, request)[0])
        plain = load(case["checkpoint"], False, None)
        without = torch.from_numpy(run(plain, plain.scheduler.config, None, request)[0])
        case["moved"] = float((tensors[case["name"]] - without).abs().max() / without.abs().max())
        print(case)
    save_file(tensors, OUT / "latents.safetensors")


def main():
    torch.set_num_threads(1)
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir(parents=True)
    cases = [
        kohya(), kohya_sgm(), attention_processors("attention-processors", "unet."), attention_processors("attention-processors-bare", "", "bin"),
        old_text_encoder(), peft_alphas(), peft_wrapped(), locon(), loha(), lokr(), dora(), full(), plain_kohya(),
    ]  # fmt: skip
    latents()
    versions = {m.__name__: m.__version__ for m in (torch, diffusers, transformers, peft)}
    header = {
        "versions": versions | {"lycoris-lora": "4.1.3"},
        "scale": SCALE,
        "tolerance": 1e-5,
        "toleranceReason": "of the largest change of a weight: float32 sums of some products, and under DoRA their norms",
        "cases": cases,
        "latents": LATENTS,
        "latentsTolerance": 1e-4,
    }
    (OUT / "lora.json").write_text(json.dumps(header, indent=2) + "\n")
    for path in OUT.iterdir():
        path.chmod(0o644)


if __name__ == "__main__":
    main()
