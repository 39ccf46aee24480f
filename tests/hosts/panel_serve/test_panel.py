"""Features of ``panel serve`` beyond Bokeh's server: its logins, its cache, its threads."""

import asyncio
import base64
import contextlib
import importlib.util
import json
import sys
from pathlib import Path
from urllib.parse import urlencode, urljoin, urlsplit

import pytest
import serving
from serving import SECRET, Visit
from tornado.web import create_signed_value

HERE = Path(__file__).parent
PROBE = HERE / "apps" / "panel_probe.py"
HEADER = ("--auth-module", str(HERE.parent / "bokeh" / "auth" / "header_user.py"))
KEY = "gI60qMYZGhwo9hj3Mcl0X4ndqIXcIrV7o_6PuXIxRgc="

_numbers = iter(range(10_000))


def visitor(server, name, tag=""):
    """Return a visitor that a proxy names."""
    return Visit(server, tag or f"{name} {next(_numbers)}", {"X-Forwarded-User": name})


async def together(*visits):
    """Let all visitors load the page, then click, at the same time."""
    await asyncio.gather(*(visit.open() for visit in visits))
    await asyncio.gather(*(visit.click("Click") for visit in visits))


async def test_where_panel_runs_code(started):
    """Each place in which Panel runs app code has its visitor; other places have none."""
    server = started("panel", PROBE, *HEADER)
    people = {name: visitor(server, name) for name in ("alice", "bob")}
    await together(*people.values())
    for name, visit in people.items():
        for where in (
            *("page", "click", "async", "async later", "to_thread", "executed", "periodic"),
            *("bound function", "generator", "generator later", "bound thread"),
        ):
            lines = await server.wait(tag=visit.tag, where=where)
            assert (where, {line.get("user") for line in lines}) == (where, {name})
        assert await server.user(tag=visit.tag, where="orphan") == "no_context"


async def test_a_page_in_advance_names_its_own_fix(started):
    """Nobody has asked for the page yet; the error says so, and not how to start a thread."""
    server = started("panel", PROBE, *HEADER, "--warm", "--reuse-sessions")
    line = (await server.wait(where="page"))[0]
    assert (line["error"], "in advance" in line["text"]) == ("no_context", True)
    assert "bind_current_user" not in line["text"]


async def test_bare_thread(started):
    """A bare thread raises; ``pn.state`` would name the visitor that the loop is handling."""
    server = started("panel", PROBE, *HEADER)
    visit = visitor(server, "alice")
    await together(visit)
    assert await server.user(tag=visit.tag, where="thread") == "no_context"


async def test_pn_state_cache(started):
    """Each visitor is correct; the obvious ``pn.state.cache`` names the last one."""
    server = started("panel", PROBE, *HEADER)
    alice, bob = visitor(server, "alice"), visitor(server, "bob")
    await alice.open()
    await bob.open()
    await alice.click("Click")
    line = (await server.wait(tag=alice.tag, where="cache"))[0]
    assert line["cached"] == bob.tag  # the obvious value is wrong here
    assert line["user"] == "alice"
    assert line["pn_user"] is None  # and this one: the header's user reaches no app


async def test_forged_token(started):
    """``pn.state.headers`` comes from a token that the client wrote; it has no effect here."""
    from bokeh.util.token import generate_jwt_token

    server = started("panel", PROBE, *HEADER)
    visit = visitor(server, "bob")
    payload = {
        "headers": {"X-Forwarded-User": "ADMIN"},
        "cookies": {"user": "ADMIN", "is_guest": "1"},
        "arguments": {"tag": [visit.tag.encode()]},
    }
    await visit.connect(generate_jwt_token("made up", expiration=10**7, extra_payload=payload))
    await visit.click("Click")
    for where in ("page", "click"):
        line = (await server.wait(tag=visit.tag, where=where))[0]
        assert line["pn_header"] == "ADMIN"  # the obvious value is wrong here
        assert (line["user"], line["headers"]["x-forwarded-user"]) == ("bob", "bob")


