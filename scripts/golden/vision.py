"""Edges, drawings and bilinear sampling as OpenCV makes them.

    python scripts/golden/vision.py

Written to packages/engine/test/golden/data/vision: drawings.json, with a digest of each picture's bytes. People and faces are drawn at
random by a rule that the test follows too, so that 1,000 of each are no more than their digests.
"""

import hashlib
import json
import math
import pathlib

import cv2
import matplotlib.colors
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
    """DWPose's draw_bodypose, coordinates as fractions of the canvas."""
    canvas = np.zeros((height, width, 3), np.uint8)
    people = [[joint and (joint[0] / width, joint[1] / height) for joint in pose["body"]] for pose in poses]
    for (a, b), colour in zip(LIMBS, BODY_COLOURS):
        for joints in people:
            if not (joints[a - 1] and joints[b - 1]):
                continue
            x = np.array([joints[a - 1][0], joints[b - 1][0]]) * float(width)
            y = np.array([joints[a - 1][1], joints[b - 1][1]]) * float(height)
            length = ((y[0] - y[1]) ** 2 + (x[0] - x[1]) ** 2) ** 0.5
            angle = math.degrees(math.atan2(y[0] - y[1], x[0] - x[1]))
            centre = (int(np.mean(x)), int(np.mean(y)))
            polygon = cv2.ellipse2Poly(centre, (int(length / 2), 4), int(angle), 0, 360, 1)
            cv2.fillConvexPoly(canvas, polygon, colour)
    canvas = (canvas * 0.6).astype(np.uint8)
    for i, colour in enumerate(BODY_COLOURS):
        for joints in people:
            if joints[i]:
                cv2.circle(canvas, (int(joints[i][0] * width), int(joints[i][1] * height)), 4, colour, thickness=-1)
    return canvas


def pixel(point, width, height):
    """Whole pixels; what DWPose does not draw of hands and faces is None, as what is not seen, whose coordinates it sets to -1."""
    if point is None:
        return None
    x, y = int(point[0] / width * width), int(point[1] / height * height)
    return (x, y) if x > 0.01 and y > 0.01 else None


def draw_hands(canvas, poses, width, height):
    """DWPose's draw_handpose."""
    edges = [(4 * f + i if i else 0, 4 * f + i + 1) for f in range(5) for i in range(4)]
    for hand in [pose["left"] for pose in poses] + [pose["right"] for pose in poses]:
        points = [pixel(point, width, height) for point in hand]
        for i, (a, b) in enumerate(edges):
            if points[a] and points[b]:
                colour = matplotlib.colors.hsv_to_rgb([i / float(len(edges)), 1.0, 1.0]) * 255
                cv2.line(canvas, points[a], points[b], colour, thickness=2)
        for point in points:
            if point:
                cv2.circle(canvas, point, 4, (0, 0, 255), thickness=-1)
    return canvas


def draw_faces(canvas, poses, width, height):
    """DWPose's draw_facepose."""
    for pose in poses:
        for point in pose["face"]:
            if pixel(point, width, height):
                cv2.circle(canvas, pixel(point, width, height), 3, (255, 255, 255), thickness=-1)
    return canvas


def draw_masks(poses, width, height):
    canvas = np.zeros((height, width, 3), np.uint8)
    for pose in poses:
        for region in (pose["left"], pose["right"], pose["face"]):
            points = [pixel(point, width, height) for point in region]
            points = np.array([point for point in points if point], np.int32)
            if len(points):
                cv2.fillConvexPoly(canvas, cv2.convexHull(points), (255, 255, 255))
    return canvas


class Random:
    """The linear congruential generator of Numerical Recipes, 0 to 1 in steps of 2**-32."""

    def __init__(self, seed):
        self.state = seed

    def next(self):
        self.state = (self.state * 1664525 + 1013904223) % 2**32
        return self.state / 2**32

    def below(self, limit):
        return int(self.next() * limit)

    def points(self, count, width, height, spread):
        """Around a centre of the canvas, some beyond its sides, some on whole pixels, some not seen (None)."""
        centre_x, centre_y = self.next() * width, self.next() * height
        result = []
        for _ in range(count):
            x, y = centre_x + (self.next() - 0.5) * spread, centre_y + (self.next() - 0.5) * spread
            kind = self.next()
            if kind < 0.2:
                x, y = float(math.floor(x)), float(math.floor(y))
            result.append(None if kind > 0.9 else (x, y))
        return result


def random_drawing(seed):
    """Digests of what is drawn of up to three people, and of a face."""
    random = Random(seed)
    width, height = 24 + random.below(136), 24 + random.below(136)
    poses = []
    for _ in range(1 + random.below(3)):
        spread = (8, 90, 300)[random.below(3)]
        counts = {"body": 18, "left": 21, "right": 21, "face": 68}
        poses.append({part: random.points(count, width, height, spread) for part, count in counts.items()})
    face = [point or (1.0, 1.0) for point in random.points(5, width, height, (8, 60, 200)[random.below(3)])]
    body = draw_bodies(poses, width, height)
    hands = draw_hands(np.zeros_like(body), poses, width, height)
    whole = draw_faces(draw_hands(body.copy(), poses, width, height), poses, width, height)
    drawings = {
        "body": body, "hands": hands, "whole": whole, "masks": draw_masks(poses, width, height),
        "key_points": draw_face(face, width, height),
    }  # fmt: skip
    return {kind: sha256(drawing)[:8] for kind, drawing in drawings.items()}


def size(rng):
    return int(rng.integers(24, 400)), int(rng.integers(24, 400))


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
    rng = np.random.default_rng(1)
    drawn = [random_drawing(seed) for seed in range(1000)]
    report = {
        "opencv": cv2.__version__,
        "random": {kind: "".join(one[kind] for one in drawn) for kind in drawn[0]},
        "polygons": [polygon_case(rng) for _ in range(12)],
        "canny": [canny_case(("rings", "steps", "noise")[i % 3], rng, i) for i in range(50)],
        "sampling": [sampling_case(rng, i) for i in range(12)],
    }
    (DATA / "drawings.json").write_text(json.dumps(report) + "\n")


if __name__ == "__main__":
    main()
