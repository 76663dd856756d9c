"""Picture files of every kind and what Pillow reads from them: packages/engine/test/golden/data/image-files/.

    python scripts/golden/image_files.py
"""

import base64
import json
import pathlib
import struct
import zlib

import numpy as np
import PIL
from PIL import Image, ImageCms, ImageOps, features

FOLDER = pathlib.Path(__file__).parents[2] / "packages/engine/test/golden/data/image-files"
WIDTH, HEIGHT = 24, 17

Y, X = np.mgrid[:HEIGHT, :WIDTH]
RGB = np.stack([X * 10 % 256, Y * 14 % 256, X * Y * 3 % 256], -1).astype(np.uint8)
ALPHA = ((X + Y) * 6 % 256).astype(np.uint8)
COLOUR = Image.fromarray(RGB)
TRANSPARENT = Image.fromarray(np.dstack([RGB, ALPHA]))
GREY = COLOUR.convert("L")
PALETTE = COLOUR.quantize(16)
WIDE = RGB.astype(np.uint16) * 200 + (X * 37 % 256)[..., None].astype(np.uint16)
WIDE_GREY = WIDE[..., 0]
INKS = Image.fromarray(np.dstack([RGB, ALPHA]), "CMYK")
# sRGB with red and green exchanged: a reader that applies profiles shows it.
EXCHANGED = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
EXCHANGED = EXCHANGED.replace(b"rXYZ", b"????").replace(b"gXYZ", b"rXYZ").replace(b"????", b"gXYZ")

EXACT = (0, "lossless: every byte")
LOSSY = (2, "lossy: decoders round their transforms and colour conversion by processor")


def exif(orientation):
    tags = Image.Exif()
    tags[0x112] = orientation
    return tags


