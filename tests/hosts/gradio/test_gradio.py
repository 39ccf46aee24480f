"""Two visitors of Gradio apps at the same time: with Gradio's own login, and mounted in FastAPI."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from app_servers import WHO, AppServer, app_server
from gradio_pages import GradioPage

IS_ALICE = "alice verified by gradio"
IS_BOB = "bob verified by gradio"
NOBODY = "nobody: no_context"
APP = Path(__file__).with_name("gradio_app.py").read_text(encoding="utf-8")
FILES = {"gradio_app.py": APP, "who.py": WHO}
ENV = {"GRADIO_ANALYTICS_ENABLED": "False", "OAUTH_CLIENT_SECRET": "of-a-test"}


@pytest.fixture(scope="module")
def launched(need) -> Iterator[AppServer]:
    """Run the app by itself, with Gradio's login."""
    need(importlib.util.find_spec("gradio"), "gradio is missing")
    with app_server(
        *(sys.executable, "-W", "ignore", "gradio_app.py", "{port}"), files=FILES, env=ENV
    ) as running:
        yield running


@pytest.fixture(scope="module")
def visitors(launched) -> tuple[GradioPage, GradioPage]:
    """Return the pages of two visitors; the first event of each has named its visitor."""
    pages = GradioPage(launched.host), GradioPage(launched.host)
    for page, name in zip(pages, ("alice", "bob"), strict=True):
        page.log_in(name, name[0])
    # The app imports this package before Gradio, so it detects Gradio within these events.
    assert both(pages, "both", "alice", bob="bob") == ([IS_ALICE], [IS_BOB])
    return pages


def both(pages, event, *data, bob: str = "", method: str = "event"):
    """Return the answers to two visitors' events at the same time."""
    with ThreadPoolExecutor(2) as pool:
        one = pool.submit(getattr(pages[0], method), event, *data)
        other = pool.submit(getattr(pages[1], method), event, *([bob] if bob else data))
        return one.result(), other.result()


@pytest.mark.parametrize("event", ["load", "tick", "cached", "then"])
def test_events(visitors, event):
    """The page's load, a timer, a cached function, and an event that follows another one."""
    assert both(visitors, event) == ([IS_ALICE], [IS_BOB])


def test_past_the_queue(visitors):
    """A function with ``queue=False`` runs within the request itself."""
    assert both(visitors, "direct", method="call") == ([IS_ALICE], [IS_BOB])
    assert both(visitors, "direct") == ([IS_ALICE], [IS_BOB])


def test_two_visitors_inside_one_another(visitors):
    """Both events are in the function at the same time: directly, in a thread, in a task."""
    found = both(visitors, "aboth", "alice", bob="bob")
    assert found == ([[IS_ALICE] * 3], [[IS_BOB] * 3])


@pytest.mark.parametrize("event", ["words", "awords"])
def test_generators(visitors, event):
    """Each step of a generator runs as the visitor."""
    for steps, name in zip(both(visitors, event, method="stream"), (IS_ALICE, IS_BOB), strict=True):
        assert steps[0] == [name]
        assert "nobody" not in str(steps)
        assert ("bob" if name == IS_ALICE else "alice") not in str(steps)


def test_chat(visitors):
    """A chat's answers have the user of the question."""
    for answer, name in zip(both(visitors, "chat", "hello", None), (IS_ALICE, IS_BOB), strict=True):
        assert name in str(answer)


def test_bare_thread(visitors):
    """A bare thread has no user; a thread with a bound identity has the visitor."""
    assert both(visitors, "bare_thread") == ([[NOBODY, IS_ALICE]], [[NOBODY, IS_BOB]])


def test_a_worker_of_all_visitors(visitors):
    """A task that the first visitor's event has started has no user after that event."""
    assert visitors[0].event("submit", "alice") == [["", IS_ALICE]]
    assert visitors[1].event("submit", "bob") == [["", NOBODY]]


def test_after_an_error(visitors):
    """A failed event leaves no binding behind."""
    with pytest.raises(AssertionError, match="of the app's own"):
        visitors[0].event("fails")
    assert both(visitors, "load") == ([IS_ALICE], [IS_BOB])


