"""A visitor whom ``require_user`` refuses reads a sentence on a page of Voila, and no traceback."""

from __future__ import annotations

import pytest
from voila_pages import HEADER, notebook, visits, voila

pytestmark = [pytest.mark.browser]

GUARDED = """
from jupyter_session_user import require_user
with require_user(usernames="alice", groups="finance"):
    print("the report")
"""
AFTER = "print('what follows')"
GUARDED_CALLBACK = """
from ipywidgets import Button, Label, Output, VBox
from jupyter_session_user import require_user

button, said, out = Button(description="Book"), Label(), Output()

@button.on_click
@out.capture()
@require_user(usernames="alice", groups="finance")
def book(_):
    said.value = "booked"

VBox([button, said, out])
"""
SENTENCE = "<b>bob</b>' is not permitted to do this: this needs a member of the group 'finance'"
BOB = "<b>bob</b>"


@pytest.fixture(scope="module", params=[(), ("--VoilaConfiguration.show_tracebacks=True",)])
def page(request):
    """Run Voila with the guarded page, with and without tracebacks."""
    files = {"page.ipynb": notebook(GUARDED, AFTER)}
    with voila(*HEADER, *request.param, files=files) as server:
        yield server.url


@pytest.fixture(scope="module")
def click():
    """Run Voila with the guarded callback."""
    with voila(*HEADER, files={"click.ipynb": notebook(GUARDED_CALLBACK)}) as server:
        yield server.url


def _text(visit, awaited):
    visit.page.get_by_text(awaited).first.wait_for()
    return visit.page.locator("body").inner_text()


def test_a_page(chromium, page):
    """Bob reads the sentence, and nothing of the page; alice sees hers, before and after."""
    with visits(chromium, page, BOB, "alice", BOB, "alice") as people:
        for visit in people:
            visit.open()
        for visit in people[1::2]:
            text = _text(visit, "what follows")
            assert "the report" in text
            assert "not permitted" not in text
        for visit in people[::2]:
            text = _text(visit, "is not permitted")
            assert SENTENCE in text
            assert "the report" not in text
            assert "what follows" not in text
            for word in ("Traceback", "AccessDenied", "show_tracebacks", "File"):
                assert word not in text


def test_a_callback_with_an_output(chromium, click):
    """What an Output widget catches is the sentence alone; the next click of alice works."""
    with visits(chromium, click, "alice", BOB, "alice") as people:
        for visit in people:
            visit.open()
            visit.page.get_by_role("button", name="Book").click()
        for visit in people[::2]:
            assert "not permitted" not in _text(visit, "booked")
        text = _text(people[1], "is not permitted")
        assert SENTENCE in text
        assert "booked" not in text
        for word in ("Traceback", "AccessDenied", "Cell In"):
            assert word not in text
