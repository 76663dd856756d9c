"""What each key of a published single-file (LDM, SGM) checkpoint is called in diffusers, for ldm-keys.test.ts.

    python scripts/golden/ldm_keys.py   (torch, diffusers, transformers)

The LDM names are counted off as the original UNetModel, ControlNet, Encoder/Decoder and OpenCLIP classes number their modules; what they
become is asked of diffusers' own converters, and held against the state dict of the diffusers model: no key more, none less.

Written to packages/engine/test/golden/data/ldm-keys/<model>.txt, one line per diffusers key:
    <LDM key> <diffusers key> <shape in diffusers, 320x4x3x3> [part of the LDM tensor's rows: 0/3, or `transposed`]
"""

from pathlib import Path

import torch
from accelerate import init_empty_weights
from diffusers import AutoencoderKL, ControlNetModel, UNet2DConditionModel
from diffusers.loaders import single_file_utils as convert
from transformers import CLIPTextConfig, CLIPTextModelWithProjection

OUT = Path(__file__).parents[2] / "packages/engine/test/golden/data/ldm-keys"

SD15 = {"cross_attention_dim": 768, "attention_head_dim": 8}
SDXL = {
    "addition_embed_type": "text_time",
    "addition_time_embed_dim": 256,
    "attention_head_dim": [5, 10, 20],
    "block_out_channels": [320, 640, 1280],
    "cross_attention_dim": 2048,
    "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"],
    "projection_class_embeddings_input_dim": 2816,
    "transformer_layers_per_block": [1, 2, 10],
    "use_linear_projection": True,
}
SDXL_UP = {"up_block_types": ["CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"]}
VAE = {
    "block_out_channels": [128, 256, 512, 512],
    "down_block_types": ["DownEncoderBlock2D"] * 4,
    "up_block_types": ["UpDecoderBlock2D"] * 4,
    "layers_per_block": 2,
    "latent_channels": 4,
}


class Name(str):
    """Stands for a tensor in the converters, which pass tensors on."""

    shape = (1, 1)
    ndim = 2


def params(*modules):
    return [f"{module}.{kind}" for module in modules for kind in ("weight", "bias")]


def resnet(path, has_shortcut):
    inner = ["in_layers.0", "in_layers.2", "emb_layers.1", "out_layers.0", "out_layers.3"]
    return params(*(f"{path}.{name}" for name in inner + ["skip_connection"] * has_shortcut))


def transformer(path, depth):
    keys = params(f"{path}.norm", f"{path}.proj_in", f"{path}.proj_out")
    for k in range(depth):
        block = f"{path}.transformer_blocks.{k}"
        for attention in ("attn1", "attn2"):
            keys += [f"{block}.{attention}.to_{x}.weight" for x in "qkv"] + params(f"{block}.{attention}.to_out.0")
        keys += params(*(f"{block}.{name}" for name in ("ff.net.0.proj", "ff.net.2", "norm1", "norm2", "norm3")))
    return keys


def unet_encoder(mult, attention, depth, label, resnets=2):
    """openaimodel.UNetModel: `mult` channel_mult, `attention` levels with attention, `depth` transformer_depth by level."""
    keys = params("time_embed.0", "time_embed.2", "input_blocks.0.0")
    keys += params("label_emb.0.0", "label_emb.0.2") if label else []
    index, channels, skips = 1, 1, [1]
    for level, m in enumerate(mult):
        for _ in range(resnets):
            keys += resnet(f"input_blocks.{index}.0", channels != m)
            keys += transformer(f"input_blocks.{index}.1", depth[level]) if attention[level] else []
            index, channels = index + 1, m
            skips.append(m)
        if level != len(mult) - 1:
            keys += params(f"input_blocks.{index}.0.op")
            index += 1
            skips.append(m)
    keys += resnet("middle_block.0", False) + transformer("middle_block.1", depth[-1]) + resnet("middle_block.2", False)
    return keys, skips


def unet_decoder(mult, attention, depth, resnets=2):
    keys, index = [], 0
    for level in reversed(range(len(mult))):
        for i in range(resnets + 1):
            keys += resnet(f"output_blocks.{index}.0", True)
            keys += transformer(f"output_blocks.{index}.1", depth[level]) if attention[level] else []
            if level and i == resnets:
                keys += params(f"output_blocks.{index}.{2 if attention[level] else 1}.conv")
            index += 1
    return keys + params("out.0", "out.2")


def unet_keys(mult, attention, depth, label, resnets=2):
    encoder, _ = unet_encoder(mult, attention, depth, label, resnets)
    return encoder + unet_decoder(mult, attention, depth, resnets)


def controlnet_keys(*arguments):
    encoder, skips = unet_encoder(*arguments)
    hints = params(*(f"input_hint_block.{i}" for i in range(0, 15, 2)))
    return encoder + hints + params(*(f"zero_convs.{i}.0" for i in range(len(skips))), "middle_block_out.0")


