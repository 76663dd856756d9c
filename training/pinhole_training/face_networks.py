"""The demo's face pack: an SCRFD-like detector and an ArcFace-like embedder, with the inputs and outputs of insightface's files.

Small as they are, the same code runs them: the detector gives scores, box sides and key points of strides 8, 16 and 32, two
predictions a place; the embedder gives 512 numbers for a face cut out by its key points.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
import torch.nn.functional as F
from onnx import numpy_helper
from torch import nn

DETECTOR_SIDE, CUT_SIDE, EMBEDDING_WIDTH = 128, 112, 512
STRIDES, ANCHORS = (8, 16, 32), 2


#: A face (112, 112, 3), uint8, to its embedding (1, 512).
Embed = Callable[[np.ndarray], np.ndarray]


class _Block(nn.Module):
    def __init__(self, channels: int):
        super().__init__()
        self.norm, self.conv = nn.GroupNorm(8, channels), nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.conv(F.relu(self.norm(x)))


def _patches(channels: int) -> nn.Sequential:
    """An eighth of the side at once: on two CPU cores three times as fast to train as three halvings."""
    return nn.Sequential(nn.Conv2d(3, channels, 8, stride=8), nn.GroupNorm(8, channels), nn.ReLU(), _Block(channels))


def _halving(before: int, after: int, blocks: int) -> nn.Sequential:
    first = [nn.Conv2d(before, after, 3, stride=2, padding=1), nn.GroupNorm(8, after), nn.ReLU()]
    return nn.Sequential(*first, *(_Block(after) for _ in range(blocks)))


class Detector(nn.Module):
    """Of pictures (n, 3, 128, 128), (pixel − 127.5) / 128: nine tensors as SCRFD gives them, those of each kind by stride."""

    def __init__(self) -> None:
        super().__init__()
        self.levels = nn.ModuleList([_patches(48), _halving(48, 72, 2), _halving(72, 112, 2)])
        self.heads = nn.ModuleList(nn.Conv2d(width, ANCHORS * 15, 3, padding=1) for width in (48, 72, 112))

    def forward(self, pixels: torch.Tensor) -> list[torch.Tensor]:
        x, kinds = pixels, ([], [], [])
        for level, head in zip(self.levels, self.heads, strict=True):
            x = level(x)
            told = head(x).permute(0, 2, 3, 1).reshape(len(x), -1, 15)
            for kind, part in zip(kinds, told.split((1, 4, 10), 2), strict=True):
                kind.append(part)
        return [part for kind in kinds for part in kind]


class Embedder(nn.Module):
    """512 numbers of faces (n, 3, 112, 112), (pixel − 127.5) / 127.5."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(_patches(64), _Block(64), _halving(64, 112, 2))
        self.narrow, self.out = nn.Conv2d(112, 8, 1), nn.Linear(2 * 112 + 8 * 49, EMBEDDING_WIDTH)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        maps = F.relu(self.body(pixels))
        where = self.narrow(maps).flatten(1)
        return self.out(torch.cat([maps.mean((2, 3)), maps.amax((2, 3)), where], 1))


class _Exported(nn.Module):
    """One picture, scores as probabilities, and no axis for the batch, as in insightface's files."""

    def __init__(self, detector: Detector):
        super().__init__()
        self.detector = detector

    def forward(self, pixels: torch.Tensor) -> tuple[torch.Tensor, ...]:
        parts = [part[0] for part in self.detector(pixels)]
        return tuple(part.sigmoid() if i < len(STRIDES) else part for i, part in enumerate(parts))


def save_detector(detector: Detector, path: Path) -> None:
    names = [f"{kind}_{stride}" for kind in ("score", "bbox", "kps") for stride in STRIDES]
    _save(_Exported(detector), DETECTOR_SIDE, names, path)


def save_embedder(embedder: Embedder, path: Path) -> None:
    _save(embedder, CUT_SIDE, ["embedding"], path)


def open_embedder(path: Path) -> Embed:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])

    def embed(face: np.ndarray) -> np.ndarray:
        pixels = (face.astype(np.float32) - 127.5) / 127.5
        return session.run(None, {"input": pixels.transpose(2, 0, 1)[None]})[0]

    return embed


def _save(network: nn.Module, side: int, outputs: list[str], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = torch.zeros(1, 3, side, side)
    torch.onnx.export(network.eval(), (picture,), path, input_names=["input"], output_names=outputs, opset_version=17, dynamo=False)
    onnx.save(_with_half_weights(onnx.load(path)), path)


def _with_half_weights(model: onnx.ModelProto) -> onnx.ModelProto:
    """Weights as float16, each cast to float32 where it is used."""
    casts = []
    for weight in model.graph.initializer:
        values = numpy_helper.to_array(weight)
        if values.dtype == np.float32 and values.size > 64:
            name = weight.name
            weight.CopyFrom(numpy_helper.from_array(values.astype(np.float16), f"{name}.half"))
            casts.append(onnx.helper.make_node("Cast", [f"{name}.half"], [name], to=onnx.TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    onnx.checker.check_model(model)
    return model
