"""Files of torch.save in every form that models come in, and their tensors as torch reads them, for torch-file.test.ts.

    python scripts/golden/torch_files.py   (torch, safetensors)

Written to packages/engine/test/golden/data/torch-files/: <kind>.bin, and <kind>.safetensors with the tensors made contiguous.
"""

import collections
import io
import zipfile
from pathlib import Path

import torch
from safetensors.torch import save_file

OUT = Path(__file__).parents[2] / "packages/engine/test/golden/data/torch-files"
INTEGERS = [torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8]
FLOATS = [torch.float64, torch.float32, torch.float16, torch.bfloat16]


def values(*shape, seed=0, dtype=torch.float32):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(dtype)


def every_type():
    tensors = {str(dtype).removeprefix("torch."): values(2, 3, seed=i, dtype=dtype) for i, dtype in enumerate(FLOATS)}
    for dtype in INTEGERS:
        tensors[str(dtype).removeprefix("torch.")] = torch.arange(6).reshape(2, 3).to(dtype) * 17
    tensors["bool"] = torch.tensor([True, False, True])
    tensors["empty"] = torch.zeros(3, 0, 2)
    tensors["scalar"] = torch.tensor(2.5)
    return tensors


def views():
    base = values(6, 8, seed=50)
    return {
        "whole": base,
        "rows": base[2:4],
        "columns": base[:, 3:5],
        "transposed": base.T,
        "every_other": base[::2, ::3],
        "expanded": base[0, :1].expand(5, 3),
        "permuted": values(2, 3, 4, 5, seed=51).permute(3, 0, 2, 1),
        "half_column": values(4, 4, seed=52, dtype=torch.float16)[:, 1],
        "one_index": base[:, 2:3],
        "scalar": base[3, 4],
    }


def module_state():
    module = torch.nn.Sequential(torch.nn.Conv2d(2, 3, 3), torch.nn.BatchNorm2d(3))
    torch.manual_seed(60)
    torch.nn.init.normal_(module[0].weight)
    return module.state_dict()


def lightning():
    state = collections.OrderedDict((f"model.{k}", values(2, 2, seed=70 + k, dtype=torch.float16)) for k in range(3))
    return {
        "epoch": 3,
        "global_step": 2**40,
        "huge": 2**70,
        "negative": -129,
        "pytorch-lightning_version": "1.4.2",
        "state_dict": state,
        "callbacks": {"best": None, "rates": [1e-4, 2.5], "seen": {1, 2}, "done": True, "raw": b"\x00\xff"},
        "hyper": collections.defaultdict(dict, {"a": (1, 2, 3, 4)}),
    }


def adapter():
    return {
        "image_proj": {"latents": values(1, 4, 6, seed=80), "proj_in.weight": values(6, 5, seed=81)},
        "ip_adapter": {f"{k}.to_k_ip.weight": values(4, 6, seed=82 + k) for k in (1, 3)},
    }


def embedding():
    """Stable Diffusion web UI's textual inversion."""
    vectors = values(2, 8, seed=90).requires_grad_()
    return {
        "string_to_token": {"*": torch.tensor(265)},
        "string_to_param": torch.nn.ParameterDict({"star": torch.nn.Parameter(vectors)}),
        "name": "emb",
        "step": 1999,
        "sd_checkpoint": None,
    }


def parameters():
    tagged = torch.nn.Parameter(values(3, 2, seed=92))
    tagged.note = "an attribute"
    return {"plain": torch.nn.Parameter(values(2, 2, seed=91)), "tagged": tagged, "frozen": torch.nn.Parameter(values(2), False)}


def eight_bit():
    bits = torch.arange(256, dtype=torch.uint8)
    return {
        "e4m3": bits.view(torch.float8_e4m3fn),
        "e4m3_values": bits.view(torch.float8_e4m3fn).float(),
        "e5m2": bits.view(torch.float8_e5m2),
        "e5m2_values": bits.view(torch.float8_e5m2).float(),
        "uint16": torch.arange(5, dtype=torch.int32).to(torch.uint16),
    }


def flatten(value, prefix=""):
    if isinstance(value, torch.Tensor):
        return {prefix.removesuffix("."): value.detach().contiguous().clone()}
    items = value.items() if hasattr(value, "items") else ()
    return {key: tensor for name, item in items for key, tensor in flatten(item, f"{prefix}{name}.").items()}


def write(kind, value, **options):
    path = OUT / f"{kind}.bin"
    torch.save(value, path, **options)
    loaded = torch.load(path, weights_only=False)
    save_file(flatten(loaded.get("state_dict", loaded)), OUT / f"{kind}.safetensors")


def write_big_endian():
    """As a big-endian machine writes it: the same archive with swapped storages."""
    buffer = io.BytesIO()
    tensors = {"a": values(2, 3, seed=100), "b": torch.arange(4, dtype=torch.int16), "c": torch.tensor([1, 2], dtype=torch.uint8)}
    torch.save(tensors, buffer)
    sizes = {"0": 4, "1": 2, "2": 1}
    with zipfile.ZipFile(buffer) as source, zipfile.ZipFile(OUT / "big-endian.bin", "w") as target:
        for info in source.infolist():
            data = source.read(info)
            folder, _, name = info.filename.rpartition("/")
            if folder.endswith("/data"):
                size = sizes[name]
                data = b"".join(data[i : i + size][::-1] for i in range(0, len(data), size))
            entry = zipfile.ZipInfo(info.filename, (1980, 1, 1, 0, 0, 0))
            target.writestr(entry, b"big" if name == "byteorder" else data)
    save_file(flatten(torch.load(OUT / "big-endian.bin")), OUT / "big-endian.safetensors")


if __name__ == "__main__":
    OUT.mkdir(parents=True, exist_ok=True)
    legacy = {"_use_new_zipfile_serialization": False}
    write("types", every_type())
    write("types-legacy", every_type(), **legacy)
    write("views", views())
    write("views-legacy", views(), **legacy)
    write("module", module_state())
    write("lightning", lightning())
    write("lightning-legacy", lightning(), **legacy)
    write("adapter", adapter(), pickle_protocol=4)
    write("embedding", embedding())
    write("parameters", parameters())
    write("parameters-protocol-5", parameters(), pickle_protocol=5)
    write("eight-bit", eight_bit())
    write_big_endian()
