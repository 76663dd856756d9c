"""Edges, drawings and bilinear sampling as OpenCV makes them.

    python scripts/golden/vision.py                      the committed cases
    python scripts/golden/vision.py --many FOLDER        1,000 poses, 1,000 faces and 50 pictures for compare-vision.ts

Written to packages/engine/test/golden/data/vision (or FOLDER): drawings.json, with a digest of each picture's RGB bytes.
"""

import argparse
import hashlib
import json
import math
import pathlib

import cv2
import numpy as np

DATA = pathlib.Path(__file__).parents[2] / "packages/engine/test/golden/data/vision"
FACE_COLOURS = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0), (255, 0, 255)]
LIMBS = [
    (2, 3), (2, 6), (3, 4), (4, 5), (6, 7), (7, 8), (2, 9), (9, 10), (10, 11), (2, 12), (12, 13), (13, 14), (2, 1), (1, 15),
    (15, 17), (1, 16), (16, 18),
]  # fmt: skip
BODY_COLOURS = [
    (255, 0, 0), (255, 85, 0), (255, 170, 0), (255, 255, 0), (170, 255, 0), (85, 255, 0), (0, 255, 0), (0, 255, 85),
    (0, 255, 170), (0, 255, 255), (0, 170, 255), (0, 85, 255), (0, 0, 255), (85, 0, 255), (170, 0, 255), (255, 0, 255),
    (255, 0, 170), (255, 0, 85),
]  # fmt: skip


def sha256(array):
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()


def draw_face(points, width, height):
    """InstantID's draw_kps, on float32 key points as insightface gives them."""
    kps = np.array(points, np.float32)
    image = np.zeros([height, width, 3])
    for pair in np.array([[0, 2], [1, 2], [3, 2], [4, 2]]):
        x, y = kps[pair][:, 0], kps[pair][:, 1]
        length = ((x[0] - x[1]) ** 2 + (y[0] - y[1]) ** 2) ** 0.5
        angle = math.degrees(math.atan2(y[0] - y[1], x[0] - x[1]))
        polygon = cv2.ellipse2Poly((int(np.mean(x)), int(np.mean(y))), (int(length / 2), 4), int(angle), 0, 360, 1)
        image = cv2.fillConvexPoly(image.copy(), polygon, FACE_COLOURS[pair[0]])
    image = (image * 0.6).astype(np.uint8)
    for colour, (x, y) in zip(FACE_COLOURS, kps):
        image = cv2.circle(image.copy(), (int(x), int(y)), 10, colour, -1)
    return image


def draw_bodies(poses, width, height):
    """controlnet_aux's draw_bodypose for each person, coordinates as fractions of the canvas."""
    canvas = np.zeros((height, width, 3), np.uint8)
    for pose in poses:
        joints = [joint and (joint[0] / width, joint[1] / height) for joint in pose]
        for (a, b), colour in zip(LIMBS, BODY_COLOURS):
            if not (joints[a - 1] and joints[b - 1]):
                continue
            x = np.array([joints[a - 1][0], joints[b - 1][0]]) * float(width)
            y = np.array([joints[a - 1][1], joints[b - 1][1]]) * float(height)
            length = ((y[0] - y[1]) ** 2 + (x[0] - x[1]) ** 2) ** 0.5
            angle = math.degrees(math.atan2(y[0] - y[1], x[0] - x[1]))
            centre = (int(np.mean(x)), int(np.mean(y)))
            polygon = cv2.ellipse2Poly(centre, (int(length / 2), 4), int(angle), 0, 360, 1)
            cv2.fillConvexPoly(canvas, polygon, [int(float(c) * 0.6) for c in colour])
        for joint, colour in zip(joints, BODY_COLOURS):
            if joint:
                cv2.circle(canvas, (int(joint[0] * width), int(joint[1] * height)), 4, colour, thickness=-1)
    return canvas


def size(rng):
    return int(rng.integers(24, 400)), int(rng.integers(24, 400))


def near(rng, centre, spread):
    """A point that may lie outside the canvas, sometimes on whole pixels."""
    x, y = (float(np.float32(c + rng.normal() * spread)) for c in centre)
    return [float(round(x)), float(round(y))] if rng.random() < 0.2 else [x, y]


def face_case(rng):
    width, height = size(rng)
    centre = rng.uniform(0, width), rng.uniform(0, height)
    points = [near(rng, centre, rng.choice([2, 20, 60])) for _ in range(5)]
    return {"width": width, "height": height, "points": points, "sha256": sha256(draw_face(points, width, height))}


