"""The ASGI apps of Bokeh 3.10 and Panel 1.10: ``--server asgi``, ``--server fastapi``."""

import asyncio
import contextlib
import functools
import sys
from pathlib import Path

import pytest
import serving
from serving import SECRET, Visit
from tornado.web import create_signed_value

pytest.importorskip("bokeh.server.asgi", reason="Bokeh before 3.10 has no ASGI app of its own")

APPS = Path(__file__).parent / "apps"
PANEL = APPS / "panel_probe.py"
BOKEH = APPS.parents[1] / "bokeh" / "apps" / "probe.py"

_numbers = iter(range(10_000))


def visitor(server, name, tag=""):
    """Return a visitor that a proxy names."""
    return Visit(server, tag or f"{name} {next(_numbers)}", {"X-Forwarded-User": name})


def signed_in(server, name, tag=""):
    """Return a visitor with the cookie of Panel's login form."""
    cookies = {"user": create_signed_value(SECRET, "user", name).decode()}
    return Visit(server, tag or f"{name} {next(_numbers)}", cookies=cookies)


@pytest.fixture(params=["asgi", "fastapi"])
def server(request, started):
    """Run ``panel serve`` with Panel's login form; its first page imports us."""
    pytest.importorskip("panel.io.asgi")
    login = ("--basic-auth", "the password", "--cookie-secret", SECRET)
    return started("panel", PANEL, "--server", request.param, *login)


@pytest.fixture(scope="module")
def native(tmp_path_factory):
    """Run Bokeh's app in a separate script; once for the same kind."""
    stack = contextlib.ExitStack()

    @functools.cache
    def start(kind):
        folder, port = tmp_path_factory.mktemp("native"), serving.free_port()
        command = [sys.executable, str(APPS / "native.py"), str(port), str(BOKEH), kind]
        url = f"http://127.0.0.1:{port}"
        running = serving.running(command, url, folder / "said", folder / "output")
        server = stack.enter_context(running)
        server.path = f"/{BOKEH.stem}"
        return server

    with stack:
        yield start


async def together(*visits):
    """Let all visitors load the page, then click, at the same time."""
    await asyncio.gather(*(visit.open() for visit in visits))
    await asyncio.gather(*(visit.click("Click") for visit in visits))


async def test_where_panel_runs_code(server):
    """Each place in which Panel runs app code has its visitor; other places have none."""
    people = {name: signed_in(server, name) for name in ("alice", "bob")}
    await together(*people.values())
    for name, visit in people.items():
        for where in (
            *("page", "click", "async", "async later", "to_thread", "executed", "periodic"),
            *("bound function", "generator", "generator later", "bound thread"),
        ):
            lines = await server.wait(tag=visit.tag, where=where)
            said = {(line.get("user"), line.get("source"), line.get("verified")) for line in lines}
            assert (where, said) == (where, {(name, "panel", True)})
        for where in ("thread", "orphan"):
            assert (where, await server.user(tag=visit.tag, where=where)) == (where, "no_context")


async def test_another_visitors_document(server):
    """A callback that alice's callback adds to bob's document runs as bob."""
    alice, bob = signed_in(server, "alice"), signed_in(server, "bob")
    await asyncio.gather(alice.open(), bob.open())
    await alice.click("Everybody")
    for visit, name in ((alice, "alice"), (bob, "bob")):
        assert await server.user(where="broadcast", on=visit.tag) == name


async def test_forged_token(server):
    """Bob forges a token for alice's session, with her cookie: his click still runs as bob."""
    from bokeh.util.token import generate_jwt_token, get_session_id

    alice, bob = signed_in(server, "alice"), signed_in(server, "bob")
    await alice.open()
    payload = {"headers": {}, "cookies": alice.cookies, "arguments": {}}
    session_id = get_session_id(alice.token)
    await bob.connect(generate_jwt_token(session_id, expiration=10**7, extra_payload=payload))
    await bob.click("Click")
    assert await server.user(tag=alice.tag, where="click") == "bob"


async def test_process_wide_task(server):
    """A task that the first visitor starts for the process has no user."""
    await signed_in(server, "alice", "forever").open()
    await signed_in(server, "bob").open()
    lines = await server.wait(2, where="scheduled")
    assert {line.get("user") or line["error"] for line in lines} == {"no_context"}


@pytest.mark.parametrize("kind", ["policy", "middleware", "starlette", "both"])
async def test_whoever_authenticates_is_believed(native, kind):
    """Bokeh's own policy, our middleware, Starlette's, or two of them that agree."""
    server = native(kind)
    people = {name: visitor(server, name) for name in ("alice", "bob")}
    await together(*people.values())
    for name, visit in people.items():
        for where in ("page", "click", "async later", "timeout", "periodic", "bound thread"):
            line = (await server.wait(tag=visit.tag, where=where))[0]
            said = (line.get("user"), line.get("source"), line.get("verified"))
            assert (where, said) == (where, (name, "bokeh", True))
        for where in ("thread", "executor", "orphan"):
            assert (where, await server.user(tag=visit.tag, where=where)) == (where, "no_context")


async def test_two_that_disagree(native):
    """The policy names alice, the middleware around it carol: that is an error."""
    server = native("disagreeing")
    visit = visitor(server, "alice")
    await visit.load()
    assert await server.user(tag=visit.tag, where="page") == "disagreement"


async def test_nobody_is_logged_in(native):
    """Without a login each visitor is anonymous, even with an unchecked header."""
    server = native("nobody")
    alice, bob = visitor(server, "alice"), visitor(server, "bob")
    await together(alice, bob)
    for visit in (alice, bob):
        lines = [(await server.wait(tag=visit.tag, where=w))[0] for w in ("page", "click")]
        assert [(line["user"], line["verified"]) for line in lines] == [("-", False)] * 2


async def test_mounted_without_the_middleware(native):
    """In FastAPI without authentication, the error names the missing part."""
    server = native("mounted")
    await visitor(server, "alice").load()  # imports us
    bob = visitor(server, "bob")
    await bob.load()
    line = (await server.wait(tag=bob.tag, where="page"))[0]
    assert line["error"] == "no_context"
    assert "SessionUserMiddleware" in line["text"]


@pytest.mark.parametrize("kind", ["tornado", "asgi"])
async def test_a_page_made_in_advance(started, kind):
    """The page that ``--warm`` makes has no user, and the error gives the reason.

    Visitors get their own user. Only a signed cookie names the user.
    """
    pytest.importorskip("panel.io.asgi")
    arguments = ("--server", kind, "--warm", "--cookie-secret", SECRET)
    server = started("panel", APPS / "in_advance.py", *arguments)
    (line,) = await server.wait(where="page")
    assert line["error"] == "no_context"
    assert "--warm" in line["text"]
    for number, name in enumerate(("alice", "bob"), start=2):
        await signed_in(server, name).load()
        assert (await server.wait(number, where="page"))[-1]["user"] == name
