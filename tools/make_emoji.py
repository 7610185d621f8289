"""Rebuild a folder of emoji, DIR/GROUP/CLASS/ARTIST.png, from eight npm packages with one SVG per emoji.

    pip install resvg-py==0.5.0
    python tools/make_emoji.py DIR

A class is an emoji, a group is one of Unicode's groups, and an artist is a font or an icon set. Classes have their
Unicode short name. Variants with a skin tone are left out, and so are classes by fewer than four artists. A picture is
72×72 RGBA with a transparent background. The packages (14 MB) are downloaded from registry.npmjs.org.

The pictures keep the licences of their artists. Apache 2.0: `noto` and `noto-v1` (Google), `fxemoji` (Mozilla). MIT:
`fluent-emoji-flat` (Microsoft). CC BY 4.0: `twemoji` (Twitter), `emojione`. CC BY-SA 4.0: `openmoji`, `emojione-v1`.
"""

import argparse
import base64
import hashlib
import io
import json
import re
import sys
import tarfile
import tempfile
import urllib.request
import xml.etree.ElementTree as ET
import zlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from siamese_jax.errors import UserError
from siamese_jax.storage.files import explained

RENDERER = "resvg-py==0.5.0"
SIDE = 72
"""Rows and columns of a picture."""
LEAST_ARTISTS = 4
"""Artists of a class; a class by fewer is left out."""


class Package(NamedTuple):
    """A release of the npm package `@iconify-json/ARTIST`, with the SHA-512 of its tarball in base64."""

    version: str
    sha512: str


PACKAGES = {
    "noto": Package(
        "1.2.9", "DQiuXENbun41ch+XPSV55H9FaWKpHTyz46YIKtSaKYD4fIDDzL1tR6H4np/T38jfrTAeI3rcKF0mqHYeZVAuaw=="
    ),
    "noto-v1": Package(
        "1.2.5", "/DsVMius69Q0fRS53z7QK1TROSuar606jiIx+laXtdsYGMXpf6LtHBx6CGfoo3UHHb/XpBsw+1L1x3eyPqMuVA=="
    ),
    "fxemoji": Package(
        "1.2.2", "UAasRaxzFUKfIGSmLwnoarsssA4LX0VLLuEmplIqM6ZNQqIQRtav8tZ4H1neTlBreXuMQyAifr5jP4kn78DpiQ=="
    ),
    "fluent-emoji-flat": Package(
        "1.2.6", "RY47RgPb47fYUiyrA64sIOL0+UU02s29sXpNBbIQRBUlPlfNFTKUmZDERGuxDs/7yNGWqQYvuaSYM1M4fRXlUw=="
    ),
    "twemoji": Package(
        "1.2.5", "uKpuIEV0v6K5BW3Mjdyl+XKFVAbbcPxAgifKvEMtZoUZB5+YiY5zaMm2uNNCxyXzAWU9yNLlj41WU6/mvgALsw=="
    ),
    "emojione": Package(
        "1.2.3", "T9+T3HIbJNLKKsmxYKlaYhvnHYkz/HNYTV7SHCXVZPfeUi4FqskY70YeN8yYAZT8cCv7w5vJxS4Q1m8zb9CMMg=="
    ),
    "openmoji": Package(
        "1.2.29", "vXdhkqcXVSO6suy+m9LbcUM3OdVyuNOtpV8/als/WqfkQIRxevL5Geb/g+6GH/Qwnq1OqksEmaDGTCmZ5nFKJQ=="
    ),
    "emojione-v1": Package(
        "1.2.3", "UjI2VQEXVtGlPBvQuxEizro7QCgBcJDOYwKUupquvvZ8UV4xOlvm45IU82JYWegiAWLerY79gFLMZ26U6Ms+ww=="
    ),
}
"""The packages by artist. With these releases and `RENDERER` the pictures are always the same, bit for bit."""
NAMES = "twemoji"
"""The artist whose package lists all classes by Unicode's groups."""

MAX_TARBALL, MAX_UNPACKED, MAX_BODY = 20_000_000, 100_000_000, 1_000_000
"""Bytes of a download, of all files in it, and of the SVG of one icon; a longer one is refused."""
TIMEOUT = 60.0
"""Seconds without a byte until the registry counts as unreachable."""