def png16(samples, colour_type):
    """Pillow writes no 16-bit colour."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in samples)
    header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 16, colour_type, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


BITS_565 = (X * 2719 + Y * 1543) % 65536


def bitmap(bits, rows, masks=None, top_down=False, palette=b"", compression=0):
    """Kinds that Pillow reads and does not write."""
    data = rows.tobytes() if isinstance(rows, np.ndarray) else rows
    extra = struct.pack("<3I", *masks) if masks else palette
    compression = 3 if masks else compression
    height = -HEIGHT if top_down else HEIGHT
    header = struct.pack("<IiiHHIIiiII", 40, WIDTH, height, 1, bits, compression, len(data), 2835, 2835, len(palette) // 4, 0)
    offset = 14 + len(header) + len(extra)
    return b"BM" + struct.pack("<IHHI", offset + len(data), 0, 0, offset) + header + extra + data


COLOURS_16 = bytes(np.dstack([np.arange(16) * 13, 255 - np.arange(16) * 9, np.arange(16) * 17, np.zeros(16)]).astype(np.uint8))


def run_length_bitmap():
    """Runs, a literal stretch of odd length, a jump, and lines that end early."""
    line = bytes([5, 3, 0, 3, 1, 2, 4, 0, 10, 7, 6, 9])
    jump = bytes([4, 2, 0, 2, 6, 1, 8, 5])
    return bitmap(8, line + b"\0\0" + jump + b"\0\0" + (bytes([24, 11]) + b"\0\0") * 14 + b"\0\1", palette=COLOURS_16, compression=1)


def four_bit_bitmap():
    return bitmap(4, (X[:, ::2] % 16 * 16 + Y[:, ::2] % 16).astype(np.uint8), palette=COLOURS_16)


def text_pnm(kind, samples, largest):
    rows = "\n".join(" ".join(str(v) for v in row.ravel()) for row in samples)
    return f"{kind}\n# a comment\n{WIDTH} {HEIGHT} # another\n{largest}\n{rows}\n".encode()


FILES = [
    ("rgb.jpg", COLOUR, {"quality": 90}, LOSSY),
    ("444.jpg", COLOUR, {"quality": 90, "subsampling": 0}, LOSSY),
    ("progressive.jpg", COLOUR, {"quality": 90, "progressive": True}, LOSSY),
    ("grey.jpg", GREY, {"quality": 90}, LOSSY),
    ("cmyk.jpg", INKS, {"quality": 90}, LOSSY),
    *((f"orientation-{i}.jpg", COLOUR, {"quality": 60, "exif": exif(i)}, LOSSY) for i in range(2, 9)),
    ("orientation-6.png", COLOUR, {"exif": exif(6)}, EXACT),
    ("orientation-6.webp", COLOUR, {"exif": exif(6), "lossless": True}, EXACT),
    ("rgb.png", COLOUR, {}, EXACT),
    ("profile.png", COLOUR, {"icc_profile": EXCHANGED}, EXACT),
    ("alpha.png", TRANSPARENT, {}, EXACT),
    ("grey.png", GREY, {}, EXACT),
    ("grey-alpha.png", Image.fromarray(np.dstack([np.array(GREY), ALPHA])), {}, EXACT),
    ("palette.png", PALETTE, {}, EXACT),
    ("palette-transparent.png", PALETTE, {"transparency": 3}, EXACT),
    ("one-bit.png", COLOUR.convert("1"), {}, EXACT),
    ("rgb16.png", png16(WIDE, 2), {}, EXACT),
    ("alpha16.png", png16(np.dstack([WIDE, WIDE_GREY]), 6), {}, EXACT),
    ("grey16.png", png16(WIDE_GREY[..., None], 0), {}, EXACT),
    ("still.gif", PALETTE, {}, EXACT),
    ("animation.gif", PALETTE, {"save_all": True, "append_images": [PALETTE.rotate(180)], "duration": 100}, EXACT),
    ("lossy.webp", COLOUR, {"quality": 80}, LOSSY),
    ("alpha.webp", TRANSPARENT, {"lossless": True, "exact": True}, EXACT),
    ("animation.webp", COLOUR, {"save_all": True, "append_images": [COLOUR.rotate(180)], "lossless": True}, EXACT),
    ("lzw.tiff", COLOUR, {"compression": "tiff_lzw"}, EXACT),
    ("cmyk.tiff", INKS, {"compression": "tiff_lzw"}, EXACT),
    ("alpha.tiff", TRANSPARENT, {"compression": "tiff_lzw"}, EXACT),
    ("rgb.bmp", COLOUR, {}, EXACT),
    ("alpha.bmp", TRANSPARENT, {}, EXACT),
    ("grey.bmp", GREY, {}, EXACT),
    ("palette.bmp", PALETTE, {}, EXACT),
    ("one-bit.bmp", COLOUR.convert("1"), {}, EXACT),
    ("top-down.bmp", bitmap(24, np.pad(RGB[..., ::-1].reshape(HEIGHT, -1), ((0, 0), (0, -WIDTH * 3 % 4))), top_down=True), {}, EXACT),
    ("565.bmp", bitmap(16, np.pad(BITS_565, ((0, 0), (0, WIDTH % 2))).astype("<u2"), (0xF800, 0x7E0, 0x1F)), {}, EXACT),
    ("555.bmp", bitmap(16, np.pad(BITS_565 & 0x7FFF, ((0, 0), (0, WIDTH % 2))).astype("<u2")), {}, EXACT),
    ("rle8.bmp", run_length_bitmap(), {}, EXACT),
    ("four-bit.bmp", four_bit_bitmap(), {}, EXACT),
    ("bitmap.ico", TRANSPARENT, {"bitmap_format": "bmp", "sizes": [(16, 11), (24, 17)]}, EXACT),
    ("png.ico", TRANSPARENT, {"sizes": [(16, 11), (24, 17)]}, EXACT),
    ("rgb.ppm", COLOUR, {}, EXACT),
    ("grey.pgm", GREY, {}, EXACT),
    ("one-bit.pbm", COLOUR.convert("1"), {}, EXACT),
    ("text.ppm", text_pnm("P3", RGB % 100, 99), {}, EXACT),
    ("text.pgm", text_pnm("P2", RGB[..., 0] % 16, 15), {}, EXACT),
    ("text.pbm", b"P1 # bits\n24 17\n" + b"\n".join(b"".join(b"%d" % b for b in row) for row in RGB[..., 1] & 1), {}, EXACT),
    ("rgb16.ppm", b"P6\n24 17\n65535\n" + WIDE.astype(">u2").tobytes(), {}, EXACT),
    ("444.avif", COLOUR, {"quality": 100, "subsampling": "4:4:4"}, LOSSY),
]


def write(name, picture, options):
    if isinstance(picture, bytes):
        (FOLDER / name).write_bytes(picture)
    else:
        picture.save(FOLDER / name, **options)


def read(name):
    if name == "grey16.png":
        # Pillow clips 16-bit grey at 255, which makes it white; the high byte is what it takes of 16-bit colour.
        return np.repeat((WIDE_GREY >> 8).astype(np.uint8)[..., None], 3, axis=2)
    return np.array(ImageOps.exif_transpose(Image.open(FOLDER / name)).convert("RGB"))


def case(name, picture, options, tolerance):
    write(name, picture, options)
    pixels = read(name)
    return {
        "name": name,
        "width": pixels.shape[1],
        "height": pixels.shape[0],
        "tolerance": tolerance[0],
        "reason": tolerance[1],
        "rgb": base64.b64encode(zlib.compress(pixels.tobytes(), 9)).decode(),
    }


def main():
    FOLDER.mkdir(exist_ok=True)
    versions = {"pillow": PIL.__version__} | {codec: features.version(codec) for codec in ("jpg", "webp", "avif", "libtiff")}
    golden = {"versions": versions, "files": [case(*file) for file in FILES]}
    (FOLDER / "expected.json").write_text(json.dumps(golden, indent=1) + "\n")


main()
