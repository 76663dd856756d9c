"""The bundled pose detector, and what its makers' own graph finds.

    python scripts/golden/movenet.py FOLDER

FOLDER holds movenet-lightning.json and .bin of the npm package @vladmandic/human 3.3.6, which converted them from Google's
`movenet/singlepose/lightning/4` (Apache-2.0). Writes

    models/movenet/lightning.onnx                        the network up to its four heads, channels first, unchanged float16 weights
    packages/engine/test/golden/data/vision/poses.json   key points on three pictures, by the original graph, node by node in torch
"""

import base64
import json
import pathlib
import sys

import numpy as np
import onnx
import torch
from detectors import Network
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from vision import DATA

SIDE = 192
HEADS = {
    "heatmaps": "StatefulPartitionedCall/Sigmoid",
    "centre": "StatefulPartitionedCall/truediv_2",
    "regression": "StatefulPartitionedCall/kpt_regress_0/conv2d_6/BiasAdd",
    "offsets": "StatefulPartitionedCall/kpt_offset_0/conv2d_7/BiasAdd",
}


def load(folder):
    model = json.loads((folder / "movenet-lightning.json").read_text())
    data, position, weights = (folder / "movenet-lightning.bin").read_bytes(), 0, {}
    for entry in model["weightsManifest"][0]["weights"]:
        dtype = np.float16 if "quantization" in entry else np.dtype(entry["dtype"])
        count = int(np.prod(entry["shape"]))
        weights[entry["name"]] = np.frombuffer(data, dtype, count, position).reshape(entry["shape"])
        position += count * np.dtype(dtype).itemsize
    return {node["name"]: node for node in model["modelTopology"]["node"]}, weights


def attribute(node, name):
    value = node["attr"].get(name, {})
    if "list" in value:
        return [base64.b64decode(s).decode() for s in value["list"].get("s", [])] or [int(i) for i in value["list"].get("i", [])]
    return base64.b64decode(value["s"]).decode() if "s" in value else int(value.get("i", 0))


