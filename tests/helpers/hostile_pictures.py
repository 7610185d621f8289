"""Files that are called pictures: too large, damaged, of other kinds, or made to do harm."""

import io
import struct
import zlib
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw


def drawing(kind: str = "PNG", **options) -> bytes:
    """A drawing in a format that is read."""
    image = Image.new("L", (60, 60), 255)
    ImageDraw.Draw(image).line([(10, 10), (50, 40), (20, 50)], fill=0, width=4)
    file = io.BytesIO()
    image.convert("RGB" if kind in ("JPEG", "WEBP") else "L").save(file, kind, **options)
    return file.getvalue()


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(width: int, height: int, *chunks: bytes, rows: bytes = b"", depth: int = 8, colour: int = 0) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    data = chunk(b"IDAT", zlib.compress(rows or bytes(height * (width + 1))[:1000]))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + b"".join(chunks) + data + chunk(b"IEND", b"")


def with_chunk(kind: bytes, content: bytes) -> bytes:
    """The drawing as PNG with one chunk more."""
    whole = drawing()
    return whole[:33] + chunk(kind, content) + whole[33:]


def gif_of(frames: int) -> bytes:
    whole = drawing("GIF")
    start = whole.index(b",\0\0\0\0")
    return whole[:-1] + whole[start:-1] * frames + b";"


def tiff(*tags: tuple[int, int, int, int], rest: bytes = b"") -> bytes:
    """A TIFF of 8×8 grey pixels in which some tags (number, type, count, value) are replaced or added."""
    given = {tag[0]: tag for tag in tags}
    usual = {
        number: (number, 4, 1, value)
        for number, value in {256: 8, 257: 8, 258: 8, 259: 1, 262: 1, 273: 8, 277: 1, 278: 8, 279: 64}.items()
    }
    entries = sorted((usual | given).values())
    directory = struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHII", *tag) for tag in entries)
    return b"II*\0" + struct.pack("<I", 72) + bytes(range(0, 256, 4)) + directory + struct.pack("<I", 0) + rest


def endless_tiff() -> bytes:
    """A TIFF whose first directory is followed by itself."""
    whole = tiff()
    return whole[:-4] + struct.pack("<I", 72)


def bomb(size: int) -> bytes:
    return zlib.compress(bytes(size), 9)


