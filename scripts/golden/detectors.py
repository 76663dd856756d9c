"""Face, pose and depth networks of the published architectures' inputs and outputs, tiny and with random weights, and what the
published pre- and postprocessing makes of pictures with them.

    python scripts/golden/detectors.py

Written to packages/engine/test/golden/data/vision: scrfd.onnx, arcface.onnx, yolox.onnx, simcc.onnx, depth/…, detectors.json.

The arithmetic is that of insightface (scrfd.py, face_align.py, arcface_onnx.py), DWPose (onnxdet.py, onnxpose.py, wholebody.py) and
transformers' DPTImageProcessor, written out here.
"""

import json
import math

import cv2
import numpy as np
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from vision import DATA, picture

TEMPLATE = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]], np.float32
)
PICTURES = [
    {"kind": ("rings", "noise")[i % 2], "width": w, "height": h, "seed": i}
    for i, (w, h) in enumerate(
        [(640, 640), (640, 480), (480, 640), (50, 50), (901, 333), (333, 901), (97, 61), (700, 700), (128, 512), (1280, 64),
         (3, 200), (200, 3), (640, 641), (512, 384), (320, 240), (241, 319), (75, 1100), (1, 1), (411, 412), (820, 615)]
    )
]  # fmt: skip


class Network:
    """An ONNX graph under construction."""

    def __init__(self, seed):
        self.nodes, self.weights, self.rng = [], [], np.random.default_rng(seed)

    def weight(self, array, dtype=np.float32):
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.asarray(array, dtype), name))
        return name

    def op(self, kind, *inputs, **attributes):
        name = f"{kind}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], name, **attributes))
        return name

    def conv(self, x, cin, cout, kernel, stride, gain=1.0, bias=None, pad=None):
        w = self.rng.normal(size=(cout, cin, kernel, kernel)) * gain / math.sqrt(cin * kernel * kernel)
        b = np.zeros(cout) if bias is None else np.broadcast_to(bias, cout)
        pad = kernel // 2 if pad is None else pad
        return self.op("Conv", x, self.weight(w), self.weight(b), kernel_shape=[kernel] * 2, strides=[stride] * 2, pads=[pad] * 4)

    def reshape(self, x, *shape):
        return self.op("Reshape", x, self.weight(shape, np.int64))

    def save(self, path, inputs, outputs):
        info = lambda name, shape: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)  # noqa: E731
        graph = helper.make_graph(
            self.nodes, path.stem, [info(*i) for i in inputs], [info(*o) for o in outputs], self.weights
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        onnx.checker.check_model(model)
        path.parent.mkdir(exist_ok=True, parents=True)
        onnx.save(model, path)


def make_scrfd(path):
    net = Network(1)
    x = net.op("Relu", net.conv("input.1", 3, 6, 8, 8, 6, pad=0))
    outputs = [[], [], []]
    for level in range(3):
        if level:
            x = net.op("Relu", net.conv(x, 6, 6, 3, 2, 2))
        heads = [(1, 2.0, -9), (4, 1.0, 2.5), (10, 1.5, 0.0)]
        for kind, (values, gain, bias) in enumerate(heads):
            y = net.op("Transpose", net.conv(x, 6, 2 * values, 1, 1, gain, bias), perm=[0, 2, 3, 1])
            y = net.reshape(y, -1, values)
            outputs[kind].append((net.op("Sigmoid", y) if kind == 0 else y, ["n", values]))
    # Old exports list a weight among the inputs.
    inputs = [("input.1", [1, 3, "?", "?"]), (net.weights[0].name, list(net.weights[0].dims))]
    net.save(path, inputs, [o for kind in outputs for o in kind])


def make_arcface(path):
    net = Network(2)
    x = net.op("Relu", net.conv("input.1", 3, 4, 16, 16, 2, pad=0))
    x = net.reshape(x, -1, 196)
    y = net.op("MatMul", x, net.weight(net.rng.normal(size=(196, 32)) / 7))
    net.save(path, [("input.1", ["None", 3, 112, 112])], [(y, [1, 32])])


def make_yolox(path):
    net = Network(3)
    x = net.op("Relu", net.conv("images", 3, 6, 8, 8, 0.05, pad=0))
    levels = []
    for level in range(3):
        if level:
            x = net.op("Relu", net.conv(x, 6, 6, 3, 2, 2))
        box = net.conv(x, 6, 4, 1, 1, 0.3, [0, 0, 1.2, 1.6])
        scores = net.op("Sigmoid", net.conv(x, 6, 81, 1, 1, 1.5, -5.6))
        levels.append(net.reshape(net.op("Concat", box, scores, axis=1), 1, 85, -1))
    y = net.op("Transpose", net.op("Concat", *levels, axis=2), perm=[0, 2, 1])
    net.save(path, [("images", [1, 3, 640, 640])], [(y, [1, 8400, 85])])


def make_simcc(path):
    net = Network(4)
    x = net.reshape(net.op("Relu", net.conv("input", 3, 133, 8, 32, 0.8, pad=0)), -1, 133, 108)
    outputs = []
    for bins in (576, 768):
        y = net.op("MatMul", x, net.weight(net.rng.normal(size=(108, 3)) / 20))
        y = net.op("MatMul", y, net.weight(net.rng.normal(size=(3, bins)) / 2))
        outputs.append((y, ["batch", 133, bins]))
    net.save(path, [("input", ["batch", 3, 384, 288])], outputs)


def make_depth(path, channels, sides):
    net = Network(5)
    x = net.op("Relu", net.conv("pixel_values", 3, channels, 7, 1))
    y = net.op("Squeeze", net.conv(x, channels, 1, 5, 1), net.weight([1], np.int64))
    net.save(path, [("pixel_values", ["batch_size", 3, *sides])], [(y, ["batch_size", "height", "width"])])


def session(path):
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])