class Interpreter:
    """Runs the graph as it stands: channels last, every node by name."""

    def __init__(self, nodes, weights):
        self.nodes, self.weights, self.values = nodes, weights, {}

    def value(self, name):
        name, _, port = name.partition(":")
        if name not in self.values:
            self.values[name] = self.run(self.nodes[name])
        result = self.values[name]
        return result[int(port or 0)] if isinstance(result, list) else result

    def run(self, node):
        op, args = node["op"], lambda: [self.value(i) for i in node.get("input", [])]
        if op == "Const":
            w = self.weights[node["name"]]
            return torch.from_numpy(np.array(w, np.float32 if w.dtype == np.float16 else w.dtype))
        a = args()
        if op in ("_FusedConv2D", "FusedDepthwiseConv2dNative", "DepthwiseConv2dNative"):
            return self.convolution(node, *a)
        simple = {
            "AddV2": lambda: a[0] + a[1], "Sub": lambda: a[0] - a[1], "Mul": lambda: a[0] * a[1], "RealDiv": lambda: a[0] / a[1],
            "FloorDiv": lambda: a[0] // a[1], "SquaredDifference": lambda: (a[0] - a[1]) ** 2, "Sqrt": lambda: a[0].sqrt(),
            "Sigmoid": lambda: a[0].sigmoid(), "Identity": lambda: a[0], "Reshape": lambda: a[0].reshape(a[1].tolist()),
            "ExpandDims": lambda: a[0].unsqueeze(int(a[1])), "ConcatV2": lambda: torch.cat([x for x in a[:-1]], int(a[-1])),
            "GatherNd": lambda: a[0][tuple(a[1].long().unbind(-1))], "ArgMax": lambda: a[0].argmax(int(a[1])).int(),
            "Pack": lambda: torch.stack(a, attribute(node, "axis")), "Unpack": lambda: list(a[0].unbind(attribute(node, "axis"))),
            "Cast": lambda: a[0].float(), "Squeeze": lambda: a[0].squeeze(attribute(node, "squeeze_dims")[0]),
        }  # fmt: skip
        if op == "ResizeBilinear":
            x = torch.nn.functional.interpolate(a[0].permute(0, 3, 1, 2), size=a[1].tolist(), mode="bilinear", align_corners=False)
            return x.permute(0, 2, 3, 1)
        return simple[op]()

    def convolution(self, node, x, w, bias=None):
        x, stride, depthwise = x.permute(0, 3, 1, 2), attribute(node, "strides")[1], "Depthwise" in node["op"]
        w = w.permute(2, 3, 0, 1) if depthwise else w.permute(3, 2, 0, 1)
        if attribute(node, "padding") == "SAME":
            pads = [max((-(-n // stride) - 1) * stride + k - n, 0) for n, k in zip(x.shape[2:], w.shape[2:])]
            x = torch.nn.functional.pad(x, (pads[1] // 2, pads[1] - pads[1] // 2, pads[0] // 2, pads[0] - pads[0] // 2))
        y = torch.nn.functional.conv2d(x, w, bias, stride, groups=x.shape[1] if depthwise else 1).permute(0, 2, 3, 1)
        fused = attribute(node, "fused_ops") if "fused_ops" in node["attr"] else []
        return y.clamp(0, 6) if "Relu6" in fused else y.relu() if "Relu" in fused else y


class Exporter(Network):
    """The same nodes as ONNX operators, channels first."""

    def __init__(self, nodes, weights):
        super().__init__(0)
        self.graph, self.stored, self.names = nodes, weights, {}

    def half(self, array):
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.ascontiguousarray(array, np.float16), name))
        return self.op("Cast", name, to=TensorProto.FLOAT)

    def name(self, of):
        if of not in self.names:
            self.names[of] = self.emit(self.graph[of])
        return self.names[of]

    def emit(self, node):
        op, inputs = node["op"], node.get("input", [])
        if op == "Const":
            w = self.stored[node["name"]]
            return self.half(w.transpose(0, 3, 1, 2) if w.ndim == 4 else w.transpose(2, 0, 1)[None] if w.ndim == 3 else w)
        if "Conv" in op:
            return self.convolution(node, *inputs)
        if op == "ResizeBilinear":
            size = self.stored[inputs[1]].tolist()
            x = self.name(inputs[0])
            shape = self.op("Concat", self.op("Shape", x, start=0, end=2), self.weight(size, np.int64), axis=0)
            return self.op("Resize", x, "", "", shape, mode="linear", coordinate_transformation_mode="half_pixel")
        kinds = {"AddV2": "Add", "Mul": "Mul", "Sub": "Sub", "Sigmoid": "Sigmoid"}
        return self.op(kinds[op], *(self.name(i) for i in inputs))

    def convolution(self, node, x, w, bias=None):
        depthwise, weight = "Depthwise" in node["op"], self.stored[w]
        weight = weight.transpose(2, 3, 0, 1) if depthwise else weight.transpose(3, 2, 0, 1)
        pad = "SAME_UPPER" if attribute(node, "padding") == "SAME" else "VALID"
        extra = [self.half(self.stored[bias])] if bias else []
        stride = attribute(node, "strides")[1]
        group = weight.shape[0] if depthwise else 1
        y = self.op("Conv", self.name(x), self.half(weight), *extra, auto_pad=pad, strides=[stride] * 2, group=group)
        fused = attribute(node, "fused_ops") if "fused_ops" in node["attr"] else []
        if "Relu6" in fused:
            return self.op("Clip", y, self.weight(0.0), self.weight(6.0))
        return self.op("Relu", y) if "Relu" in fused else y


def export(nodes, weights, path):
    net = Exporter(nodes, weights)
    # What precedes the first subtraction only reshapes the picture.
    net.names["StatefulPartitionedCall/stack"] = "pixels"
    for constant in ("StatefulPartitionedCall/Reshape", "StatefulPartitionedCall/truediv", "StatefulPartitionedCall/sub_1/y"):
        w = weights[constant]
        net.names[constant] = net.weight(np.float32(w).reshape(-1)[0] if w.size == 1 else np.float32(w).reshape(1, 3, 1, 1))
    outputs = {head: net.name(node) for head, node in HEADS.items()}
    for head, output in outputs.items():
        net.nodes.append(helper.make_node("Identity", [output], [head]))
    channels = {"heatmaps": 17, "centre": 1, "regression": 34, "offsets": 34}
    net.save(path, [("pixels", [1, 3, SIDE, SIDE])], [(head, [1, channels[head], 48, 48]) for head in outputs])
    return onnx.load(path)


def fitted(image):
    """In the middle of a black square, as MoveNet's own example pads pictures."""
    import cv2

    rgb = np.array(image)
    height, width = rgb.shape[:2]
    scale = min(SIDE / height, SIDE / width)
    w, h = max(1, int(width * scale)), max(1, int(height * scale))
    left, top = (SIDE - w) // 2, (SIDE - h) // 2
    square = np.zeros((SIDE, SIDE, 3), np.uint8)
    square[top : top + h, left : left + w] = cv2.resize(rgb, (w, h))
    return square, scale, left, top


def main():
    nodes, weights = load(pathlib.Path(sys.argv[1]))
    export(nodes, weights, DATA.parents[5] / "models/movenet/lightning.onnx")
    cases = []
    for name, width, height in [("astronaut", 512, 512), ("astronaut", 300, 220), ("cat", 451, 300)]:
        image = Image.open(DATA / f"{name}.jpg").resize((width, height), Image.BILINEAR)
        square, scale, left, top = fitted(image)
        graph = Interpreter(nodes, weights)
        graph.values["input"] = torch.from_numpy(square[None].astype(np.int32))
        with torch.no_grad():
            points = graph.value("Identity")[0, 0].numpy()
        places = [[float((x * SIDE - left) / scale), float((y * SIDE - top) / scale), float(s)] for y, x, s in points]
        cases.append({"name": name, "width": width, "height": height, "points": places})
        print(name, width, [[round(v, 2) for v in p] for p in places])
    (DATA / "poses.json").write_text(json.dumps(cases) + "\n")


if __name__ == "__main__":
    main()
