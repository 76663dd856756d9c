"""A square canvas in unit coordinates that keeps a picture and, beside it, how near each painted pixel is."""

import numpy as np
from PIL import Image, ImageDraw

from .palette import Rgb

Point = tuple[float, float]


class Canvas:
    """(0, 0) is the top left corner, (1, 1) the bottom right one.

    `near` is what the next strokes write into the depth map: 0 is farthest, 255 nearest (inverse depth, as depth
    estimators give it).
    """

    def __init__(self, side: int):
        self.side = side
        self.picture = Image.new("RGB", (side, side))
        self.depth = Image.new("L", (side, side))
        self.near = 0
        self._open()

    def _open(self) -> None:
        self._pen, self._depth_pen = ImageDraw.Draw(self.picture), ImageDraw.Draw(self.depth)

    def _scaled(self, points: list[Point]) -> list[Point]:
        return [(x * self.side, y * self.side) for x, y in points]

    def _box(self, x: float, y: float, rx: float, ry: float) -> list[Point]:
        n = self.side
        return [((x - rx) * n, (y - ry) * n), ((x + rx) * n, (y + ry) * n)]

    def ellipse(
        self, x: float, y: float, rx: float, ry: float, fill: Rgb | None, outline: Rgb | None = None, width: float = 0
    ) -> None:
        box, pixels = self._box(x, y, rx, ry), int(width * self.side)
        self._pen.ellipse(box, fill=fill, outline=outline, width=pixels)
        marks = {"fill": None if fill is None else self.near, "outline": None if outline is None else self.near}
        self._depth_pen.ellipse(box, width=pixels, **marks)

    def rectangle(self, x0: float, y0: float, x1: float, y1: float, fill: Rgb) -> None:
        n = self.side
        box = [x0 * n, y0 * n, x1 * n, y1 * n]
        self._pen.rectangle(box, fill=fill)
        self._depth_pen.rectangle(box, fill=self.near)

    def rounded(self, x0: float, y0: float, x1: float, y1: float, radius: float, fill: Rgb) -> None:
        n = self.side
        box = [x0 * n, y0 * n, x1 * n, y1 * n]
        self._pen.rounded_rectangle(box, radius=radius * n, fill=fill)
        self._depth_pen.rounded_rectangle(box, radius=radius * n, fill=self.near)

    def polygon(self, points: list[Point], fill: Rgb) -> None:
        self._pen.polygon(self._scaled(points), fill=fill)
        self._depth_pen.polygon(self._scaled(points), fill=self.near)

    def line(self, points: list[Point], fill: Rgb, width: float) -> None:
        pixels = max(1, int(width * self.side))
        self._pen.line(self._scaled(points), fill=fill, width=pixels, joint="curve")
        self._depth_pen.line(self._scaled(points), fill=self.near, width=pixels, joint="curve")

    def arc(self, x: float, y: float, rx: float, ry: float, start: float, end: float, fill: Rgb, width: float) -> None:
        pixels = max(1, int(width * self.side))
        self._pen.arc(self._box(x, y, rx, ry), start, end, fill=fill, width=pixels)
        self._depth_pen.arc(self._box(x, y, rx, ry), start, end, fill=self.near, width=pixels)

    def chord(self, x0: float, y0: float, x1: float, y1: float, start: float, end: float, fill: Rgb) -> None:
        n = self.side
        box = [x0 * n, y0 * n, x1 * n, y1 * n]
        self._pen.chord(box, start, end, fill=fill)
        self._depth_pen.chord(box, start, end, fill=self.near)

    def gradient(self, top: Rgb, bottom: Rgb, y0: float = 0.0, y1: float = 1.0) -> None:
        """Fills rows y0 … y1 from one colour to another."""
        a, b = int(y0 * self.side), int(y1 * self.side)
        share = np.linspace(0, 1, max(1, b - a))[:, None, None]
        rows = (np.array(top) * (1 - share) + np.array(bottom) * share).astype(np.uint8)
        self.picture.paste(Image.fromarray(np.broadcast_to(rows, (rows.shape[0], self.side, 3)).copy()), (0, a))
        self.depth.paste(self.near, (0, a, self.side, b))
        self._open()

    def slope(self, far: int, near: int, y0: float) -> None:
        """Depth of ground that comes nearer from row y0 to the bottom; paints nothing."""
        a = int(y0 * self.side)
        rows = np.linspace(far, near, self.side - a)[:, None].astype(np.uint8)
        self.depth.paste(Image.fromarray(np.repeat(rows, self.side, axis=1)), (0, a))
        self._open()

    def replace_picture(self, picture: Image.Image) -> None:
        self.picture = picture
        self._open()
