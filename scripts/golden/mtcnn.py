"""The bundled face detector, and what facenet-pytorch's own code finds with the same weights.

    python scripts/golden/mtcnn.py

Needs facenet-pytorch 2.6.0 (MIT), whose wheel holds the weights, and scikit-image, whose wheel holds the photographs. Writes

    models/mtcnn/{pnet,rnet,onet}.onnx                          the three networks, unchanged weights, any size and batch
    packages/engine/test/golden/data/vision/{astronaut,cat}.jpg  photographs; see the README.md beside them
    packages/engine/test/golden/data/vision/faces.json           boxes and points on three pictures
"""

import importlib
import json
import pathlib
import sys
import types

import numpy as np
import skimage
import torch
from detectors import Network
from PIL import Image
from vision import DATA


def batched_nms(boxes, scores, classes, threshold):
    """torchvision's, for one class."""
    order, keep = scores.argsort(descending=True, stable=True).tolist(), []
    area = lambda b: (b[2] - b[0]) * (b[3] - b[1])  # noqa: E731
    for i in order:
        a, fits = boxes[i], True
        for k in keep:
            b = boxes[k]
            w, h = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
            common = max(w, 0) * max(h, 0)
            fits = fits and common / (area(a) + area(b) - common) <= threshold
        if fits:
            keep.append(i)
    return torch.tensor(keep, dtype=torch.long)


def load_facenet():
    """facenet-pytorch without torchvision, of which it needs one function."""
    for name, members in {
        "torchvision": {}, "torchvision.transforms": {"functional": None}, "torchvision.ops": {},
        "torchvision.ops.boxes": {"batched_nms": batched_nms},
    }.items():  # fmt: skip
        module = types.ModuleType(name)
        module.__dict__.update(members)
        sys.modules[name] = module
    package = types.ModuleType("facenet_pytorch")
    package.__path__ = [str(pathlib.Path(p) / "facenet_pytorch") for p in sys.path if (pathlib.Path(p) / "facenet_pytorch").is_dir()]
    sys.modules["facenet_pytorch"] = package
    return importlib.import_module("facenet_pytorch.models.mtcnn")


class Exporter(Network):
    def __init__(self, state):
        super().__init__(0)
        self.state = {key: value.numpy() for key, value in state.items()}

    def layer(self, x, name):
        w, b = self.weight(self.state[f"{name}.weight"]), self.weight(self.state[f"{name}.bias"])
        if self.state[f"{name}.weight"].ndim == 4:
            return self.op("Conv", x, w, b)
        return self.op("Gemm", x, w, b, transB=1)

    def prelu(self, x, name, trailing=(1, 1)):
        return self.op("PRelu", x, self.weight(self.state[f"{name}.weight"].reshape(-1, *trailing)))

    def pool(self, x, kernel):
        return self.op("MaxPool", x, kernel_shape=[kernel] * 2, strides=[2, 2], ceil_mode=1)

    def convolutions(self, x, kernels):
        """conv, prelu and (where a kernel is given) pool for each."""
        for i, kernel in enumerate(kernels, 1):
            x = self.prelu(self.layer(x, f"conv{i}"), f"prelu{i}")
            x = self.pool(x, kernel) if kernel else x
        return x

    def flatten(self, x):
        return self.op("Flatten", self.op("Transpose", x, perm=[0, 3, 2, 1]), axis=1)


def export(mtcnn, folder):
    side = lambda n: ["batch", 3, n, n]  # noqa: E731
    p = Exporter(mtcnn.PNet().state_dict())
    x = p.convolutions("pixels", [2, None, None])
    outputs = [p.op("Softmax", p.layer(x, "conv4_1"), axis=1), p.layer(x, "conv4_2")]
    p.save(folder / "pnet.onnx", [("pixels", [1, 3, "height", "width"])], [(o, [1, n, "rows", "columns"]) for o, n in zip(outputs, (2, 4))])
    r = Exporter(mtcnn.RNet().state_dict())
    x = r.prelu(r.layer(r.flatten(r.convolutions("pixels", [3, 3, None])), "dense4"), "prelu4", ())
    outputs = [r.op("Softmax", r.layer(x, "dense5_1"), axis=1), r.layer(x, "dense5_2")]
    r.save(folder / "rnet.onnx", [("pixels", side(24))], [(o, ["batch", n]) for o, n in zip(outputs, (2, 4))])
    o = Exporter(mtcnn.ONet().state_dict())
    x = o.prelu(o.layer(o.flatten(o.convolutions("pixels", [3, 3, 2, None])), "dense5"), "prelu5", ())
    outputs = [o.op("Softmax", o.layer(x, "dense6_1"), axis=1), o.layer(x, "dense6_2"), o.layer(x, "dense6_3")]
    o.save(folder / "onet.onnx", [("pixels", side(48))], [(y, ["batch", n]) for y, n in zip(outputs, (2, 4, 10))])


def main():
    torch.set_num_threads(1)
    mtcnn = load_facenet()
    export(mtcnn, DATA.parents[5] / "models/mtcnn")
    source = pathlib.Path(skimage.__file__).parent / "data"
    for name, file in {"astronaut": "astronaut.png", "cat": "chelsea.png"}.items():
        Image.open(source / file).convert("RGB").save(DATA / f"{name}.jpg", quality=85)
    detect = importlib.import_module("facenet_pytorch.models.utils.detect_face").detect_face
    networks = [network().eval() for network in (mtcnn.PNet, mtcnn.RNet, mtcnn.ONet)]
    cases = []
    for name, width, height in [("astronaut", 512, 512), ("astronaut", 300, 220), ("cat", 451, 300)]:
        image = Image.open(DATA / f"{name}.jpg").resize((width, height), Image.BILINEAR)
        smallest = max(20, 0.05 * min(width, height))
        with torch.no_grad():
            boxes, points = detect(image, smallest, *networks, [0.6, 0.7, 0.7], 0.709, "cpu")
        cases.append({"name": name, "width": width, "height": height, "boxes": boxes[0].tolist(), "points": points[0].tolist()})
        print(cases[-1])
    (DATA / "faces.json").write_text(json.dumps(cases, default=float) + "\n")


if __name__ == "__main__":
    main()
