"""The colour of a user."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_session_user.core.colors import color_of, contrast_of, letters_on


@given(st.text())
def test_black_and_white_can_be_read_on_it(username):
    """A colour made from a name has WCAG's contrast with the text of light and of dark themes."""
    color = color_of(username)
    assert color == color_of(username)
    assert min(contrast_of(color, text) for text in ("#000000", "#ffffff")) >= 4.5


def test_two_people_have_two_colours():
    """The names of the demo differ in their colours."""
    assert color_of("alice") != color_of("bob")


@pytest.mark.parametrize(
    ("given_color", "color"), [("#ABCDEF", "#abcdef"), ("#0a0", "#00aa00"), ("#FFF", "#ffffff")]
)
def test_the_providers_colour_counts(given_color, color):
    """It may be written in three or six digits."""
    assert color_of("ada", given_color) == color


@given(st.from_regex(r"#[0-9a-f]{6}", fullmatch=True))
def test_letters_can_be_read_on_every_colour(color):
    """They are white wherever white can be read, and have WCAG's contrast in any case."""
    assert contrast_of(letters_on(color), color) >= 4.5
    assert (letters_on(color) == "#ffffff") is (contrast_of("#ffffff", color) >= 4.5)


@given(st.text())
def test_other_texts_of_the_provider_are_not_put_into_a_style(text):
    """Only three or six hexadecimal digits are a colour."""
    wanted = color_of("ada")
    for hostile in (text, f"#fff{text}x", f"red;{text}", "#ffff", "#fff\n", "var(--x)"):
        assert color_of("ada", hostile) == wanted or hostile == "#fff"