def body_case(rng):
    width, height = size(rng)
    poses = []
    for _ in range(int(rng.integers(1, 4))):
        centre = rng.uniform(0, width), rng.uniform(0, height)
        poses.append([None if rng.random() < 0.15 else near(rng, centre, rng.choice([3, 30, 90])) for _ in range(18)])
    return {"width": width, "height": height, "poses": poses, "sha256": sha256(draw_bodies(poses, width, height))}


def picture(kind, width, height, seed):
    """Smooth rings, steps and noise by whole numbers, by the rule that the test follows too."""
    x, y = np.meshgrid(np.arange(width, dtype=np.int64), np.arange(height, dtype=np.int64))
    channels = []
    for c in range(3):
        cx, cy = (seed * 37 + c * 11) % width, (seed * 53 + c * 7) % height
        distance = (x - cx) ** 2 + (y - cy) ** 2
        if kind == "rings":
            channels.append(distance // (seed % 40 + 5) % 256)
        elif kind == "steps":
            channels.append((x // (seed % 9 + 2) * 67 + y // (seed % 7 + 3) * 41 + c * 30) % 256)
        else:
            channels.append((distance * (seed + 3) ^ (x * y)) % 251)
    return np.stack(channels, axis=-1).astype(np.uint8)


def canny_case(kind, rng, seed):
    width, height = int(rng.integers(3, 200)), int(rng.integers(3, 200))
    # The steps' gradients are 4 * 41 and 4 * 67: both thresholds are met exactly.
    low, high = [164, 268] if kind == "steps" else ([100, 200], [50, 120], [20, 400])[seed % 3]
    bgr = cv2.cvtColor(picture(kind, width, height, seed), cv2.COLOR_RGB2BGR)
    edges = cv2.Canny(bgr, low, high)
    return {
        "kind": kind, "width": width, "height": height, "seed": seed, "low": low, "high": high,
        "edges": int((edges > 0).sum()), "sha256": sha256(edges),
    }  # fmt: skip


def polygon_case(rng):
    """Long edges, many of them cut off by the canvas."""
    width, height = size(rng)
    cloud = rng.uniform(-0.7, 1.7, (int(rng.integers(3, 9)), 2)) * [width, height]
    points = cv2.convexHull(cloud.astype(np.int32))[:, 0].tolist()
    canvas = np.zeros((height, width, 3), np.uint8)
    cv2.fillConvexPoly(canvas, np.array(points), (10, 200, 30))
    for a, b in zip(points, points[1:]):
        cv2.line(canvas, a, b, (250, 0, 90))
    return {"width": width, "height": height, "points": points, "sha256": sha256(canvas)}


def sampling_case(rng, seed):
    """cv2.resize and cv2.warpAffine of one picture."""
    width, height = int(rng.integers(1, 150)), int(rng.integers(1, 150))
    rgb = picture(("rings", "noise")[seed % 2], width, height, seed)
    to_width, to_height = int(rng.integers(1, 150)), int(rng.integers(1, 150))
    if seed % 5 == 0:
        to_width, to_height = max(1, width // 2), max(1, height // 2)
    scale, turn = rng.uniform(0.2, 3), rng.uniform(-3.2, 3.2)
    a, b = scale * math.cos(turn), scale * math.sin(turn)
    matrix = [a, -b, rng.uniform(-50, 150), b, a, rng.uniform(-50, 150)]
    warped = cv2.warpAffine(rgb, np.array(matrix).reshape(2, 3), (112, 112), borderValue=0.0)
    return {
        "kind": ("rings", "noise")[seed % 2], "width": width, "height": height, "seed": seed, "to": [to_width, to_height],
        "matrix": matrix, "resized": sha256(cv2.resize(rgb, (to_width, to_height))), "warped": sha256(warped),
    }  # fmt: skip


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--many", type=pathlib.Path)
    folder = arguments.parse_args().many
    drawings, pictures = (1000, 50) if folder else (12, 12)
    folder = folder or DATA
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(1)
    report = {
        "opencv": cv2.__version__,
        "faces": [face_case(rng) for _ in range(drawings)],
        "bodies": [body_case(rng) for _ in range(drawings)],
        "polygons": [polygon_case(rng) for _ in range(drawings)],
        "canny": [canny_case(("rings", "steps", "noise")[i % 3], rng, i) for i in range(pictures)],
        "sampling": [sampling_case(rng, i) for i in range(pictures)],
    }
    (folder / "drawings.json").write_text(json.dumps(report) + "\n")


if __name__ == "__main__":
    main()
