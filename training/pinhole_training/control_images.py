"""Control images of scenes: Canny edges, key points of bodies as OpenPose draws them and of faces as InstantID does, inverse depth."""

import math

import cv2
import numpy as np

from . import scenes

CONTROL_SIDE = 256
#: OpenPose's order of key points; those that a head-and-shoulders portrait never shows are left out.
JOINTS = {
    "nose": 1, "neck": 2, "right shoulder": 3, "right elbow": 4, "left shoulder": 6, "left elbow": 7,
    "right eye": 15, "left eye": 16, "right ear": 17, "left ear": 18,
}  # fmt: skip
LIMBS = (
    (2, 3), (2, 6), (3, 4), (4, 5), (6, 7), (7, 8), (2, 9), (9, 10), (10, 11), (2, 12), (12, 13), (13, 14), (2, 1), (1, 15),
    (15, 17), (1, 16), (16, 18),
)  # fmt: skip
COLORS = (
    (255, 0, 0), (255, 85, 0), (255, 170, 0), (255, 255, 0), (170, 255, 0), (85, 255, 0), (0, 255, 0), (0, 255, 85),
    (0, 255, 170), (0, 255, 255), (0, 170, 255), (0, 85, 255), (0, 0, 255), (85, 0, 255), (170, 0, 255), (255, 0, 255),
    (255, 0, 170), (255, 0, 85),
)  # fmt: skip

#: InstantID's colours of eyes, nose and corners of the mouth, from left to right.
FACE_COLORS = ((255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0), (255, 0, 255))
#: Its discs and half the width of its lines, in pixels of a picture of this side.
FACE_SIDE, FACE_RADIUS, FACE_HALF_WIDTH = 1024, 10, 4


def canny_edges(picture: np.ndarray, low: int = 100, high: int = 200) -> np.ndarray:
    """(side, side), 0 or 1, of an RGB picture."""
    return (cv2.Canny(picture, low, high) > 0).astype(np.uint8)


def draw_pose(points: dict[int, tuple[float, float]], side: int) -> np.ndarray:
    """RGB picture of a body, as controlnet_aux draws it at 512 pixels: limbs of half width 4, then discs of radius 4.

    `points` are pixels of a canvas of `side`; widths grow with it.
    """
    canvas = np.zeros((side, side, 3), np.uint8)
    width = max(2, round(4 * side / 512))
    for number, (a, b) in enumerate(LIMBS):
        if a in points and b in points:
            (ax, ay), (bx, by) = points[a], points[b]
            angle = int(math.degrees(math.atan2(ay - by, ax - bx)))
            length = math.hypot(ax - bx, ay - by)
            middle = (int((ax + bx) / 2), int((ay + by) / 2))
            outline = cv2.ellipse2Poly(middle, (int(length / 2), width), angle, 0, 360, 1)
            cv2.fillConvexPoly(canvas, outline, [int(v * 0.6) for v in COLORS[number]])
    for joint, (x, y) in points.items():
        cv2.circle(canvas, (int(x), int(y)), width, COLORS[joint - 1], thickness=-1)
    return canvas


def pose_of(scene: dict, side: int = CONTROL_SIDE) -> np.ndarray:
    """The pose of a portrait; black where nobody is seen."""
    if scene["kind"] != "portrait":
        return np.zeros((side, side, 3), np.uint8)
    points = {JOINTS[name]: (x * side, y * side) for name, (x, y) in scenes.body_points(scene).items()}
    seen = {joint: (x, y) for joint, (x, y) in points.items() if 0 <= x < side and 0 <= y < side}
    return draw_pose(seen, side)


def draw_face_points(points: np.ndarray, side: int = CONTROL_SIDE) -> np.ndarray:
    """Five points (5, 2), as shares of the side, and what joins them to the nose, as InstantID draws them at 1024 pixels, shrunk."""
    canvas = np.zeros((FACE_SIDE, FACE_SIDE, 3), np.uint8)
    pixels = points * FACE_SIDE
    nose = pixels[2]
    for number in (0, 1, 3, 4):
        (x, y), (dx, dy) = (pixels[number] + nose) / 2, pixels[number] - nose
        axes = (int(math.hypot(dx, dy) / 2), FACE_HALF_WIDTH)
        outline = cv2.ellipse2Poly((int(x), int(y)), axes, int(math.degrees(math.atan2(dy, dx))), 0, 360, 1)
        cv2.fillConvexPoly(canvas, outline, FACE_COLORS[number])
    canvas = (canvas * 0.6).astype(np.uint8)
    for number, (x, y) in enumerate(pixels):
        cv2.circle(canvas, (int(x), int(y)), FACE_RADIUS, FACE_COLORS[number], thickness=-1)
    return cv2.resize(canvas, (side, side), interpolation=cv2.INTER_AREA)


def face_points_of(scene: dict, side: int = CONTROL_SIDE) -> np.ndarray:
    """The same of a portrait."""
    return draw_face_points(np.array(scenes.face_points(scene)), side)


def stretch_depth(depth: np.ndarray) -> np.ndarray:
    """Inverse depth stretched to 0 … 255, as depth estimators' results are, as an RGB picture."""
    values = depth.astype(np.float32)
    low, high = values.min(), values.max()
    gray = ((values - low) / max(1.0, high - low) * 255).astype(np.uint8)
    return np.repeat(gray[..., None], 3, axis=2)
