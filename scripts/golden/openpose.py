"""OpenPose's body network as a torch module with tiny random weights, and what its pre- and postprocessing make of pictures and maps.

    python scripts/golden/openpose.py

Written to packages/engine/test/golden/data/vision: openpose.pth, openpose.safetensors (the network's maps of a picture), openpose.json.

The network is that of body_pose_model.pth, its widths apart; the arithmetic is that of controlnet_aux's open_pose/body.py, written anew.
People are put into maps by a rule that the test follows too.
"""

import json
import math
from collections import OrderedDict

import cv2
import numpy as np
import torch
from safetensors.torch import save_file
from scipy.ndimage import gaussian_filter
from torch import nn
from vision import DATA, Random, picture

# Channels of the published file by 32: 64 -> 2, 128 -> 4, ...; the stages' 128 -> 2.
TRUNK = [("conv1_1", 2), ("conv1_2", 2), "pool", ("conv2_1", 4), ("conv2_2", 4), "pool", ("conv3_1", 8), ("conv3_2", 8), ("conv3_3", 8),
         ("conv3_4", 8), "pool", ("conv4_1", 16), ("conv4_2", 16), ("conv4_3_CPM", 8), ("conv4_4_CPM", 4)]  # fmt: skip
BRANCHES = {"L1": 38, "L2": 19}
LIMBS = [
    (2, 3), (2, 6), (3, 4), (4, 5), (6, 7), (7, 8), (2, 9), (9, 10), (10, 11), (2, 12), (12, 13), (13, 14), (2, 1), (1, 15), (15, 17),
    (1, 16), (16, 18), (3, 17), (6, 18),
]  # fmt: skip
FIELDS = [12, 20, 14, 16, 22, 24, 0, 2, 4, 6, 8, 10, 28, 30, 34, 32, 36, 18, 26]


