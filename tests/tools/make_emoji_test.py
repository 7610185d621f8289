"""The tool that rebuilds the emoji folder, on tiny packages and without a network or a renderer."""

import base64
import hashlib
import importlib
import io
import json
import sys
import tarfile
import xml.etree.ElementTree as ET
from collections import Counter
from pathlib import Path

import pytest

from siamese_jax.errors import UserError

ARTISTS = ("one", "two", "three", "four", "five")


@pytest.fixture
def tool(monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "tools")
    module = importlib.import_module("make_emoji")
    monkeypatch.setattr(module, "NAMES", "one")
    yield module
    sys.modules.pop("make_emoji", None)


def tarball(**files) -> bytes:
    """Returns an npm package with JSON files."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as archive:
        for name, value in files.items():
            content = json.dumps(value).encode()
            info = tarfile.TarInfo(f"package/{name}.json")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return made.getvalue()


def icons(*names: str, aliases=None, **more) -> dict:
    """Returns the icons of an artist, each a path that holds its name."""
    bodies = {name: {"body": f'<path id="{name}" d="M0 0h8v8z"/>', **more} for name in names}
    return {"icons": bodies, "aliases": aliases or {}, "width": 32, "height": 16}


METADATA = {
    "categories": {
        "Food & Drink": ["pie", "tea", "hand-dark-skin-tone"],
        "Travel & Places": ["police-car-light"],
        "Symbols": ["rare"],
    }
}


def make_packages() -> dict[str, bytes]:
    drawn = {artist: ["pie", "police-car-light", "hand-dark-skin-tone", "unlisted"] for artist in ARTISTS}
    drawn["one"] += ["rare"]
    drawn["two"] += ["rare"]
    drawn["three"] += ["rare", "tea"]
    drawn["four"] += ["tea"]
    drawn["five"].remove("pie")
    packages = {artist: {"icons": icons(*names)} for artist, names in drawn.items()}
    for artist in ("one", "two"):
        packages[artist]["icons"]["aliases"] = {"tea": {"parent": "pie", "hFlip": True}}
    packages["one"]["metadata"] = METADATA
    return {artist: tarball(**files) for artist, files in packages.items()}


def test_the_folder_has_groups_classes_and_artists_and_leaves_out_tones_and_rare_classes(tool, tmp_path):
    folder = tmp_path / "deep" / "emoji"
    counts = tool.make(folder, make_packages(), str.encode)
    assert counts == Counter({"Food and Drink": 2, "Travel and Places": 1})
    assert sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.png")) == sorted(
        [f"Food and Drink/pie/{artist}.png" for artist in ("one", "two", "three", "four")]
        + [f"Food and Drink/tea/{artist}.png" for artist in ("one", "two", "three", "four")]
        + [f"Travel and Places/police-car-light/{artist}.png" for artist in ARTISTS]
    )
    assert [path.name for path in folder.parent.iterdir()] == ["emoji"]


def test_an_icon_fills_a_square_and_an_alias_is_its_parent_mirrored(tool, tmp_path):
    folder = tmp_path / "emoji"
    tool.make(folder, make_packages(), str.encode)
    plain = ET.fromstring((folder / "Food and Drink/tea/three.png").read_bytes())
    assert (plain.get("width"), plain.get("height"), plain.get("viewBox")) == ("72", "72", "0 0 32 16")
    assert [part.get("id") for part in plain] == ["tea"]
    (mirrored,) = ET.fromstring((folder / "Food and Drink/tea/one.png").read_bytes())
    assert mirrored.get("transform") == "translate(32 0) scale(-1 1)"
    assert [part.get("id") for part in mirrored] == ["pie"]


def test_an_icon_may_have_a_size_of_its_own(tool):
    svg = ET.fromstring(tool.as_svg(icons("pie", width=25.22), "one", "pie"))
    assert svg.get("viewBox") == "0 0 25.22 16"


def test_nothing_is_left_behind_where_an_icon_cannot_be_rendered(tool, tmp_path):
    def fail(svg: str) -> bytes:
        raise UserError("no")

    with pytest.raises(UserError):
        tool.make(tmp_path / "emoji", make_packages(), fail)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_exists_is_not_touched(tool, tmp_path):
    (tmp_path / "mine.png").write_bytes(b"mine")
    with pytest.raises(UserError, match=r"exists: give a new folder"):
        tool.make(tmp_path, make_packages(), str.encode)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.png"]


@pytest.mark.parametrize(
    "body",
    [
        '<image href="#a"/>',
        "<text>a</text>",
        '<style>@import "a.css";</style>',
        "<foreignObject/>",
        '<use href="file:///etc/passwd"/>',
        '<use xlink:href="https://example.com/a.svg#a"/>',
        '<use href="other.svg#a"/>',
        '<path fill="url(https://example.com/a.svg#a)"/>',
        '<path style="fill:URL( &quot;a.svg#a&quot;)"/>',
        '<path style="fill:u\\72l(a.svg)"/>',
        '<other:path xmlns:other="http://example.com"/>',
        '<!DOCTYPE svg [<!ENTITY a SYSTEM "file:///etc/passwd">]><path/>',
        "<path>&a;</path>",
        "</svg><svg><path/>",
        "<path",
        "<?xml-stylesheet href='a.css'?><path/>",
    ],
)
def test_an_icon_that_is_more_than_a_drawing_is_refused(tool, body):
    with pytest.raises(UserError, match=r"^one/pie "):
        tool.check_body(body, "one/pie")


def test_a_drawing_may_refer_to_its_own_parts(tool):
    tool.check_body(
        '<defs><linearGradient id="a"><stop offset="1"/></linearGradient><path id="b" d="M0 0"/></defs>'
        '<use xlink:href="#b" href="#b" fill="url(#a)" style="clip-path: url( #a )"/>',
        "one/pie",
    )


def test_an_icon_that_is_too_long_or_of_an_unknown_form_is_refused(tool, monkeypatch):
    with pytest.raises(UserError, match="a form that is not known"):
        tool.as_svg(icons("pie", rotate=1), "one", "pie")
    with pytest.raises(UserError, match="a form that is not known"):
        tool.as_svg(icons("pie", aliases={"tea": {"parent": "none"}}), "one", "tea")
    monkeypatch.setattr(tool, "MAX_BODY", 6)
    with pytest.raises(UserError, match=r"has 7 characters of SVG, and 6 are allowed"):
        tool.check_body("<path/>", "one/pie")


@pytest.mark.parametrize("name", ["../pie", "Pie", "a/b", "", "."])
def test_a_class_that_could_leave_the_folder_is_refused(tool, name):
    drawn = {artist: icons(name) for artist in ARTISTS}
    with pytest.raises(UserError, match="cannot be a folder"):
        tool.choose({"categories": {"Symbols": [name]}}, drawn)
    with pytest.raises(UserError, match="cannot be a folder"):
        tool.choose({"categories": {f"../{name}": ["pie"]}}, drawn)


def test_a_package_that_is_damaged_too_large_or_lacks_the_file_is_refused(tool, monkeypatch):
    whole = tarball(icons={"icons": {}})
    assert tool.read_json(whole, "icons.json") == {"icons": {}}
    for broken, name in ((whole[:40], "icons.json"), (b"no gzip", "icons.json"), (whole, "metadata.json")):
        with pytest.raises(UserError, match=f"no readable {name}"):
            tool.read_json(broken, name)
    monkeypatch.setattr(tool, "MAX_UNPACKED", 5_000)
    with pytest.raises(UserError, match=r"more than 5,000 bytes"):
        tool.read_json(tarball(icons={"icons": "0" * 100_000}), "icons.json")


def test_a_link_in_a_package_is_not_followed(tool):
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as archive:
        link = tarfile.TarInfo("package/icons.json")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    with pytest.raises(UserError, match=r"no readable icons.json"):
        tool.read_json(made.getvalue(), "icons.json")


def test_only_the_pinned_release_is_accepted(tool):
    content = b"a release"
    package = tool.Package("1.0.0", base64.b64encode(hashlib.sha512(content).digest()).decode())
    tool.check_tarball(content, package, "https://example.com/a.tgz")
    with pytest.raises(UserError, match=r"a\.tgz is not the release"):
        tool.check_tarball(content + b"!", package, "https://example.com/a.tgz")


def test_every_package_is_pinned_by_a_sha512(tool):
    assert len(tool.PACKAGES) == 8
    assert {len(base64.b64decode(package.sha512, validate=True)) for package in tool.PACKAGES.values()} == {64}


def test_without_the_renderer_nothing_is_downloaded(tool, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "resvg_py", None)
    monkeypatch.setattr(tool, "download", lambda *_: pytest.fail("a download"))
    with pytest.raises(SystemExit, match=r"pip install resvg-py=="):
        tool.main([str(tmp_path / "emoji")])
