"""A refused request gets a page in a browser, and JSON in a program."""

from __future__ import annotations

import html
import json
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_session_user.core.denied import answer, wants_page
from jupyter_session_user.errors import AccessDenied

CHROMIUM = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"
ERROR = AccessDenied("'bob' is not permitted: this needs a member of the group 'finance'")


@pytest.mark.parametrize(
    ("accept", "page"),
    [
        (CHROMIUM, True),
        ("text/html", True),
        ("TEXT/HTML; charset=utf-8", True),
        ("application/xhtml+xml", True),
        ("application/json, text/html", True),
        ("application/json;q=0.5, text/html;q=0.9", True),
        ("application/json, text/html;q=0.9", False),
        ("application/json", False),
        ("*/*", False),  # curl, httpx, fetch
        ("", False),
        ("text/html;q=0", False),
        ("text/html;q=nan", False),
        ("text/html;q=much", False),
        ("text/html;q=2", False),
        ("text/*", False),
        (",;,;;q=", False),
    ],
)
def test_which_clients_get_a_page(accept, page):
    """A client that asks for HTML by name gets it, unless it prefers JSON."""
    assert wants_page(accept) is page


class _Text(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.text = [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)

    def handle_data(self, data):
        self.text.append(data)


@given(st.text(max_size=80))
def test_no_name_writes_into_the_page(name):
    """Whatever the user is called, the page has the same elements, and shows the name."""
    error = AccessDenied(f"{name} is not permitted")
    found, plain = _Text(), _Text()
    found.feed(answer(error, CHROMIUM).body.decode())
    plain.feed(answer(AccessDenied("x"), CHROMIUM).body.decode())
    assert found.tags == plain.tags
    assert found.tags.count("h1") == 1


def test_the_page():
    """It has the sentence, escaped; nothing may run in it, and no cache may keep it."""
    status, headers, body = answer(AccessDenied("<b>bob</b> may not"), CHROMIUM)
    assert status == 403
    assert html.escape("<b>bob</b> may not.") in body.decode()
    assert "<b>" not in body.decode()
    assert headers["Content-Type"] == "text/html; charset=utf-8"
    assert headers["Cache-Control"] == "no-store"
    assert headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert headers["Vary"] == "Accept"


def test_json():
    """A program gets the error's own text, as before."""
    status, headers, body = answer(ERROR, "*/*")
    assert (status, json.loads(body)) == (403, {"detail": str(ERROR)})
    assert headers["Content-Type"] == "application/json"
    assert "Content-Security-Policy" not in headers


@pytest.mark.parametrize("accept", [CHROMIUM, "*/*"])
def test_a_visitor_without_a_name(accept):
    """Status 401 says how to authenticate, as RFC 9110 demands; the page says what to do."""
    error = AccessDenied(
        "log in, or pass allow_anonymous=True", status_code=401, for_visitor="log in"
    )
    status, headers, body = answer(error, accept)
    assert (status, headers["WWW-Authenticate"]) == (401, "Cookie")
    assert ("allow_anonymous" in body.decode()) is (accept == "*/*")
    assert "WWW-Authenticate" not in answer(ERROR, accept).headers


def test_a_name_that_utf8_cannot_encode():
    """A lone surrogate does not end the answer in another error."""
    assert b"Bob" in answer(AccessDenied("bob\ud800"), CHROMIUM).body


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (AccessDenied("this needs a name"), "This needs a name."),
        (AccessDenied("It ends."), "It ends."),
        (AccessDenied("a; pass b=True", for_visitor="a"), "A."),
    ],
)
def test_the_sentence_for_a_visitor(error, sentence):
    """It begins with a capital, ends with one full stop, and leaves the author's part out."""
    assert error.sentence == sentence