def run(net, x):
    return net.run(None, {net.get_inputs()[0].name: np.ascontiguousarray(x, np.float32)})


def suppress(boxes, scores, threshold):
    x1, y1, x2, y2 = boxes.T
    areas, order, keep = (x2 - x1 + 1) * (y2 - y1 + 1), np.argsort(-scores, kind="stable"), []
    while order.size:
        i, rest = order[0], order[1:]
        keep.append(i)
        w = np.maximum(0.0, np.minimum(x2[i], x2[rest]) - np.maximum(x1[i], x1[rest]) + 1)
        h = np.maximum(0.0, np.minimum(y2[i], y2[rest]) - np.maximum(y1[i], y1[rest]) + 1)
        order = rest[w * h / (areas[i] + areas[rest] - w * h) <= threshold]
    return keep


def detect_faces(net, rgb, side=640):
    height, width = rgb.shape[:2]
    ratio = height / width
    new_width, new_height = (int(side / ratio), side) if ratio > 1 else (side, int(side * ratio))
    new_width, new_height = max(1, new_width), max(1, new_height)
    scale = new_height / height
    canvas = np.zeros((side, side, 3), np.uint8)
    canvas[:new_height, :new_width] = cv2.resize(rgb, (new_width, new_height))
    outputs = run(net, ((canvas.astype(np.float32) - 127.5) / 128).transpose(2, 0, 1)[None])
    boxes, points, scores = [], [], []
    for level, stride in enumerate([8, 16, 32]):
        s, d, k = outputs[level], outputs[level + 3] * stride, outputs[level + 6] * stride
        cells = side // stride
        centres = np.stack(np.mgrid[:cells, :cells][::-1], axis=-1).astype(np.float32) * stride
        centres = np.stack([centres.reshape(-1, 2)] * 2, axis=1).reshape(-1, 2)
        sure = np.where(s >= 0.5)[0]
        boxes.append(np.concatenate([centres - d[:, :2], centres + d[:, 2:]], axis=1)[sure] / scale)
        points.append((k.reshape(-1, 5, 2) + centres[:, None])[sure] / scale)
        scores.append(s[sure, 0])
    boxes, points, scores = (np.concatenate(v) for v in (boxes, points, scores))
    keep = suppress(boxes.astype(np.float32), scores, 0.4)
    return boxes[keep], points[keep], scores[keep]


