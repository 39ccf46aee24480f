"""NiceGUI: work that a page's code may start, and work that must not count as a page's code."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from app_servers import WHO, app_server, platform_cookie

APP = Path(__file__).with_name("nicegui_app.py")
TOKENS = {"alice": "a-token", "bob": "b-token"}
NOBODY = "nobody: no_context"


@contextmanager
def serving(folder, **env):
    """Run the app, in a FastAPI app."""
    pytest.importorskip("nicegui")
    command = (sys.executable, "-m", "uvicorn", "app:server", "--port", "{port}")
    files = {"app.py": APP.read_text(encoding="utf-8"), "who.py": WHO}
    env = {"NICEGUI_STORAGE_PATH": str(folder), **env}
    with app_server(*command, files=files, env=env, ready="/docs") as server:
        yield server


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """Run the app with the middleware around it."""
    with serving(tmp_path_factory.mktemp("storage")) as running:
        yield running


def both(server, case):
    """Return the answers to two visitors at the same time."""
    with ThreadPoolExecutor(2) as pool:
        ask = lambda name: server.get(f"/?case={case}", x_login=TOKENS[name])  # noqa: E731
        return dict(zip(TOKENS, pool.map(ask, TOKENS), strict=True))


def own():
    """Return the answer if each visitor has the right name."""
    return {name: f"{name} verified by nicegui" for name in TOKENS}


@pytest.mark.parametrize("case", ["now", "background_task_here"])
def test_code_in_a_slot_is_the_pages(server, case):
    """The page's code, and a background task that NiceGUI puts into the page."""
    assert both(server, case) == own()


@pytest.mark.parametrize("case", ["task", "background_task", "app_timer", "to_thread"])
def test_what_begins_outside_of_a_slot_names_no_visitor(server, case):
    """NiceGUI has no page there, and the surrounding request must not count, either."""
    assert both(server, case) == dict.fromkeys(TOKENS, NOBODY)


def test_io_bound_names_the_visitor_where_the_identity_is_handed_over(server):
    """Without ``bind_current_user`` a thread of the pool names no visitor."""
    assert both(server, "io_bound") == {name: [NOBODY, user] for name, user in own().items()}


def test_cpu_bound_raises(server):
    """Another process has no visitor, even if a page's code forked it."""
    for answer in both(server, "cpu_bound").values():
        assert answer in {"nobody: forked_process", "nobody: not_in_kernel", NOBODY}


@pytest.mark.parametrize("case", ["no_request", "on_air"])
def test_a_page_that_no_request_asked_for_has_no_visitor(server, case):
    """Events from a relay have no visitor either."""
    assert both(server, case) == dict.fromkeys(TOKENS, NOBODY)


def test_a_binding_ends_where_another_page_is_entered(server):
    """The binding holds for the page's own slots."""
    both(server, "now")
    mine, theirs = own()["alice"], own()["bob"]
    answers = both(server, "binding_of_other")
    assert answers == {"alice": [mine, theirs, mine], "bob": [theirs, mine, theirs]}


def test_a_refresh_for_all_visitors_runs_as_each_pages_own(server):
    """``ui.refreshable`` enters each page in turn, on behalf of one request."""
    both(server, "now")
    found = server.get("/refresh", x_login="b-token")
    found = dict(map(tuple, found))
    assert {name: found[name] for name in TOKENS} == own()


def test_threads_share_a_stack_that_names_no_visitor(server):
    """In a bare thread, ``ui.context.client`` is the page that another thread has entered."""
    both(server, "now")
    assert server.get("/threads?name=alice", x_login="b-token") == [NOBODY, True, NOBODY]


def test_a_task_with_the_number_of_a_dead_one_is_not_its_pages(server):
    """NiceGUI's stacks have ``id()`` as their key, which Python reuses."""
    both(server, "now")
    answers = [server.get("/stale?name=alice", x_login="b-token") for _ in range(5)]
    # Bob's request starts that task; alice's page is not involved.
    assert {tuple(answer) for answer in answers if answer} == {(True, "bob verified by asgi")}


def test_without_a_middleware_the_error_says_what_to_do(tmp_path):
    """A platform's cookie names visitors, and is not verified."""
    with serving(tmp_path, NOTHING="1", COOKIE="1") as server:
        assert server.get("/?case=now", x_login="a-token") == "nobody: not_in_kernel"
        cookie = platform_cookie("jane")
        assert server.get("/?case=now", cookie=cookie) == "jane unverified by nicegui"
        assert server.get("/?case=now", x_login="b-token") == "nobody: not_in_kernel"


def test_a_package_that_a_page_imports_knows_that_page(tmp_path):
    """The page's slots are not recorded then; the app's own authentication is around it."""
    late = WHO.replace("import jupyter_session_user as _jsu", "").replace(
        "    try:\n        session",
        "    import jupyter_session_user as _jsu\n    try:\n        session",
    )
    pytest.importorskip("nicegui")
    command = (sys.executable, "-m", "uvicorn", "app:server", "--port", "{port}")
    files = {"app.py": APP.read_text(encoding="utf-8"), "who.py": late}
    env = {"NICEGUI_STORAGE_PATH": str(tmp_path), "LATE": "1"}
    with app_server(*command, files=files, env=env, ready="/docs") as server:
        assert both(server, "now") == own()
        assert both(server, "task") == dict.fromkeys(TOKENS, NOBODY)
