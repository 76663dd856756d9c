"""Named colours and what is done to them."""

Rgb = tuple[int, int, int]

COLORS: dict[str, Rgb] = {
    "red": (214, 48, 49), "orange": (230, 126, 34), "yellow": (244, 208, 63), "green": (46, 160, 90),
    "teal": (22, 160, 160), "blue": (41, 98, 214), "purple": (125, 60, 190), "pink": (240, 130, 180),
    "brown": (121, 85, 60), "black": (30, 30, 36), "white": (245, 245, 245), "gray": (140, 145, 150),
    "gold": (218, 165, 32), "navy": (25, 42, 86), "beige": (236, 220, 190),
}  # fmt: skip
HAIR: dict[str, Rgb] = {
    "black": (28, 26, 30), "brown": (95, 60, 35), "blonde": (235, 205, 120), "golden": (226, 170, 40),
    "red": (178, 62, 34), "gray": (150, 150, 155), "silver": (200, 204, 212), "white": (240, 240, 240),
    "blue": (60, 110, 220), "pink": (238, 120, 175), "green": (60, 165, 95), "purple": (130, 70, 185),
}  # fmt: skip
SKIN: dict[str, Rgb] = {
    "pale": (250, 224, 205), "fair": (240, 200, 165), "tan": (212, 160, 115), "brown": (150, 100, 65), "dark": (96, 62, 42),
}  # fmt: skip
EYES: dict[str, Rgb] = {"blue": (50, 110, 210), "green": (50, 150, 80), "brown": (90, 55, 30), "gray": (120, 130, 140)}


def shade(color: Rgb, factor: float) -> Rgb:
    return tuple(int(max(0, min(255, v * factor))) for v in color)


def mix(a: Rgb, b: Rgb, share: float) -> Rgb:
    return tuple(int(x * (1 - share) + y * share) for x, y in zip(a, b, strict=True))
