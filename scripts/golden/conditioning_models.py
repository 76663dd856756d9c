"""Golden outputs of ControlNets and IP-Adapters, written to packages/engine/test/golden/data/conditioning/.

    python scripts/golden/conditioning_models.py        (after checkpoints.py)

IP-Adapters are tiny random files in the layout of the published ones; diffusers converts them and projects the features. Cases
lie beside the files as `<name>-case.safetensors`, inputs by the graph's name and outputs as `expected.<name>`.
"""

import json
import pathlib
import shutil

import diffusers
import torch
from checkpoints import DATA as CHECKPOINTS
from checkpoints import sensitize
from diffusers import ControlNetModel, UNet2DConditionModel
from diffusers.models.embeddings import MultiIPAdapterImageProjection
from safetensors.torch import save_file
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

DATA = CHECKPOINTS.parent / "conditioning"
VERSIONS = {"torch": torch.__version__, "diffusers": diffusers.__version__}
# Largest difference over largest value; float32 kernels add in other orders.
TOLERANCE = {"tolerance": 2e-5}
HEAD = 64


def random(seed, *shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


class Weights:
    """A state dict under construction; every matrix differs, and norms are not neutral."""

    def __init__(self, seed):
        self.generator = torch.Generator().manual_seed(seed)
        self.tensors = {}

    def linear(self, name, out, inn, bias=True):
        self.tensors[f"{name}.weight"] = torch.randn(out, inn, generator=self.generator) * inn**-0.5
        if bias:
            self.tensors[f"{name}.bias"] = 0.1 * torch.randn(out, generator=self.generator)

    def norm(self, name, size):
        self.tensors[f"{name}.weight"] = 1 + 0.3 * torch.randn(size, generator=self.generator)
        self.tensors[f"{name}.bias"] = 0.3 * torch.randn(size, generator=self.generator)

    def resampler(self, prefix, images, width, out, heads):
        self.linear(f"{prefix}proj_in", width, images)
        for i in range(4):
            layer = f"{prefix}layers.{i}"
            self.norm(f"{layer}.0.norm1", width)
            self.norm(f"{layer}.0.norm2", width)
            self.linear(f"{layer}.0.to_q", HEAD * heads, width, bias=False)
            self.linear(f"{layer}.0.to_kv", 2 * HEAD * heads, width, bias=False)
            self.linear(f"{layer}.0.to_out", width, HEAD * heads, bias=False)
            self.norm(f"{layer}.1.0", width)
            self.linear(f"{layer}.1.1", 4 * width, width, bias=False)
            self.linear(f"{layer}.1.3", width, 4 * width, bias=False)
        self.linear(f"{prefix}proj_out", out, width)
        self.norm(f"{prefix}norm_out", out)


def projection(kind, context, seed, image_channels=20, width=24, heads=1):
    w = Weights(seed)
    if kind == "base":
        w.linear("proj", 4 * context, image_channels)
        w.norm("norm", context)
    elif kind == "full":
        w.linear("proj.0", image_channels, image_channels)
        w.linear("proj.2", context, image_channels)
        w.norm("proj.3", context)
    elif kind in ("plus", "instantid"):
        tokens = {"plus": 6, "instantid": 5}[kind]
        w.tensors["latents"] = torch.randn(1, tokens, width, generator=w.generator) * width**-0.5
        w.resampler("", image_channels, width, context, heads)
    elif kind in ("face-id", "face-id-portrait"):
        tokens = {"face-id": 4, "face-id-portrait": 16}[kind]
        w.linear("proj.0", 2 * image_channels, image_channels)
        w.linear("proj.2", tokens * context, 2 * image_channels)
        w.norm("norm", context)
    elif kind == "face-id-plus":
        w.linear("proj.0", 2 * 14, 14)
        w.linear("proj.2", 4 * context, 2 * 14)
        w.norm("norm", context)
        w.resampler("perceiver_resampler.", image_channels, context, context, heads)
    return w.tensors


def ip_adapter(unet, kind, seed, **options):
    """The two-level dict of an IP-Adapter file for this UNet, ids in the order of its attention processors."""
    context = unet.config.cross_attention_dim
    w = Weights(seed + 1)
    for index, (name, _) in enumerate(unet.attn_processors.items()):
        if name.endswith("attn1.processor"):
            continue
        hidden = unet.get_submodule(name.removesuffix(".processor")).to_q.out_features
        w.linear(f"{index}.to_k_ip", hidden, context, bias=False)
        w.linear(f"{index}.to_v_ip", hidden, context, bias=False)
    return {"image_proj": projection(kind, context, seed, **options), "ip_adapter": w.tensors}


def flat(adapter):
    return {f"{part}.{key}": value for part, tensors in adapter.items() for key, value in tensors.items()}


def save_adapter(name, adapter):
    save_file({k: v.contiguous() for k, v in flat(adapter).items()}, DATA / f"{name}.safetensors", metadata={"format": "pt"})


def unet():
    return UNet2DConditionModel.from_pretrained(CHECKPOINTS / "tiny-sd15/unet").eval()


def with_lora(adapter, seed, rank=2):
    """FaceID files bring a LoRA of all attentions along, numbered as these are."""
    model = unet()
    w = Weights(seed)
    for index, name in enumerate(model.attn_processors):
        attention = model.get_submodule(name.removesuffix(".processor"))
        layers = {"q": attention.to_q, "k": attention.to_k, "v": attention.to_v, "out": attention.to_out[0]}
        for layer_name, layer in layers.items():
            w.linear(f"{index}.to_{layer_name}_lora.down", rank, layer.in_features, bias=False)
            w.linear(f"{index}.to_{layer_name}_lora.up", layer.out_features, rank, bias=False)
    factors = {key: 0.3 * value for key, value in w.tensors.items()}
    return {**adapter, "ip_adapter": {**adapter["ip_adapter"], **factors}}


def ip_adapter_case(name, kind, seed, features, face_states=None, shortcut=None, **options):
    model = unet()
    adapter = ip_adapter(model, kind, seed, **options)
    model._load_ip_adapter_weights([adapter], low_cpu_mem_usage=False)
    assert isinstance(model.encoder_hid_proj, MultiIPAdapterImageProjection)
    layer = model.encoder_hid_proj.image_projection_layers[0]
    inputs = {"features": features}
    if face_states is not None:
        inputs["face_states"] = face_states
        layer.clip_embeds = face_states[:, None]
        layer.shortcut = shortcut
    # One picture a row; diffusers takes [rows, pictures, …].
    tokens = model.encoder_hid_proj([features[:, None]])[0][:, 0]
    expected = {"tokens": tokens}
    for processor_name, processor in model.attn_processors.items():
        if processor_name.endswith("attn2.processor"):
            path = processor_name.removesuffix(".processor")
            expected[f"{path}.key"] = processor.to_k_ip[0](tokens)
            expected[f"{path}.value"] = processor.to_v_ip[0](tokens)
    save_adapter(kind, adapter)
    save_case(name, {"weights": f"conditioning/{kind}.safetensors"}, inputs, expected)


def save_case(name, case, inputs, expected):
    tensors = {**inputs, **{f"expected.{key}": value for key, value in expected.items()}}
    tensors = {key: value.contiguous().clone() for key, value in tensors.items()}
    save_file(tensors, DATA / f"{name}-case.safetensors", metadata={"case": json.dumps({**case, **VERSIONS, **TOLERANCE})})


def image_encoder():
    torch.manual_seed(50)
    config = CLIPVisionConfig(
        hidden_size=20, intermediate_size=40, num_hidden_layers=3, num_attention_heads=2, image_size=32, patch_size=8,
        projection_dim=20, hidden_act="gelu",
    )  # fmt: skip
    model = sensitize(CLIPVisionModelWithProjection(config), 50, quiet=0.05, sharp=5.0)
    model.save_pretrained(DATA / "image-encoder")


def ic_light(name, channels, seed):
    """Offsets of tiny-sd15's UNet, in half precision as the published files."""
    unet = UNet2DConditionModel.from_pretrained(CHECKPOINTS / "tiny-sd15/unet")
    generator = torch.Generator().manual_seed(seed)
    offsets = {}
    for key, weight in unet.state_dict().items():
        shape = (weight.shape[0], channels, *weight.shape[2:]) if key == "conv_in.weight" else weight.shape
        offsets[key] = (0.05 * weight.std(correction=0) * torch.randn(shape, generator=generator)).half()
    save_file(offsets, DATA / f"{name}.safetensors", metadata={"format": "pt"})


def ip_adapters():
    ip_adapter_case("base", "base", 1, random(1, 3, 20))
    ip_adapter_case("full", "full", 3, random(3, 2, 10, 20))
    ip_adapter_case("plus", "plus", 5, random(5, 2, 10, 20), heads=2)
    ip_adapter_case("instantid", "instantid", 7, random(7, 2, 1, 12), image_channels=12)
    ip_adapter_case("face-id", "face-id", 9, random(9, 2, 14), image_channels=14)
    ip_adapter_case("face-id-portrait", "face-id-portrait", 11, random(11, 2, 14), image_channels=14)
    sdxl = UNet2DConditionModel.from_pretrained(CHECKPOINTS / "tiny-sdxl/unet")
    save_adapter("base-sdxl", ip_adapter(sdxl, "base", 21))
    save_adapter("instantid-sdxl", ip_adapter(sdxl, "instantid", 23, image_channels=12))
    save_adapter("face-id-lora", with_lora(ip_adapter(unet(), "face-id", 25, image_channels=14), 26))
    for version, shortcut in ((1, False), (2, True)):
        ip_adapter_case(f"face-id-plus-v{version}", "face-id-plus", 13, random(13, 2, 14), random(14, 2, 10, 20), shortcut)


CONTROLNETS = {
    # As tiny-sd15's and tiny-sdxl's UNets.
    "controlnet-sd15": {
        "block_out_channels": [8, 16, 16], "layers_per_block": 1, "norm_num_groups": 4, "cross_attention_dim": 16,
        "attention_head_dim": 2, "down_block_types": ["CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"],
        "conditioning_embedding_out_channels": [4, 6, 8],
    },
    "controlnet-sdxl": {
        "block_out_channels": [8, 16], "layers_per_block": 2, "norm_num_groups": 4, "cross_attention_dim": 40,
        "attention_head_dim": [2, 4], "transformer_layers_per_block": [1, 2], "use_linear_projection": True,
        "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D"], "addition_embed_type": "text_time",
        "addition_time_embed_dim": 8, "projection_class_embeddings_input_dim": 24 + 6 * 8,
        "conditioning_embedding_out_channels": [4, 6, 8],
    },
    # Without attention, as the small SDXL ControlNets.
    "controlnet-sdxl-small": {
        "block_out_channels": [8, 16], "layers_per_block": 2, "norm_num_groups": 4, "cross_attention_dim": 40,
        "attention_head_dim": [2, 4], "transformer_layers_per_block": 0, "use_linear_projection": True,
        "down_block_types": ["DownBlock2D", "DownBlock2D"], "mid_block_type": "UNetMidBlock2D",
        "addition_embed_type": "text_time", "addition_time_embed_dim": 8,
        "projection_class_embeddings_input_dim": 24 + 6 * 8, "conditioning_embedding_out_channels": [4, 6, 8],
    },
    # Blue first, residuals pooled over the picture, as the shuffle ControlNet of SD1.5.
    "controlnet-pooled": {
        "block_out_channels": [8, 16, 16], "layers_per_block": 1, "norm_num_groups": 4, "cross_attention_dim": 16,
        "attention_head_dim": 2, "down_block_types": ["CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"],
        "conditioning_embedding_out_channels": [4, 6, 8], "controlnet_conditioning_channel_order": "bgr",
        "global_pool_conditions": True,
    },
}  # fmt: skip


