"""Valid account names, and names that could look like another account's."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_session_user.core.usernames import is_plain, is_username

GOOD = [
    "alice",
    "bob@example.org",
    "a b",
    "Zoë",
    "李",
    "محمد",
    "o'neil",
    "a\u200dं",
    "😀",
    "x" * 256,
]
BAD = [
    "", "a\rb", "a\nb", "a\0", "\x1b[31mroot", "a\x7f", "a\x85b", "a\u2028b", "a\u2029b",
    "\u202egnp.exe", "\u2066a", "a\u200f", "a\u061c", "\ud800", "a\udc80", "x" * 257, None, 1, b"a",
]  # fmt: skip


@pytest.mark.parametrize("name", GOOD)
def test_names_of_people_are_usernames(name):
    """Names in any script are valid, with all usual characters."""
    assert is_username(name)


@pytest.mark.parametrize("name", BAD)
def test_what_breaks_lines_or_hides_is_none(name):
    """Controls, separators, half pairs, direction, empty, too long, and other types are invalid."""
    assert not is_username(name)


@given(st.text(st.characters() | st.sampled_from("\u202e\ud800\x85\n"), min_size=1, max_size=20))
def test_what_is_plain_can_be_written_into_a_log_line(text):
    """One line, in UTF-8, without a control."""
    if is_plain(text):
        text.encode("utf-8")
        assert len(text.splitlines()) == 1
        assert "Cc" not in map(unicodedata.category, text)
