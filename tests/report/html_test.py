"""The page holds all that the Markdown holds, and asks nothing of anyone."""

import base64
import dataclasses
import html.parser
import os
import re
import struct
import zlib

import pytest
from example_run import RESULTS, SMALL, with_data
from PIL import Image

from siamese_jax.errors import UserError
from siamese_jax.report import page, report
from siamese_jax.report.pictures import PICTURES, there

VOID = {"meta", "img", "br", "hr", "link", "input"}


class Reader(html.parser.HTMLParser):
    """Follows a page's tags; `wrong` has every end tag that does not close the last one opened."""

    def __init__(self, text: str):
        super().__init__()
        self.open, self.wrong, self.seen, self.words = [], [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in VOID and (not self.open or self.open.pop() != tag):
            self.wrong.append(tag)

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.words.append(data)

    def all(self, tag):
        return [attrs for seen, attrs in self.seen if seen == tag]


@pytest.fixture
def text():
    return report(SMALL, RESULTS, pictures=["training.png", "trial.png"])


@pytest.fixture
def made(tmp_path, text):
    for name, side in (("training.png", 1), ("trial.png", 2)):
        Image.new("L", (side, side)).save(tmp_path / name)
    return page(text, tmp_path, ["training.png", "trial.png"])


def test_every_tag_is_closed_where_it_should_be(made):
    reader = Reader(made)
    assert (reader.open, reader.wrong) == ([], [])
    assert made.startswith("<!DOCTYPE html>\n")
    assert reader.all("html") == [{"lang": "en"}]
    assert re.search("<title>(.*)</title>", made)[1] == "omniglot_20way_small"


def test_it_runs_no_script_and_asks_nothing_of_anyone(made):
    reader = Reader(made)
    assert not {tag for tag, _ in reader.seen} & {"script", "link", "iframe", "object", "base", "form"}
    targets = [attrs[name] for _, attrs in reader.seen for name in ("src", "href", "srcset") if name in attrs]
    assert {target.partition(":")[0] for target in targets if not target.startswith("#")} == {"data"}
    assert not re.search(r"@import|url\(|https?://", made)


def test_the_pictures_are_inside_with_words_for_those_who_cannot_see_them(made, tmp_path):
    images = Reader(made).all("img")
    inside = [base64.b64decode(image["src"].removeprefix("data:image/png;base64,")) for image in images]
    assert inside == [(tmp_path / name).read_bytes() for name in ("trial.png", "training.png")]
    assert all(len(image["alt"]) > 10 for image in images)


def test_a_picture_that_cannot_be_read_is_a_sentence(tmp_path, text):
    with pytest.raises(UserError, match=r"trial\.png could not be read"):
        page(text, tmp_path, ["trial.png"])


def link_out(path, outside):
    outside.write_bytes(path.read_bytes())
    path.unlink()
    path.symlink_to(outside)


def folder_instead(path, _):
    path.unlink()
    path.mkdir()


def larger_than_browsers_can_show(path, _):
    content = path.read_bytes()
    size = struct.pack(">II", 20_000, 20_000)
    header = b"IHDR" + size + content[24:29]
    path.write_bytes(content[:12] + header + struct.pack(">I", zlib.crc32(header)) + content[33:])


@pytest.mark.parametrize(
    "spoil",
    [
        link_out,
        folder_instead,
        larger_than_browsers_can_show,
        lambda path, _: path.write_bytes(b"<svg onload='alert(1)'/>"),
        lambda path, _: path.write_bytes(b"\x89PNG\r\n\x1a\n<script>"),
        lambda path, _: path.write_bytes(b""),
        lambda path, _: os.truncate(path, 100_000_000),
        lambda path, _: (path.unlink(), os.mkfifo(path)),
        lambda path, _: (path.unlink(), path.symlink_to(path.name)),
    ],
)
def test_only_whole_pictures_of_the_folder_are_shown(tmp_path, spoil):
    (tmp_path / "run").mkdir()
    for name in ("trial.png", "roc.png"):
        Image.new("L", (2, 2)).save(tmp_path / "run" / name)
    assert there(tmp_path / "run", PICTURES) == ["trial.png", "roc.png"]
    spoil(tmp_path / "run" / "roc.png", tmp_path / "outside.png")
    assert there(tmp_path / "run", PICTURES) == ["trial.png"]
    with pytest.raises(UserError, match=r"roc\.png"):
        page("![roc](roc.png)", tmp_path / "run", ["roc.png"])


def test_every_section_can_be_reached_from_the_top(made, text):
    reader = Reader(made)
    links = [attrs["href"] for attrs in reader.all("a")]
    assert links == ["#" + attrs["id"] for attrs in reader.all("h2")]
    assert len(set(links)) == len(links) == text.count("\n## ")
    assert made.index("<nav") < made.index("<h2")


def test_the_words_are_those_of_the_markdown(made, text):
    def plain(words):
        return re.sub(r"\W+", " ", words)

    said = plain(" ".join(Reader(made).words))
    for line in text.splitlines():
        if line and not line.startswith(("!", "| -")):
            assert plain(line).strip() in said, line


def test_numbers_stand_to_the_right_in_tables_that_scroll(made, text):
    reader = Reader(made)
    tables = len(re.findall(r"^\| -", text, re.MULTILINE))
    assert len(reader.all("table")) == tables == made.count('<div class="wide"')
    row = re.search(r"<tr>\s*<td>1-nearest neighbour</td>.*?</tr>", made, re.DOTALL)[0]
    assert '<td style="text-align:right">21.7</td>' in row


def test_names_with_underscores_and_markup_stay_as_they_are(tmp_path):
    names = ("Malay_(Jawi_-_Arabic)", "Mkhedruli_(Georgian)", "<b>bold</b>")
    test = dataclasses.replace(RESULTS.data.sets["test"], groups=names)
    made = page(report(SMALL, with_data(sets=RESULTS.data.sets | {"test": test}), pictures=()), tmp_path, [])
    assert "test: Malay (Jawi - Arabic), Mkhedruli (Georgian), &lt;b&gt;bold&lt;/b&gt;" in made
