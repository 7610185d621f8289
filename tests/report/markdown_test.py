"""Whatever text a file holds, a report shows it and is not changed by it."""

import dataclasses
import html.parser
import re

import pytest
from example_results import MODEL_CARD
from example_run import RESULTS, SMALL, with_data
from hypothesis import example, given
from hypothesis import strategies as st

from siamese_jax.printable import printable
from siamese_jax.report import Run, comparison, page, report
from siamese_jax.report.markdown import as_text, markdown
from siamese_jax.report.model_card import card_text
from siamese_jax.specs import with_value

HOSTILE = [
    "![x](/etc/hostname)", "[a](javascript:alert(1))", "<script>alert(1)</script>", "<http://a.b>", "**b** _i_ ~~s~~",
    "# heading", "a # b #", "- item", "1. item", "1) item", "===", "---", "> quote", "a | b", "`code`", "``", "` `",
    "``a`", "&lt;img src=x&gt;", "&#60;", "a\\", "\\|", "    indented", " x ", "a\n\n# b", "\x1b[31m", "a\r\nb", "$x$",
    "[x]: /y", "| - |", "x\u202ey", "\udcff", "\ue05b", "__init__", "*", "_", "+ a", "C #", "{x}", "%s",
]  # fmt: skip
TEXT = st.one_of(
    st.sampled_from(HOSTILE),
    st.text(max_size=30),
    st.lists(st.sampled_from("`*_[]()<>&|\\#-+=~!1. \n\tab$"), max_size=12).map("".join),
)


class Reader(html.parser.HTMLParser):
    """The elements of a page, and its text without any spaces."""

    def __init__(self, text: str):
        super().__init__()
        self.tags, self.text, self.attributes = [], "", set()
        self.feed(text)
        self.close()
        self.text = "".join(self.text.split())

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes |= {f"{tag}.{name}" for name, _ in attrs}

    def handle_data(self, data):
        self.text += data


def replaced(value, text):
    """A record with one text in the place of all that a file may hold freely."""
    if isinstance(value, str):
        return text
    if isinstance(value, dict):
        return {name: replaced(part, text) for name, part in value.items()}
    if isinstance(value, tuple):
        return tuple(replaced(part, text) for part in value)
    if dataclasses.is_dataclass(value):
        kept = {"stopped_by"}  # one of three words
        fields = {one.name: getattr(value, one.name) for one in dataclasses.fields(value) if one.name not in kept}
        return dataclasses.replace(value, **{name: replaced(part, text) for name, part in fields.items()})
    return value


def hostile(text):
    """Results that say that text everywhere, in names of protocols, baselines and groups, too."""
    results = replaced(RESULTS, text)
    part = results.one_shot["official_runs"]
    return dataclasses.replace(
        results,
        one_shot=results.one_shot | {text: part},
        one_shot_views={text: part},
        baselines={text: {text: part}},
        not_measured={text: text},
    )


def made(kind, text, folder):
    """The page of a kind in which a text stands wherever a file may hold one."""
    if kind == "card":
        return page(card_text(replaced(MODEL_CARD, text)), folder, [])
    experiment, results = dataclasses.replace(SMALL, name=text, summary=text), hostile(text)
    rows = [
        {"step": 1, "epoch": 1, "time": 1.0, "cross_entropy": 0.7, "saturated": 0.1, f"dead_filters/{text}": 1.0,
         f"update/{text}": 0.0}
    ]  # fmt: skip
    if kind == "report":
        return page(report(experiment, results, rows, []), folder, [])
    runs = [Run(text, experiment, results, rows, {}), Run("b", with_value(SMALL, "start_from", "c"), RESULTS, [], {})]
    return page(comparison(runs, [], []), folder, [])


KINDS = ("report", "comparison", "card")


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    return {kind: Reader(made(kind, "plain", tmp_path_factory.getbasetemp())) for kind in KINDS}


@given(text=TEXT)
@pytest.mark.parametrize("kind", KINDS)
def test_any_text_as_any_name_leaves_the_page_as_it_is_and_is_shown(plain, tmp_path_factory, kind, text):
    reader = Reader(made(kind, text, tmp_path_factory.getbasetemp()))
    allowed = {"img", "a", "script", "iframe", "form", "input", "link", "object", "base"}
    counted = {tag: plain[kind].tags.count(tag) for tag in allowed}
    assert {tag: reader.tags.count(tag) for tag in allowed} == counted
    assert reader.attributes == plain[kind].attributes
    assert reader.tags.count("tr") == plain[kind].tags.count("tr")
    assert "".join(printable(text).split()) in reader.text


@given(TEXT)
@example("Malay_(Jawi_-_Arabic)")
def test_text_is_shown_exactly_wherever_it_stands(tmp_path_factory, text):
    shown = as_text(text)
    lines = ["# {}", "{}", "a {} b", "* {}", "**c**: {}.", "`{}`", "a `x{}y` b", "| h `{}` |\n| --- |\n| a {} `{}` |"]
    folder = tmp_path_factory.getbasetemp()
    for line in lines:
        written = markdown("top\n\n" + line.replace("{}", shown) + "\n\nlast\n")
        reader = Reader(page(written, folder, []).split("<main>")[1])
        wanted = re.sub("[#*`|-]", "", line).replace("{}", printable(text))
        assert reader.text == "".join(f"top{wanted}last".split()), (line, written)
    code = markdown(f"top\n\n    {shown}\n\nlast\n")
    assert Reader(page(code, folder, []).split("<main>")[1]).text == "".join(f"top{printable(text)}last".split())


def test_a_code_block_holds_the_text_to_the_letter(tmp_path):
    command = "python -m siamese_jax.main --data.path='a  b' | tee `x` *"
    made = page(report(SMALL, dataclasses.replace(RESULTS, command=command), pictures=[]), tmp_path, [])
    assert html.unescape(re.search("<pre><code>(.*?)\n</code></pre>", made)[1]) == command


def test_ordinary_names_are_written_as_they_are():
    for text in ("official_runs", "Anglo-Saxon_Futhorc", "Japanese (hiragana)", "lr 1e-3, 5.0 %", "a_b_c", "0.1.0"):
        assert markdown(as_text(text)) == text


def test_a_picture_that_another_file_names_is_not_read(tmp_path):
    secret = tmp_path / "secret.png"
    secret.write_bytes(b"\x89PNG secret")
    groups = (f"![x]({secret})", "![x](secret.png)", "![x](../secret.png)")
    test = dataclasses.replace(RESULTS.data.sets["test"], groups=groups)
    text = report(SMALL, with_data(sets=RESULTS.data.sets | {"test": test}), pictures=[])
    assert "<img" not in page(text, tmp_path, [])
    by_hand = page(f"# a\n\n![x](secret.png) ![y]({secret})\n", tmp_path, [])
    assert "<img" not in by_hand
    assert "x" in Reader(by_hand).text
