"""Panel inside FastAPI: page and callbacks have the visitor that the outer app authenticates."""

import asyncio
import contextlib
import functools
import importlib.util
import json
import sys
from pathlib import Path

import pytest
import serving
from serving import Visit

APPS = Path(__file__).parent / "apps"
PROBE = APPS / "panel_probe.py"
BOKEH = APPS.parents[1] / "bokeh" / "apps" / "probe.py"


@pytest.fixture(scope="module")
def mounted(tmp_path_factory, need):
    """Run the apps inside FastAPI; once for the same arguments."""
    need(importlib.util.find_spec("bokeh_fastapi"), "bokeh-fastapi is missing")
    stack = contextlib.ExitStack()

    @functools.cache
    def start(*arguments, script="mounted.py", probe=PROBE):
        folder, port = tmp_path_factory.mktemp("mounted"), serving.free_port()
        command = [sys.executable, str(APPS / script), str(port), str(probe), *arguments]
        url = f"http://127.0.0.1:{port}"
        server = stack.enter_context(
            serving.running(command, url, folder / "said", folder / "output")
        )
        server.path = f"/{probe.stem}"
        return server

    with stack:
        yield start


_numbers = iter(range(10_000))


def visitor(server, name, tag=""):
    """Return a visitor that the outer app knows by a header."""
    return Visit(server, tag or f"{name} {next(_numbers)}", {"X-Forwarded-User": name})


async def test_where_code_runs(mounted):
    """Each place in which Panel runs app code has its visitor; other places have none."""
    server = mounted()
    people = {name: visitor(server, name) for name in ("alice", "bob")}
    await asyncio.gather(*(visit.open() for visit in people.values()))
    await asyncio.gather(*(visit.click("Click") for visit in people.values()))
    for name, visit in people.items():
        for where in (
            *("page", "click", "async", "async later", "to_thread", "executed", "periodic"),
            *("bound function", "generator", "generator later", "bound thread"),
        ):
            lines = await server.wait(tag=visit.tag, where=where)
            said = {(line.get("user"), line.get("source"), line.get("verified")) for line in lines}
            assert (where, said) == (where, {(name, "panel", True)})
        assert (await server.wait(tag=visit.tag, where="page"))[0]["pn_user"] is None
        for where in ("thread", "orphan"):
            assert await server.user(tag=visit.tag, where=where) == "no_context"


async def test_reload_as_the_other_person(mounted):
    """Alice leaves and bob logs in in the same browser: the page has bob, not alice."""
    server = mounted()
    visit = await visitor(server, "alice").open()
    await visit.click("Click")
    assert await server.user(tag=visit.tag, where="click") == "alice"
    again = Visit(server, f"{visit.tag} again", {"X-Forwarded-User": "bob"}, visit.cookies)
    await again.open()
    await again.click("Click")
    assert await server.user(tag=again.tag, where="click") == "bob"
    await visit.click("Click")  # alice's page is still open
    assert {line["user"] for line in await server.wait(2, tag=visit.tag, where="click")} == {
        "alice"
    }


@pytest.mark.parametrize("order", [(), ("bokeh-first",)])
async def test_another_visitors_document(mounted, order):
    """A callback that alice's callback adds to bob's document runs as bob.

    The websocket's ContextVar names alice there, because her message is being handled.
    """
    server = mounted(*order)
    alice, bob = visitor(server, "alice"), visitor(server, "bob")
    await asyncio.gather(alice.open(), bob.open())
    await alice.click("Everybody")
    for visit, name in ((alice, "alice"), (bob, "bob")):
        assert await server.user(where="broadcast", on=visit.tag) == name


async def test_forged_token(mounted):
    """Bob forges a token for alice's session, with her header: his click still runs as bob."""
    from bokeh.util.token import generate_jwt_token, get_session_id

    server = mounted()
    alice, bob = visitor(server, "alice"), visitor(server, "bob")
    await alice.open()
    payload = {"headers": {"x-forwarded-user": "alice"}, "cookies": {}, "arguments": {}}
    session_id = get_session_id(alice.token)
    await bob.connect(generate_jwt_token(session_id, expiration=10**7, extra_payload=payload))
    await bob.click("Click")
    line = (await server.wait(tag=alice.tag, where="click"))[0]
    assert (line["user"], line["headers"]["x-forwarded-user"]) == ("bob", "bob")
    await alice.click("Click")
    lines = await server.wait(2, tag=alice.tag, where="click")
    assert [line["user"] for line in lines] == ["bob", "alice"]


async def test_process_wide_task(mounted):
    """A task or ``pn.state.schedule_task`` that the first visitor starts is not that visitor's."""
    server = mounted()
    await visitor(server, "alice", "forever").open()
    await visitor(server, "bob").open()
    for where in ("process-wide", "scheduled"):
        lines = await server.wait(2, where=where)
        assert {line.get("user") or line["error"] for line in lines} == {"no_context"}


async def test_threads_of_panel(mounted):
    """Callbacks on Panel's thread pool belong to the user of the click."""
    server = mounted("threads")
    people = {name: visitor(server, name) for name in ("alice", "bob")}
    await asyncio.gather(*(visit.open() for visit in people.values()))
    await asyncio.gather(*(visit.click("Click") for visit in people.values()))
    for name, visit in people.items():
        for where in ("click", "on pool"):
            line = (await server.wait(tag=visit.tag, where=where))[0]
            assert (where, line.get("user"), line["pool"]) == (where, name, True)
        assert await server.user(tag=visit.tag, where="thread") == "no_context"


async def test_outer_app_and_visitors_without_a_name(mounted):
    """The outer app's own handlers agree; a visitor without a name is anonymous."""
    server = mounted()
    response = await visitor(server, "alice").fetch("/me")
    assert json.loads(response.body) == "alice"
    nameless = await Visit(server, "nameless").open()
    await nameless.click("Click")
    for where in ("page", "click"):
        line = (await server.wait(tag="nameless", where=where))[0]
        assert (line["user"], line["verified"]) == ("-", False)


async def test_without_the_middleware(mounted):
    """Without authentication each visitor gets an error that names the fix."""
    server = mounted("no-middleware")
    alice, bob = visitor(server, "alice"), visitor(server, "bob")
    await alice.load()  # the first page loads the package, so only this reason is certain
    await bob.load()
    assert "error" in (await server.wait(tag=alice.tag, where="page"))[0]
    line = (await server.wait(tag=bob.tag, where="page"))[0]
    assert line["error"] == "no_context"
    assert "SessionUserMiddleware" in line["text"]


async def test_bokeh_without_panel(mounted):
    """A Bokeh app in FastAPI: page and callback of two visitors, and a bare thread's error."""
    server = mounted(script="mounted_bokeh.py", probe=BOKEH)
    people = {name: visitor(server, name) for name in ("alice", "bob")}
    await asyncio.gather(*(visit.open() for visit in people.values()))
    await asyncio.gather(*(visit.click("Click") for visit in people.values()))
    for name, visit in people.items():
        for where in ("page", "click"):
            line = (await server.wait(tag=visit.tag, where=where))[0]
            assert (where, line.get("user"), line.get("source")) == (where, name, "bokeh")
        assert await server.user(tag=visit.tag, where="thread") == "no_context"