def vae_keys(mult, resnets=2):
    def block(path, has_shortcut):
        return params(*(f"{path}.{name}" for name in ["norm1", "conv1", "norm2", "conv2"] + ["nin_shortcut"] * has_shortcut))

    def middle(side):
        attention = [f"{side}.mid.attn_1.{name}" for name in ("norm", "q", "k", "v", "proj_out")]
        return block(f"{side}.mid.block_1", False) + params(*attention) + block(f"{side}.mid.block_2", False)

    keys, last = params("quant_conv", "post_quant_conv"), len(mult) - 1
    for side in ("encoder", "decoder"):
        keys += params(*(f"{side}.{name}" for name in ("conv_in", "norm_out", "conv_out"))) + middle(side)
    for level, m in enumerate(mult):
        for j in range(resnets):
            keys += block(f"encoder.down.{level}.block.{j}", j == 0 and m != mult[max(level - 1, 0)])
        for j in range(resnets + 1):
            keys += block(f"decoder.up.{level}.block.{j}", j == 0 and m != mult[min(level + 1, last)])
        keys += params(f"encoder.down.{level}.downsample.conv") if level != last else []
        keys += params(f"decoder.up.{level}.upsample.conv") if level else []
    return keys


def converted(ldm_keys, prefix, converter, config, model):
    tensors = {prefix + key: Name(prefix + key) for key in ldm_keys}
    found = converter(tensors, config)
    expected = {key: value.shape for key, value in model.state_dict().items()}
    assert set(found) == set(expected), set(found) ^ set(expected)
    assert sorted(found.values()) == sorted(tensors), "an LDM key is not used"
    return [(found[key], key, shape, "") for key, shape in expected.items()]


def open_clip():
    """The tensors of a narrow bigG, each with values of its own, through the converter; by value, where each ended up."""
    width, layers = 4, 32
    names = ["ln_1.weight", "ln_1.bias", "ln_2.weight", "ln_2.bias", "attn.in_proj_weight", "attn.in_proj_bias"]
    names += params("attn.out_proj", "mlp.c_fc", "mlp.c_proj")
    keys = ["token_embedding.weight", "positional_embedding", "text_projection", "ln_final.weight", "ln_final.bias"]
    keys += [f"transformer.resblocks.{i}.{name}" for i in range(layers) for name in names]
    prefix = "conditioner.embedders.1.model."
    shapes = {"in_proj_weight": (3 * width, width), "in_proj_bias": (3 * width,)}
    tensors = {}
    for n, key in enumerate(keys):
        shape = next((shape for end, shape in shapes.items() if key.endswith(end)), (width, width))
        tensors[prefix + key] = torch.rand(shape, generator=torch.Generator().manual_seed(n))
    with init_empty_weights():
        config = {"hidden_size": 1280, "intermediate_size": 5120, "num_hidden_layers": layers, "num_attention_heads": 20}
        model = CLIPTextModelWithProjection(CLIPTextConfig(**config, projection_dim=1280, hidden_act="gelu"))
    found = convert.convert_open_clip_checkpoint(model, tensors, prefix)
    state = {key.replace("text_model.text_model.", "text_model."): value.shape for key, value in model.state_dict().items()}
    assert set(found) == set(state), set(found) ^ set(state)
    return [(*origin(tensors, tensor), key, state[key]) for key, tensor in found.items()]


def origin(tensors, tensor):
    for key, stored in tensors.items():
        if stored.shape == tensor.shape and torch.equal(stored, tensor):
            return key, ""
        if stored.ndim == 2 and stored.T.shape == tensor.shape and torch.equal(stored.T, tensor):
            return key, "transposed"
        for part, rows in enumerate(stored.chunk(3)) if "in_proj" in key else ():
            if rows.shape == tensor.shape and torch.equal(rows, tensor):
                return key, f"{part}/3"
    raise AssertionError("a converted tensor comes from nowhere")


def write(name, lines):
    rows = [" ".join([ldm, key, "x".join(map(str, shape)), note]).rstrip() for ldm, key, shape, note in lines]
    (OUT / f"{name}.txt").write_text("\n".join(rows) + "\n")
    print(name, len(rows))


if __name__ == "__main__":
    OUT.mkdir(parents=True, exist_ok=True)
    sd15 = ((1, 2, 4, 4), (True, True, True, False), (1, 1, 1, 1), False)
    sdxl = ((1, 2, 4), (False, True, True), (1, 2, 10), True)
    for name, original, config, up in (("sd15", sd15, SD15, {}), ("sdxl", sdxl, SDXL, SDXL_UP)):
        with init_empty_weights():
            unet, controlnet = UNet2DConditionModel(**config, **up), ControlNetModel(**config)
        to_unet, to_controlnet = convert.convert_ldm_unet_checkpoint, convert.convert_controlnet_checkpoint
        write(f"{name}-unet", converted(unet_keys(*original), "model.diffusion_model.", to_unet, unet.config, unet))
        # diffusers' ControlNet converter leaves out the pooled-text embedding, which only SDXL has.
        if name == "sd15":
            keys = controlnet_keys(*original)
            write(f"{name}-controlnet", converted(keys, "control_model.", to_controlnet, controlnet.config, controlnet))
    with init_empty_weights():
        vae = AutoencoderKL(**VAE)
    lines = converted(vae_keys((1, 2, 4, 4)), "first_stage_model.", convert.convert_ldm_vae_checkpoint, vae.config, vae)
    write("vae", lines)
    write("bigg-text", [(ldm, key, shape, note) for ldm, note, key, shape in open_clip()])