SVG = "http://www.w3.org/2000/svg"
DRAWN = frozenset(
    (
        *("circle", "clipPath", "defs", "ellipse", "filter", "g", "linearGradient", "mask", "path", "radialGradient"),
        *("feBlend", "feColorMatrix", "feFlood", "feGaussianBlur", "feOffset", "rect", "stop", "symbol", "use"),
    )
)
"""Elements that an icon may have. None of them names a file or an address, except by an attribute that is checked."""

Render = Callable[[str], bytes]
"""Takes an SVG document and returns it as a PNG."""


def make(folder: Path, packages: Mapping[str, bytes], render: Render) -> Counter[str]:
    """Write all pictures into a new folder, which appears when it is complete.

    Args:
      folder: where to write. It must not exist.
      packages: the tarball of each artist.
      render: draws an icon.

    Returns:
      The number of classes in each group.

    Raises:
      UserError: the folder exists or cannot be written, or a package is not as expected.
    """
    check_new(folder)
    icons = {artist: read_json(tarball, "icons.json") for artist, tarball in packages.items()}
    chosen = choose(read_json(packages[NAMES], "metadata.json"), icons)
    with explained(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as scratch:
            made = Path(scratch) / "made"  # has the usual permissions, which `scratch` has not
            for (group, name), artists in chosen.items():
                place = made / group / name
                place.mkdir(parents=True)
                for artist in artists:
                    (place / f"{artist}.png").write_bytes(render(as_svg(icons[artist], artist, name)))
            made.rename(folder)
    return Counter(group for group, _ in chosen)


def choose(metadata: Mapping[str, Any], icons: Mapping[str, Mapping[str, Any]]) -> dict[tuple[str, str], list[str]]:
    """Return the artists of each class that is kept, by group and class.

    Args:
      metadata: lists the classes by Unicode's groups.
      icons: the icons of each artist.
    """
    chosen = {}
    for title, names in metadata["categories"].items():
        group = title.replace("&", "and")
        for name in names:
            if not re.fullmatch(r"[A-Z][A-Za-z ]*", group) or not re.fullmatch(r"[a-z0-9][a-z0-9-]*", name):
                raise UserError(f"{NAMES} lists {title}/{name}, which cannot be a folder: use the release in PACKAGES")
            artists = [artist for artist, of in icons.items() if name in of["icons"] or name in of.get("aliases", {})]
            if "skin-tone" not in name and len(artists) >= LEAST_ARTISTS:
                chosen[group, name] = artists
    return chosen


def as_svg(icons: Mapping[str, Any], artist: str, name: str) -> str:
    """Return an icon as an SVG document of SIDE × SIDE pixels, which refers to nothing outside.

    Args:
      icons: those of one artist, as Iconify's format has them: bodies, sizes and aliases.
      artist: whose they are, for errors.
      name: of the icon or of an alias.

    Raises:
      UserError: the icon has an element or a reference that is not needed for a drawing.
    """
    alias = icons.get("aliases", {}).get(name, {"parent": name})
    icon = icons["icons"].get(alias["parent"])
    if (
        icon is None
        or not {"body", "width", "height", "hidden"}.issuperset(icon)
        or not {"parent", "hFlip"}.issuperset(alias)
    ):
        raise UserError(f"{artist} has {name} in a form that is not known: use the release in PACKAGES")
    width, height = (float(icon.get(side, icons[side])) for side in ("width", "height"))
    body = icon["body"]
    check_body(body, f"{artist}/{name}")
    if alias.get("hFlip"):
        body = f'<g transform="translate({width:g} 0) scale(-1 1)">{body}</g>'
    return _document(body, f' width="{SIDE}" height="{SIDE}" viewBox="0 0 {width:g} {height:g}"')


def check_body(body: str, name: str) -> None:
    """Refuse an SVG body that could read a file or an address: UserError."""
    if len(body) > MAX_BODY:
        raise UserError(f"{name} has {len(body):,} characters of SVG, and {MAX_BODY:,} are allowed: leave it out")
    if "<!" in body or "<?" in body:
        raise UserError(f"{name} has a declaration or an instruction, which is not a drawing: leave it out")
    try:
        root = ET.fromstring(_document(body))
    except ET.ParseError as error:
        raise UserError(f"{name} is not SVG ({error}): leave it out") from error
    for element in root:
        for part in element.iter():
            if not isinstance(part.tag, str) or part.tag.removeprefix(f"{{{SVG}}}") not in DRAWN:
                raise UserError(f"{name} has the element {part.tag}, which is not a drawing: leave it out")
            for key, value in part.attrib.items():
                outside = key.rpartition("}")[2] in ("href", "src") and not value.startswith("#")
                if outside or re.search(r"url\(\s*[^#\s]|@import|\\", value, re.IGNORECASE):
                    raise UserError(f"{name} refers to {value[:80]}, outside of the icon: leave it out")


def _document(body: str, attributes: str = "") -> str:
    return f'<svg xmlns="{SVG}" xmlns:xlink="http://www.w3.org/1999/xlink"{attributes}>{body}</svg>'


def read_json(tarball: bytes, name: str) -> dict[str, Any]:
    """Return a JSON file of an npm package. The tarball is read in memory; nothing is unpacked to disk.

    Args:
      tarball: gzip-compressed tar.
      name: the file's name in the package.

    Raises:
      UserError: the tarball is damaged or too large, or has no file of that name.
    """
    try:
        unpacked = zlib.decompressobj(wbits=31).decompress(tarball, MAX_UNPACKED + 1)
        if len(unpacked) > MAX_UNPACKED:
            raise UserError(f"a package has more than {MAX_UNPACKED:,} bytes: use the release in PACKAGES")
        with tarfile.open(fileobj=io.BytesIO(unpacked), mode="r:") as archive:
            file = archive.extractfile(f"package/{name}")
            if file is None:
                raise KeyError(f"package/{name} is not a file")
            return json.load(file)
    except (zlib.error, tarfile.TarError, KeyError, ValueError) as error:
        raise UserError(f"a package has no readable {name} ({error}): use the release in PACKAGES") from error


def download(artist: str, package: Package) -> bytes:
    """Return the tarball of a package from the npm registry.

    Raises:
      UserError: it cannot be downloaded, or is not the release that is expected.
    """
    url = f"https://registry.npmjs.org/@iconify-json/{artist}/-/{artist}-{package.version}.tgz"
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT) as response:
            tarball = response.read(MAX_TARBALL + 1)
    except OSError as error:
        raise UserError(f"{url} cannot be downloaded ({error}): check the connection, then run again") from error
    check_tarball(tarball, package, url)
    return tarball


