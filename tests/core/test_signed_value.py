"""The text inside a value that Tornado has signed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tornado.web import create_signed_value

from jupyter_session_user.core.signed_value import unverified_text

#: What a token of JupyterHub consists of, and more.
TEXTS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=60)
NAMES = st.text("abc-_|:", min_size=1, max_size=20)


@given(NAMES, TEXTS)
def test_what_tornado_signs(name, text):
    """The text comes back, whatever the secret; for another name, none does."""
    value = create_signed_value("any secret", name, text).decode()
    assert unverified_text(value, name) == text
    assert unverified_text(value, f"{name}x") is None


@given(st.text(max_size=60))
def test_anything_else_is_no_text(value):
    """No value from a browser is an exception."""
    assert unverified_text(value, "name") is None


@pytest.mark.parametrize("text", ["", "a b", "a\r\nX-Evil: 1", "a\n"])
def test_no_text_that_would_break_a_header(text):
    """The text goes into a header, so a space or the end of a line makes it none."""
    assert unverified_text(create_signed_value("any", "name", text).decode(), "name") is None


@pytest.mark.parametrize(
    "value",
    ["2|1:0|1:0|4:name|4:====|x", "2|1:0|1:0|4:name|4:w6k=|x", "2|1:0|1:0|4:name|99999:YQ==|x"],
)
def test_damaged_values(value):
    """Bad base64, a text that is no ASCII, and a wrong length."""
    assert unverified_text(value, "name") is None