async def test_threads_of_panel(started):
    """Callbacks on Panel's thread pool belong to the user of the click."""
    server = started("panel", PROBE, *HEADER, "--num-threads", "2")
    people = {name: visitor(server, name) for name in ("alice", "bob")}
    await together(*people.values())
    for name, visit in people.items():
        for where in ("click", "on pool", "periodic"):
            line = (await server.wait(tag=visit.tag, where=where))[0]
            assert (where, line.get("user"), line["pool"]) == (where, name, True)
        assert await server.user(tag=visit.tag, where="thread") == "no_context"


async def test_process_wide_task_and_schedule(started):
    """A task or ``pn.state.schedule_task`` that the first visitor starts is not that visitor's."""
    server = started("panel", PROBE, *HEADER)
    await visitor(server, "alice", "forever").open()
    await visitor(server, "bob").open()
    for where in ("process-wide", "scheduled"):
        lines = await server.wait(2, where=where)
        assert {line.get("user") or line["error"] for line in lines} == {"no_context"}


async def test_pn_serve(tmp_path):
    """``pn.serve`` in a separate script, with either order of the imports."""
    port = serving.free_port()
    command = [sys.executable, str(HERE / "apps" / "own_server.py"), str(port), SECRET]
    url, log = f"http://localhost:{port}", tmp_path / "log"
    with serving.running(command, url, log, tmp_path / "output") as server:
        for name in ("alice", "bob"):
            signed = create_signed_value(SECRET, "user", name).decode()
            visit = await Visit(server, name, cookies={"user": signed}).open()
            await visit.click("Click")
            for where in ("page", "click"):
                assert await server.user(tag=name, where=where) == name
        await serving.leave()


@pytest.fixture(scope="module")
def basic(started, tmp_path_factory):
    """Run Panel with passwords."""
    file = tmp_path_factory.mktemp("basic") / "people.json"
    file.write_text(json.dumps({"alice": "a", "bob": "b"}))
    return started("panel", PROBE, "--basic-auth", str(file), "--cookie-secret", SECRET)


async def log_in(visit, name, password):
    """Log in through the form."""
    await visit.fetch("/login")
    body = urlencode({"username": name, "password": password})
    return await visit.fetch("/login", method="POST", body=body)


async def test_basic_auth(basic):
    """Two visitors log in through the form; then one browser logs in as the other user."""
    people = {name: Visit(basic, f"basic {name}") for name in ("alice", "bob")}
    for name, visit in people.items():
        assert (await log_in(visit, name, name[0])).code == 302
    await together(*people.values())
    for name, visit in people.items():
        for where in ("page", "click", "async later"):
            line = (await basic.wait(tag=visit.tag, where=where))[0]
            assert (line["user"], line["source"], line["verified"]) == (name, "panel", True)
            assert "user" in line["cookies"]
    again = people["alice"]
    again.tag = "basic, then bob"
    await log_in(again, "bob", "b")
    await together(again)
    for where in ("page", "click"):
        assert await basic.user(tag=again.tag, where=where) == "bob"


async def test_guest_cookie_is_not_believed(basic):
    """The unsigned ``is_guest`` has no effect here; ``pn.state.user`` drops the login for it."""
    visit = Visit(basic, "guest cookie")
    await log_in(visit, "alice", "a")
    visit.cookies["is_guest"] = "1"
    await together(visit)
    line = (await basic.wait(tag=visit.tag, where="page"))[0]
    assert (line["user"], line["pn_user"]) == ("alice", "guest")


@pytest.fixture(scope="module")
def provider(tmp_path_factory):
    """Run the provider."""
    port, folder = serving.free_port(), tmp_path_factory.mktemp("provider")
    command = [sys.executable, str(HERE / "apps" / "provider.py"), str(port)]
    url = f"http://127.0.0.1:{port}"
    with serving.running(command, url, folder / "log", folder / "output") as running:
        yield running