def check_tarball(tarball: bytes, package: Package, url: str) -> None:
    """Refuse a download that is not the expected release: UserError."""
    if base64.b64encode(hashlib.sha512(tarball).digest()).decode() != package.sha512:
        raise UserError(f"{url} is not the release in PACKAGES: its SHA-512 differs. Run again")


def check_new(folder: Path) -> None:
    """Refuse a folder that exists: UserError."""
    if folder.exists():
        raise UserError(f"{folder} exists: give a new folder, or delete that one")


def renderer() -> Render:
    """Return the renderer, which loads no fonts; UserError if it is not installed."""
    try:
        import resvg_py
    except ImportError as error:
        raise UserError(f"the renderer is not installed: pip install {RENDERER}") from error
    return lambda svg: bytes(resvg_py.svg_to_bytes(svg_string=svg, skip_system_fonts=True))


def main(argv: Sequence[str] | None = None) -> None:
    """Download, render, and print the number of classes in each group."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="DIR", help="the folder to make; it must not exist")
    flags = parser.parse_args(argv)
    try:
        check_new(flags.folder)
        render = renderer()
        packages = {}
        for artist, package in PACKAGES.items():
            print(f"downloading @iconify-json/{artist} {package.version}", file=sys.stderr)
            packages[artist] = download(artist, package)
        classes = make(flags.folder, packages, render)
    except UserError as error:
        sys.exit(str(error))
    for group, count in sorted(classes.items()):
        print(f"{count:>6,}  {group}")
    pictures = sum(1 for _ in flags.folder.glob("*/*/*.png"))
    print(f"{sum(classes.values()):>6,}  classes, {pictures:,} pictures in {flags.folder}")


if __name__ == "__main__":
    main()
