"""Text from outside gives no orders to a terminal, and stays readable."""

from hypothesis import given
from hypothesis import strategies as st

from siamese_jax.printable import printable


def test_orders_to_a_terminal_and_line_breaks_are_written_out():
    assert printable("a\x1b[31mb\nc\r\t\x7f\x9b") == r"a\x1b[31mb\nc\r\t\x7f\x9b"
    assert printable("right\u202eleft\u2028") == r"right\u202eleft\u2028"
    assert printable(b"\xff.png".decode(errors="surrogateescape")) == r"\udcff.png"


def test_letters_signs_and_spaces_of_any_script_stay():
    for text in ("Ελληνικά", "भारत‍", "日本　語", "👩‍🔬", "a\u00a0b", "#1 * [x](y)", ""):
        assert printable(text) == text


@given(st.text())
def test_the_result_is_one_line_that_can_be_encoded(text):
    shown = printable(text)
    assert len(shown.splitlines()) <= 1
    assert shown.encode() is not None
    assert not any(ord(character) < 32 or 127 <= ord(character) < 160 for character in shown)