def align(rgb, points, side=112):
    ratio, shift = (side / 112, 0) if side % 112 == 0 else (side / 128, 8 * side / 128)
    target = TEMPLATE.astype(np.float64) * ratio + [shift, 0]
    source = points.astype(np.float64)
    # Umeyama's estimate by singular values, as scikit-image computes it.
    s, t = source - source.mean(0), target - target.mean(0)
    u, values, vt = np.linalg.svd(t.T @ s / 5)
    d = np.array([1, np.sign(np.linalg.det(u) * np.linalg.det(vt))])
    rotation = u @ np.diag(d) @ vt
    scale = values @ d / s.var(axis=0).sum()
    matrix = np.column_stack([scale * rotation, target.mean(0) - scale * rotation @ source.mean(0)])
    return cv2.warpAffine(rgb, matrix, (side, side), borderValue=0.0)


def embed(net, rgb, points):
    return run(net, ((align(rgb, points).astype(np.float32) - 127.5) / 127.5).transpose(2, 0, 1)[None])[0][0]


def detect_people(net, rgb, side=640):
    height, width = rgb.shape[:2]
    scale = min(side / height, side / width)
    new_width, new_height = max(1, int(width * scale)), max(1, int(height * scale))
    canvas = np.full((side, side, 3), 114, np.uint8)
    canvas[:new_height, :new_width] = cv2.resize(rgb, (new_width, new_height), interpolation=cv2.INTER_LINEAR)
    out = run(net, canvas[:, :, ::-1].transpose(2, 0, 1)[None])[0][0]
    grids = [np.stack(np.meshgrid(np.arange(side // s), np.arange(side // s)), 2).reshape(-1, 2) for s in (8, 16, 32)]
    strides = np.concatenate([np.full((len(g), 1), s) for g, s in zip(grids, (8, 16, 32))])
    centre, size = (out[:, :2] + np.concatenate(grids)) * strides, np.exp(out[:, 2:4]) * strides
    boxes, scores = np.concatenate([centre - size / 2, centre + size / 2], axis=1) / scale, out[:, 4] * out[:, 5]
    boxes, scores = boxes[scores > 0.1], scores[scores > 0.1]
    keep = [i for i in suppress(boxes, scores, 0.45) if scores[i] > 0.3]
    return boxes[keep]


def detect_pose(net, rgb, box):
    centre = np.array([box[0] + box[2], box[1] + box[3]]) * 0.5
    w, h = np.array([box[2] - box[0], box[3] - box[1]]) * 1.25
    w, h = (w, w / 0.75) if w > h * 0.75 else (h * 0.75, h)
    source = np.float32([centre, centre + [0, -w / 2], centre + [-w / 2, -w / 2]])
    target = np.float32([[144, 192], [144, 192 - 144], [144 - 144, 192 - 144]])
    crop = cv2.warpAffine(rgb, cv2.getAffineTransform(source, target), (288, 384), flags=cv2.INTER_LINEAR)
    x = (crop - np.array([123.675, 116.28, 103.53])) / np.array([58.395, 57.12, 57.375])
    sx, sy = (o[0] for o in run(net, x.transpose(2, 0, 1)[None]))
    places = np.stack([sx.argmax(1), sy.argmax(1)], axis=-1).astype(np.float32) / 2
    scores = np.minimum(sx.max(1), sy.max(1))
    points = places / [288, 384] * [w, h] + centre - np.array([w, h]) / 2
    neck = points[[5, 6]].mean(0), float(min(scores[5], scores[6]))
    order = [0, None, 6, 8, 10, 5, 7, 9, 12, 14, 16, 11, 13, 15, 2, 1, 4, 3]
    joints = [neck if i is None else (points[i], float(scores[i])) for i in order]
    margin = min(abs(s - 0.3) for s in scores)
    body = [p.tolist() if s > 0.3 else None for p, s in joints]
    # COCO-WholeBody's face, left hand and right hand, which DWPose has after body, neck and feet.
    parts = [[p.tolist() if s >= 0.3 else None for p, s in zip(points[a:b], scores[a:b])] for a, b in ((23, 91), (91, 112), (112, 133))]
    return body, parts, margin


def depth(net, rgb, config):
    from transformers import DPTImageProcessorPil

    processor = DPTImageProcessorPil(**config)
    x = processor(Image.fromarray(rgb), return_tensors="np")["pixel_values"]
    predicted = torch.from_numpy(run(net, x)[0])
    size = rgb.shape[:2]
    full = torch.nn.functional.interpolate(predicted[None], size=size, mode="bicubic", align_corners=False)[0, 0]
    low, high = full.min(), full.max()
    grey = ((full - low) / (high - low) * 255).numpy().clip(0, 255).astype(np.uint8)
    return {"shape": list(x.shape[2:]), "mean": float(grey.mean()), "corners": grey[:: max(1, size[0] // 5), :: max(1, size[1] // 5)].tolist()}


DEPTH_CONFIGS = {
    "dpt": {"size": {"height": 64, "width": 64}, "keep_aspect_ratio": False, "ensure_multiple_of": 1, "resample": 2,
            "image_mean": [0.5] * 3, "image_std": [0.5] * 3},
    "depth-anything": {"size": {"height": 98, "width": 98}, "keep_aspect_ratio": True, "ensure_multiple_of": 14, "resample": 3,
                       "image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]},
}  # fmt: skip


def main():
    cv2.setNumThreads(1)
    make_scrfd(DATA / "scrfd.onnx")
    make_arcface(DATA / "arcface.onnx")
    make_yolox(DATA / "yolox.onnx")
    make_simcc(DATA / "simcc.onnx")
    make_depth(DATA / "dpt/model.onnx", 2, [64, 64])
    make_depth(DATA / "depth-anything/onnx/model.onnx", 3, ["height", "width"])
    for name, config in DEPTH_CONFIGS.items():
        (DATA / name / "preprocessor_config.json").write_text(json.dumps(config) + "\n")
    scrfd, arcface, yolox, simcc = (session(DATA / f"{n}.onnx") for n in ("scrfd", "arcface", "yolox", "simcc"))
    depths = {"dpt": session(DATA / "dpt/model.onnx"), "depth-anything": session(DATA / "depth-anything/onnx/model.onnx")}
    cases, margins = [], []
    for spec in PICTURES:
        rgb = picture(**spec)
        boxes, points, scores = detect_faces(scrfd, rgb)
        people = detect_people(yolox, rgb)
        boxes_of = people if len(people) else [[0, 0, spec["width"], spec["height"]]]
        poses = [detect_pose(simcc, rgb, box) for box in boxes_of[:4]]
        margins += [m for *_, m in poses]
        cases.append({
            **spec,
            "faces": [{"box": b.tolist(), "points": p.tolist(), "score": float(s)} for b, p, s in zip(boxes, points, scores)][:20],
            "face_count": len(boxes),
            "embedding": embed(arcface, rgb, points[0]).tolist() if len(points) else None,
            "people": len(people),
            "poses": [body for body, *_ in poses],
            "parts": poses[0][1],
            "depth": {name: depth(net, rgb, DEPTH_CONFIGS[name]) for name, net in depths.items() if min(rgb.shape[:2]) > 30},
        })  # fmt: skip
        print(spec, len(boxes), len(people), sum(j is not None for p, *_ in poses for j in p), len(poses))
    print("smallest margin of a joint's score", min(margins))
    (DATA / "detectors.json").write_text(json.dumps(rounded(cases)) + "\n")


def rounded(value):
    if isinstance(value, float):
        return float(f"{value:.8g}")
    if isinstance(value, dict):
        return {k: rounded(v) for k, v in value.items()}
    return [rounded(v) for v in value] if isinstance(value, (list, tuple)) else value


if __name__ == "__main__":
    main()