class BodyNetwork(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleDict()
        channels = 3
        for entry in TRUNK:
            if entry != "pool":
                self.layers[entry[0]] = nn.Conv2d(channels, entry[1], 3, padding=1)
                channels = entry[1]
        for branch, out in BRANCHES.items():
            sizes = [(4, 3), (4, 3), (4, 3), (16, 1), (out, 1)]
            self.add(f"conv5_%d_CPM_{branch}", channels, sizes)
            for stage in range(2, 7):
                self.add(f"Mconv%d_stage{stage}_{branch}", channels + 57, [(2, 7)] * 5 + [(2, 1), (out, 1)])

    def add(self, name, channels, sizes):
        for i, (out, kernel) in enumerate(sizes):
            self.layers[name % (i + 1)] = nn.Conv2d(channels, out, kernel, padding=kernel // 2)
            channels = out

    def chain(self, x, name, count, ends_in_relu):
        for i in range(1, count + 1):
            x = self.layers[name % i](x)
            if i < count or ends_in_relu:
                x = x.relu()
        return x

    def forward(self, x):
        for entry in TRUNK:
            x = nn.functional.max_pool2d(x, 2, 2) if entry == "pool" else self.layers[entry[0]](x).relu()
        fields, heat = (self.chain(x, f"conv5_%d_CPM_{branch}", 5, False) for branch in BRANCHES)
        for stage in range(2, 7):
            joined = torch.cat([fields, heat, x], dim=1)
            # The published module leaves the last heat map its relu.
            fields, heat = (
                self.chain(joined, f"Mconv%d_stage{stage}_{branch}", 7, stage == 6 and branch == "L2") for branch in BRANCHES
            )
        return fields, heat


def smart_resize(x, width, height):
    """INTER_AREA where the picture shrinks, INTER_LANCZOS4 where it grows."""
    shrinks = width + height < x.shape[0] + x.shape[1]
    flag = cv2.INTER_AREA if shrinks else cv2.INTER_LANCZOS4
    if x.ndim == 2 or x.shape[2] == 3:
        return cv2.resize(x, (width, height), interpolation=flag)
    return np.stack([cv2.resize(x[:, :, i], (width, height), interpolation=flag) for i in range(x.shape[2])], axis=2)


def detection_size(rgb):
    height, width = rgb.shape[:2]
    k = 512 / min(height, width)
    return [int(np.round(side * k / 64)) * 64 for side in (width, height)], k


def prepare(rgb):
    """The picture at the detector's size, and the network's input before it is scaled to numbers: BGR, padded with grey."""
    (width, height), k = detection_size(rgb)
    resized = cv2.resize(rgb, (width, height), interpolation=cv2.INTER_LANCZOS4 if k > 1 else cv2.INTER_AREA)
    scale = 0.5 * 368 / height
    small = smart_resize(resized, int(width * scale), int(height * scale))
    down, right = -small.shape[0] % 8, -small.shape[1] % 8
    return resized, np.pad(small, ((0, down), (0, right), (0, 0)), constant_values=128), (small.shape[1], small.shape[0])


def upsample(maps, inner, size):
    """[C, h, w] -> [height, width, C]."""
    large = np.ascontiguousarray(maps.transpose(1, 2, 0))
    large = smart_resize(large, large.shape[1] * 8, large.shape[0] * 8)[: inner[1], : inner[0]]
    return smart_resize(large, *size)


def find_peaks(heat):
    """For each part its peaks as (x, y, score, number)."""
    peaks, count = [], 0
    for part in range(18):
        smooth = gaussian_filter(heat[:, :, part].astype(np.float64), sigma=3)
        around = np.pad(smooth, 1)
        is_peak = smooth > 0.1
        for other in (around[:-2, 1:-1], around[2:, 1:-1], around[1:-1, :-2], around[1:-1, 2:]):
            is_peak &= smooth >= other
        found = [(int(x), int(y), float(heat[y, x, part]), count + i) for i, (y, x) in enumerate(zip(*np.nonzero(is_peak)))]
        peaks.append(found)
        count += len(found)
    return peaks


def connect(starts, ends, field, height):
    """Which peaks of two parts a limb joins: [number, number, score], each peak once, the surest first."""
    candidates = []
    for i, (ax, ay, *_) in enumerate(starts):
        for j, (bx, by, *_) in enumerate(ends):
            length = max(0.001, math.hypot(bx - ax, by - ay))
            direction = np.array([bx - ax, by - ay]) / length
            places = zip(np.linspace(ay, by, num=10), np.linspace(ax, bx, num=10))
            along = np.array([field[round(y), round(x)] @ direction for y, x in places])
            score = along.mean() + min(0.5 * height / length - 1, 0)
            if (along > 0.05).sum() > 8 and score > 0:
                candidates.append((i, j, score))
    joined = []
    for i, j, score in sorted(candidates, key=lambda candidate: -candidate[2]):
        if all(i != a and j != b for a, b, _ in joined):
            joined.append((i, j, score))
    return [(starts[i][3], ends[j][3], score) for i, j, score in joined]


def assemble(peaks, limbs):
    """People as [numbers of their 18 peaks or -1, score, parts]."""
    scores = {number: score for part in peaks for _, _, score, number in part}
    people = []
    for k, ((a, b), connections) in enumerate(zip(LIMBS, limbs)):
        a, b = a - 1, b - 1
        for start, end, score in connections:
            having = [person for person in people if person["parts"][a] == start or person["parts"][b] == end]
            if len(having) == 2 and not any(p >= 0 and q >= 0 for p, q in zip(having[0]["parts"], having[1]["parts"])):
                one, two = having
                one["parts"] = [max(p, q) for p, q in zip(one["parts"], two["parts"])]
                one["count"] += two["count"]
                one["score"] += two["score"] + score
                people.remove(two)
            elif len(having) == 2 or (len(having) == 1 and having[0]["parts"][b] != end):
                having[0]["parts"][b] = end
                having[0]["count"] += 1
                having[0]["score"] += scores[end] + score
            elif not having and k < 17:
                parts = [-1] * 18
                parts[a], parts[b] = start, end
                people.append({"parts": parts, "count": 2, "score": scores[start] + scores[end] + score})
    return [person for person in people if person["count"] >= 4 and person["score"] / person["count"] >= 0.4]


def poses(fields, heat, inner, size):
    heat, fields = upsample(heat[:18], inner, size), upsample(fields, inner, size)
    peaks = find_peaks(heat)
    limbs = [connect(peaks[a - 1], peaks[b - 1], fields[:, :, f : f + 2], size[1]) for (a, b), f in zip(LIMBS, FIELDS)]
    places = {number: [x, y] for part in peaks for x, y, _, number in part}
    return [[places.get(number) for number in person["parts"]] for person in assemble(peaks, limbs)]


def paint(seed, width, height):
    """Maps [38, h, w] and [19, h, w] of up to four people, some parts of whom are missing, in noise."""
    random = Random(seed * 7919)
    heat, fields = np.zeros((19, height, width)), np.zeros((38, height, width))
    y, x = np.mgrid[:height, :width].astype(np.float64)
    people = 1 + random.below(4)
    for person in range(people):
        left, top, side = person * width / people, random.next() * height * 0.3, min(0.9 * width / people, 0.7 * height)
        joints = []
        for _ in range(18):
            joint = (left + random.next() * side, top + random.next() * side)
            joints.append(joint if random.next() < 0.9 else None)
        for part, joint in enumerate(joints):
            if joint:
                heat[part] = np.maximum(heat[part], np.exp(-((x - joint[0]) ** 2 + (y - joint[1]) ** 2) / 1.3))
        for (a, b), field in zip(LIMBS, FIELDS):
            start, end = joints[a - 1], joints[b - 1]
            if not (start and end):
                continue
            dx, dy = end[0] - start[0], end[1] - start[1]
            length = math.sqrt(dx * dx + dy * dy)
            along = ((x - start[0]) * dx + (y - start[1]) * dy) / length
            across = np.abs((x - start[0]) * dy - (y - start[1]) * dx) / length
            inside = (along >= -1) & (along <= length + 1) & (across <= 1)
            fields[field][inside], fields[field + 1][inside] = dx / length, dy / length
    for maps in (heat, fields):
        for index in np.ndindex(maps.shape):
            maps[index] += (random.next() - 0.5) * 0.1
    return fields.astype(np.float32), heat.astype(np.float32)


def main():
    torch.manual_seed(1)
    cv2.setNumThreads(1)
    network = BodyNetwork().eval()
    for layer in network.layers.values():
        nn.init.normal_(layer.weight, std=1.6 / math.sqrt(layer.weight[0].numel()))
        nn.init.normal_(layer.bias, std=0.1)
    state = network.state_dict()
    torch.save(OrderedDict((key.removeprefix("layers."), value) for key, value in state.items()), DATA / "openpose.pth")
    pictures, maps = [], {}
    for i, (width, height) in enumerate([(640, 480), (300, 411), (97, 61), (901, 333), (513, 547)]):
        spec = {"kind": ("rings", "steps")[i % 2], "width": width, "height": height, "seed": i}
        rgb = picture(**spec)
        resized, padded, inner = prepare(rgb)
        pictures.append({**spec, "size": resized.shape[1::-1], "inner": inner, "input_size": padded.shape[1::-1],
                         "resized_mean": float(resized.mean()), "input": padded[::9, ::9].ravel().tolist()})  # fmt: skip
    x = picture("rings", 72, 56, 5)[:, :, ::-1].astype(np.float32).transpose(2, 0, 1) / 256 - 0.5
    with torch.no_grad():
        maps["fields"], maps["heat"] = network(torch.from_numpy(np.ascontiguousarray(x))[None])
    save_file({key: value.contiguous() for key, value in maps.items()}, DATA / "openpose.safetensors")
    cases = []
    for seed in range(20):
        inner, size = [((221, 184), (615, 512)), ((245, 184), (683, 512)), ((122, 184), (342, 512))][seed % 3]
        fields, heat = paint(seed, -(-inner[0] // 8), -(-inner[1] // 8))
        cases.append({"seed": seed, "inner": inner, "size": size, "poses": poses(fields, heat, inner, size)})
    print([len(case["poses"]) for case in cases], sum(j is not None for case in cases for p in case["poses"] for j in p))
    (DATA / "openpose.json").write_text(json.dumps({"pictures": pictures, "cases": cases}) + "\n")


if __name__ == "__main__":
    main()