def controlnet(seed, **config):
    """The zero convolutions of a fresh ControlNet would hide everything."""
    torch.manual_seed(seed)
    model = sensitize(ControlNetModel(**config), seed, quiet=0.03)
    generator = torch.Generator().manual_seed(seed + 1)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.startswith(("controlnet_down_blocks", "controlnet_mid_block", "controlnet_cond_embedding.conv_out")):
                parameter.copy_(0.3 * torch.randn(parameter.shape, generator=generator))
    return model


def controlnets():
    for i, (name, config) in enumerate(CONTROLNETS.items()):
        model = controlnet(60 + i, **config)
        model.save_pretrained(DATA / name)
        controlnet_case(name, model, 70 + i)


def controlnet_case(name, model, seed, size=(14, 12), batch=2):
    config = model.config
    inputs = {
        "sample": random(seed, batch, config.in_channels, *size),
        "timestep": torch.tensor([621.0]),
        "encoder_hidden_states": random(seed + 100, batch, 9, config.cross_attention_dim),
        "image": torch.rand((1, 3, size[0] * 4, size[1] * 4), generator=torch.Generator().manual_seed(seed + 200)),
    }
    added = {}
    if config.addition_embed_type == "text_time":
        added["text_embeds"] = random(seed + 300, batch, 24)
        added["time_ids"] = torch.tensor([[1024.0, 768, 0, 8, 512, 1024]]).repeat(batch, 1) + torch.arange(batch)[:, None]
    down, mid = model(
        inputs["sample"], inputs["timestep"], inputs["encoder_hidden_states"], inputs["image"],
        added_cond_kwargs=added, return_dict=False,
    )  # fmt: skip
    expected = {f"residual.{i}": residual for i, residual in enumerate([*down, mid])}
    save_case(name, {"weights": f"conditioning/{name}"}, {**inputs, **added}, expected)


if __name__ == "__main__":
    torch.set_num_threads(1)
    shutil.rmtree(DATA, ignore_errors=True)
    DATA.mkdir(parents=True)
    with torch.no_grad():
        image_encoder()
        ic_light("ic-light-fc", 8, 40)
        ic_light("ic-light-fbc", 12, 41)
        ip_adapters()
        controlnets()
    print(f"{sum(f.stat().st_size for f in pathlib.Path(DATA).rglob('*') if f.is_file())} bytes in {DATA}")