def truncated(content: bytes) -> bytes:
    return content[: len(content) * 2 // 3]


PICTURES: dict[str, Callable[[], bytes]] = {
    "60,000 × 60,000 PNG": lambda: png(60_000, 60_000),
    "10,000 × 10,000 PNG": lambda: png(10_000, 10_000),
    "PNG of 2³¹ columns": lambda: png(2**31 - 1, 1),
    "PNG without rows": lambda: png(0, 0),
    "PNG of 16 bits and huge": lambda: png(40_000, 40_000, depth=16, colour=6),
    "PNG with 5 MB of text": lambda: with_chunk(b"zTXt", b"a\0\0" + bomb(5_000_000)),
    "PNG with 5 MB of Unicode": lambda: with_chunk(b"iTXt", b"a\0\1\0\0\0" + bomb(5_000_000)),
    "PNG with 5 MB of colours": lambda: with_chunk(b"iCCP", b"a\0\0" + bomb(5_000_000)),
    "PNG with 10,000 texts": lambda: drawing()[:33]
    + chunk(b"zTXt", b"a\0\0" + bomb(50_000)) * 10_000
    + drawing()[33:],
    "PNG with damaged EXIF": lambda: with_chunk(b"eXIf", b"MM\0*\xff\xff\xff\xff" + bytes(100)),
    "PNG with data for 20 MB": lambda: png(100, 100, rows=bytes(20_000_000)),
    "PNG that lacks data": lambda: png(100, 100, rows=bytes(100)),
    "PNG with a wrong checksum": lambda: drawing()[:-5] + b"abcde",
    "PNG with damaged zlib": lambda: b"\x89PNG\r\n\x1a\n"
    + chunk(b"IHDR", struct.pack(">IIBBBBB", 9, 9, 8, 0, 0, 0, 0))
    + chunk(b"IDAT", b"x\x9c" + bytes(40))
    + chunk(b"IEND", b""),
    "PNG with an animation of 2³¹ frames": lambda: with_chunk(b"acTL", struct.pack(">II", 2**31 - 1, 0)),
    "GIF of 100,000 frames": lambda: gif_of(100_000),
    "GIF of 65,535 × 65,535": lambda: b"GIF89a"
    + struct.pack("<HHBBB", 65_535, 65_535, 0, 0, 0) + drawing("GIF")[13:],
    "GIF with a huge frame": lambda: b"GIF89a\1\0\1\0\0\0\0,"
    + struct.pack("<HHHHB", 0, 0, 65_535, 65_535, 0) + b"\2\0;",
    "JPEG of 65,500 × 65,500": lambda: (
        lambda whole, at: whole[: at + 5] + struct.pack(">HH", 65_500, 65_500) + whole[at + 9 :]
    )(drawing("JPEG"), drawing("JPEG").index(b"\xff\xc0")),
    "JPEG with a comment without end": lambda: drawing("JPEG")[:20] + b"\xff\xfe\xff\xff" + drawing("JPEG")[20:],
    "TIFF of 2³² columns": lambda: tiff((256, 4, 1, 2**32 - 1)),
    "TIFF of 100,000 × 100,000": lambda: tiff((256, 4, 1, 100_000), (257, 4, 1, 100_000)),
    "TIFF with 2³² strips": lambda: tiff((273, 4, 2**32 - 1, 8)),
    "TIFF with strips beyond the file": lambda: tiff((273, 4, 1, 2**31)),
    "TIFF with strips of 4 GB": lambda: tiff((279, 4, 1, 2**32 - 1)),
    "TIFF with 2³² samples": lambda: tiff((277, 4, 1, 2**32 - 1)),
    "TIFF with 0 rows per strip": lambda: tiff((278, 4, 1, 0)),
    "TIFF with an unknown compression": lambda: tiff((259, 4, 1, 34712)),
    "TIFF that says it is JPEG": lambda: tiff((259, 4, 1, 7)),
    "TIFF that says it is deflated": lambda: tiff((259, 4, 1, 8)),
    "TIFF with tiles of no size": lambda: tiff((322, 4, 1, 0), (323, 4, 1, 0), (324, 4, 1, 8), (325, 4, 1, 64)),
    "TIFF with a colour map beyond the file": lambda: tiff((262, 4, 1, 3), (320, 3, 768, 2**30)),
    "TIFF without end": endless_tiff,
    "TIFF with text of 4 GB": lambda: tiff((270, 2, 2**32 - 1, 8)),
    "BMP of 2³¹ rows": lambda: b"BM" + struct.pack("<IHHI", 100, 0, 0, 54)
    + struct.pack("<IiiHHIIiiII", 40, 2**31 - 1, -(2**31) + 1, 1, 24, 0, 0, 0, 0, 0, 0),
    "BMP with run lengths": lambda: b"BM" + struct.pack("<IHHI", 1100, 0, 0, 1078)
    + struct.pack("<IiiHHIIiiII", 40, 50, 50, 1, 8, 1, 0, 0, 0, 256, 0) + bytes(1024) + b"\xff\x01" * 9
    + b"\0\2\xff\xff",
    "PPM of 10⁹ columns": lambda: b"P6 1000000000 1000000000 255\n",
    "PPM of 10³⁰⁰ columns": lambda: b"P6 1" + b"0" * 300 + b" 1 255\n",
    "PGM in words that never end": lambda: b"P2 10 10 255\n" + b"1" * 1_000_000,
    "PGM of white 0": lambda: b"P5 4 4 0\n" + bytes(16),
    "PFM": lambda: b"Pf 4 4 -1.0\n" + np.full(16, np.nan, np.float32).tobytes(),
    "EPS": lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n(/tmp/a) (w) file\nshowpage\n",
    "SVG": lambda: b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>',
    "HEIC": lambda: b"\0\0\0\x18ftypheic\0\0\0\0heicmif1" + bytes(200),
    "PDF": lambda: b"%PDF-1.7\n1 0 obj\n<<>>\nendobj\n",
    "WMF": lambda: b"\xd7\xcd\xc6\x9a" + bytes(200),
    "FITS": lambda: b"SIMPLE  =                    T" + b" " * 3000,
    "ICO of a PNG": lambda: b"\0\0\1\0\1\0" + struct.pack("<BBBBHHII", 0, 0, 0, 0, 1, 32, 1000, 22)
    + png(60_000, 60_000),
    "HTML": lambda: b"<!doctype html><title>404</title>",
    "a pointer of Git LFS": lambda: b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n",
    "empty": lambda: b"",
    "zeros": lambda: bytes(10_000),
    **{f"half a {kind}": lambda kind=kind: truncated(drawing(kind)) for kind in ("PNG", "JPEG", "GIF", "WEBP", "BMP")},
}  # fmt: skip
"""The bytes of each file, by what it is."""