@contextlib.contextmanager
def oauth(folder, provider, *arguments):
    """Run Panel with a login at the provider."""
    urls = {
        "AUTHORIZE_URL": f"{provider.url}/authorize",
        "TOKEN_URL": f"{provider.url}/token",
        "USER_URL": f"{provider.url}/user",
    }
    options = ("--oauth-provider", "generic", "--oauth-key", "key", "--oauth-secret", "secret")
    options += ("--oauth-encryption-key", KEY, "--cookie-secret", SECRET, *arguments)
    with serving.serve(
        folder, "panel", PROBE, *options, "--oauth-extra-params", repr(urls)
    ) as server:
        yield server


async def log_in_by_oauth(visit, name):
    """Follow the redirects like a browser."""
    home = visit.server.url
    target = f"/login?{urlencode({'next': visit.server.path})}"
    for _ in range(6):
        response = await visit.fetch(target)
        place = urljoin(home + target, response.headers.get("Location", ""))
        address = urlsplit(place)
        if address.path == "/authorize":
            there = f"{address.scheme}://{address.netloc}"
            provider = Visit(serving.Server(there, *[None] * 3), "", cookies={"login": name})
            response = await provider.fetch(place.removeprefix(there))
            place = response.headers["Location"]
        if "user" in visit.cookies:
            return
        target = "/" + place.removeprefix(home).lstrip("/")
    raise AssertionError(f"no login: {visit.cookies.keys()}")


async def test_oauth(provider, tmp_path):
    """Two visitors with the cookies of Panel's OAuth: name and groups as well."""
    with oauth(tmp_path, provider) as server:
        people = {name: Visit(server, f"oauth {name}") for name in ("alice", "bob")}
        for name, visit in people.items():
            await log_in_by_oauth(visit, name)
        await together(*people.values())
        for name, visit in people.items():
            for where in ("page", "click", "async later"):
                line = (await server.wait(tag=visit.tag, where=where))[0]
                assert (line["user"], line["name"]) == (f"{name}@example.org", name.title())
                assert line["groups"] == {"alice": ["finance"], "bob": ["sales"]}[name]
                assert line["verified"] and line["expires_at"] != "None"
                payload = line["token"].split(".")[1]
                said = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
                assert said["email"] == f"{name}@example.org"
        await serving.leave()


async def test_oauth_guest(provider, tmp_path):
    """A visitor that Panel admits as a guest has no name here, and is not verified."""
    with oauth(tmp_path, provider, "--oauth-optional") as server:
        guest, alice = Visit(server, "guest"), Visit(server, "alice")
        await log_in_by_oauth(alice, "alice")
        await together(guest, alice)
        for where in ("page", "click"):
            line = (await server.wait(tag="guest", where=where))[0]
            assert (line["user"], line["verified"]) == ("-", False)
            assert line["token"] == "access_token_unavailable.no_server"
            assert await server.user(tag="alice", where=where) == "alice@example.org"
        await serving.leave()


SERVERS = ["tornado", *(["asgi"] if importlib.util.find_spec("panel.io.asgi") else [])]


@pytest.mark.parametrize("kind", SERVERS)
async def test_authorize_callback(started, kind):
    """The callback gets the user of the request; bob is refused, and gets no page."""
    server_of = () if kind == "tornado" else ("--server", kind)
    setup = ("--setup", str(HERE / "apps" / "authorizing.py"))
    app = HERE / "apps" / "in_advance.py"
    server = started("panel", app, *server_of, *setup, "--cookie-secret", SECRET)
    for name, status in (("alice", 200), ("bob", 403)):
        signed = create_signed_value(SECRET, "user", name).decode()
        visit = Visit(server, name, cookies={"user": signed})
        assert (await visit.fetch("/in_advance")).code == status
        assert (await server.wait(where="callback", user=name))[0]["path"] == "/in_advance"
    assert [line["user"] for line in server.said(where="page")] == ["alice"]