def test_a_batch_of_two_visitors(visitors):
    """One call handles both events: Gradio's own request names the first visitor for both."""
    pages = (visitors[0], visitors[1])
    seen = set()
    for _ in range(20):
        seen.update(str(answer) for answer in both(pages, "batched", ""))
        if str(["nobody: disagreement"]) in seen:
            break
    assert str(["nobody: disagreement"]) in seen
    assert visitors[0].event("batched", "") == [IS_ALICE]


def test_others_session(visitors, launched):
    """An event with another page's session belongs to the user that sent it."""
    page = GradioPage(launched.host, session=visitors[0].session)
    page.log_in("bob", "b")
    assert page.event("load") == [IS_BOB]


def test_require_user(visitors):
    """An event that ``require_user`` refuses fails."""
    assert visitors[0].event("staff") == [IS_ALICE]
    with pytest.raises(AssertionError):
        visitors[1].event("staff")


def test_cached_examples(visitors):
    """An example's result is kept for all visitors, so it has no user."""
    assert both(visitors, "example", 0)[0][-1] == NOBODY


@pytest.fixture(scope="module")
def mounted(need) -> Iterator[AppServer]:
    """Run the app in FastAPI. Alice's request starts its queue.

    So Gradio's workers have a copy of that request's context, and handle all visitors' events.
    """
    for module in ("gradio", "uvicorn", "itsdangerous"):
        need(importlib.util.find_spec(module), f"{module} is missing")
    with app_server(
        *(sys.executable, "-W", "ignore", "-m", "uvicorn", "gradio_app:app", "--port", "{port}"),
        *("--lifespan", "off", "--log-level", "warning"),
        files=FILES,
        env=ENV,
        ready="/none",
    ) as running:
        alice = GradioPage(running.host, x_outer="alice", x_login="alice")
        for path in ("/open", "/closed"):
            alice.get(f"{path}/gradio_api/startup-events")
        yield running


def page_of(server, prefix="/open", **headers):
    """Return a page of the mounted app."""
    return GradioPage(server.host, prefix=prefix, **headers)


def test_workers_of_the_queue(mounted):
    """A ContextVar names alice for every visitor; the package names the sender of each event."""
    pages = page_of(mounted, x_outer="alice"), page_of(mounted, x_outer="bob")
    found = both(pages, "queue_worker")
    assert found == ([["alice", IS_ALICE]], [["alice", IS_BOB]])
    assert page_of(mounted).event("queue_worker") == [["alice", "anonymous"]]


def test_past_the_queue_in_fastapi(mounted):
    """The middleware's own request is also around the event."""
    pages = page_of(mounted, x_outer="alice"), page_of(mounted, x_outer="bob")
    assert both(pages, "direct", method="call") == ([IS_ALICE], [IS_BOB])


def test_auth_dependency(mounted):
    """The login names the user; a middleware with another user is an error."""
    pages = [page_of(mounted, "/closed", x_login=name) for name in ("alice", "bob")]
    assert both(pages, "load") == ([IS_ALICE], [IS_BOB])
    same = page_of(mounted, "/closed", x_login="alice", x_outer="alice")
    assert same.event("load") == [IS_ALICE]
    other = page_of(mounted, "/closed", x_login="alice", x_outer="bob")
    assert other.event("load") == ["nobody: disagreement"]


def test_oauth_of_a_space(mounted):
    """The user of ``gr.LoginButton`` is in the signed session."""
    cookies = {}
    for name in ("alice", "bob"):
        with mounted.connect() as connection:
            connection.request("GET", f"/oauth/{name}")
            response = connection.getresponse()
            response.read()
            cookies[name] = response.headers["Set-Cookie"].partition(";")[0]
    pages = [page_of(mounted, cookie=cookies[name]) for name in ("alice", "bob")]
    assert both(pages, "load") == ([IS_ALICE], [IS_BOB])


def test_strangers(mounted):
    """Two pages without a login are two visitors; each stays the same in all its events."""
    pages = page_of(mounted, cookie="theme=dark"), page_of(mounted, cookie="theme=dark")
    first, second = both(pages, "described"), both(pages, "described")
    assert first == second
    (one, theme, name), (_, _, other) = first[0][0], first[1][0]
    assert (one, theme) == (True, "dark")
    assert name != other
