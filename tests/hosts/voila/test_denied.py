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
WITHOUT_OUTPUT = """
from ipywidgets import Button, IntSlider, Label, VBox
from jupyter_session_user import require_user

button, slider, said = Button(description="Book"), IntSlider(description="Rooms"), Label()

@button.on_click
@require_user(usernames="alice", groups="finance")
def book(_):
    said.value = "booked"

@require_user(usernames="alice", groups="finance")
def change(_):
    said.value = "changed"

slider.observe(change, "value")
VBox([button, slider, said])
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


@pytest.fixture(scope="module")
def silent():
    """Run Voila with callbacks whose errors it shows nowhere."""
    with voila(*HEADER, files={"silent.ipynb": notebook(WITHOUT_OUTPUT)}) as server:
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


def test_an_output_shows_it_once(chromium, click):
    """The page's banner does not repeat what an Output widget shows."""
    with visits(chromium, click, BOB, "alice") as people:
        for visit in people:
            visit.open()
            visit.page.get_by_role("button", name="Book").click()
        _text(people[0], "is not permitted")
        people[0].page.wait_for_timeout(1500)
        assert people[0].page.get_by_text("is not permitted").count() == 1
        assert "not permitted" not in _text(people[1], "booked")


@pytest.mark.parametrize(("widget", "done"), [("button", "booked"), ("slider", "changed")])
def test_a_callback_without_an_output(chromium, silent, widget, done):
    """The banner shows the sentence, to bob alone; after Hide, the next refusal shows it again."""
    with visits(chromium, silent, "alice", BOB, "alice") as people:
        for visit in people:
            visit.open()
            _use(visit.page, widget)
        for visit in people[::2]:
            assert "not permitted" not in _text(visit, done)
        page = people[1].page
        text = _text(people[1], "is not permitted")
        assert SENTENCE in text
        for word in (done, "Traceback", "AccessDenied", "Cell In"):
            assert word not in text
        page.get_by_role("button", name="Hide").click()
        page.get_by_text("is not permitted").wait_for(state="detached")
        _use(page, widget)
        _text(people[1], "is not permitted")


def _use(page, widget):
    if widget == "button":
        page.get_by_role("button", name="Book").click()
    else:
        page.get_by_role("slider").press("ArrowRight")
