"""Panel's own server behind a real JupyterHub: alice's server, a service, and behind a proxy."""

from __future__ import annotations

import asyncio
import importlib.util
import itertools
import sys
import textwrap
import time
from pathlib import Path

import pytest
import serving
from hub import HubPerson, code_block, hub_running, proxy_program
from needs import has_release
from serving import Visit
from tornado.httpclient import HTTPClientError
from tornado.web import create_signed_value

HOSTS = Path(__file__).parents[1]
DOCS = HOSTS.parents[1] / "docs"
PROBE = HOSTS / "panel_serve" / "apps" / "panel_probe.py"
FORGED = {
    "X-CDSDASHBOARDS-JH-USER": '{"name": "carol", "kind": "user", "admin": true, "groups": []}',
    "X-Forwarded-User": "carol",
    "Remote-User": "carol",
}
PLACES = {
    "server": ("user/alice/", "jupyterhub-user-alice"),
    "service": ("services/dashboard/", "service-dashboard"),
    "proxied": ("user/alice/proxied/", "jupyterhub-user-alice-proxied"),
}
#: What the tests add to the documentation's configuration.
ADDED = """
environment = {{"PROBE_LOG": {log!r}, "BOKEH_RESOURCES": "server", "PYTHONPATH": {root!r}}}
c.Spawner.environment = environment
for service in c.JupyterHub.services:
    if service["name"] == "dashboard":
        service["environment"] = environment
c.JupyterHub.allow_named_servers = True


def behind_a_proxy(spawner):
    if spawner.name == "proxied":
        spawner.cmd, spawner.args = proxied.cmd, proxied.args


c.Spawner.pre_spawn_hook = behind_a_proxy
"""
_numbers = itertools.count()


@pytest.fixture(scope="module")
def hub(need, tmp_path_factory):
    """Run a Hub on which alice's server is Panel's, and so is a service."""
    need(importlib.util.find_spec("jupyterhub"), "jupyterhub is missing")
    need(proxy_program(), "configurable-http-proxy is missing: make .venv/.proxy")
    need(importlib.util.find_spec("pyviz_comms"), "panel is missing")
    home = tmp_path_factory.mktemp("hub")
    port = serving.free_port()

    def configuration(title):
        """Return a part of the documentation, with the app and the addresses of the tests."""
        text = textwrap.dedent(code_block(DOCS / "hosts" / "panel-serve.md", title))
        for there, here in (
            ('"python"', repr(sys.executable)),
            ('"jhsingle-native-proxy"', f'{sys.executable!r}, "-m", "jhsingle_native_proxy.main"'),
            ("/srv/app.py", str(PROBE)),
            ('"hub.example.org"', "urlsplit(c.JupyterHub.bind_url).netloc"),
            ('"{--}allow-websocket-origin=hub.example.org"', '"{--}allow-websocket-origin=*"'),
            ("http://127.0.0.1:10101", f"http://127.0.0.1:{port}"),
        ):
            text = text.replace(there, here)
        return text

    proxied = configuration("Panel behind jhsingle-native-proxy").replace("c.Spawner", "proxied")
    parts = (
        "from types import SimpleNamespace\nfrom urllib.parse import urlsplit\n",
        f"proxied = SimpleNamespace()\n{proxied}",
        configuration("Panel as a user's server"),
        configuration("Panel as a service"),
        ADDED.format(log=str(home / "said.jsonl"), root=str(HOSTS.parents[1])),
    )
    with hub_running(home, extra="\n".join(parts)) as running:
        yield running


@pytest.fixture(params=PLACES)
def place(request, need, hub):
    """Return the path of each server, and its cookie's name."""
    if request.param == "proxied":
        found = importlib.util.find_spec("jhsingle_native_proxy")
        need(found, "jhsingle-native-proxy is missing")
        if "proxied" not in hub.api("GET", "users/alice").json()["servers"]:
            hub.api("POST", "users/alice/servers/proxied")
    return PLACES[request.param]


@pytest.fixture
def enter(hub):
    """Return a function that opens the page at a place, in a browser of its own."""
    browsers = []

    def person(name, path):
        browsers.append(HubPerson(hub, name, path).enter())
        page = browsers[-1].open("panel_probe?tag=first")
        assert page.status_code == 200, page.text[-1000:]
        return browsers[-1]

    yield person
    for each in browsers:
        each.browser.close()


@pytest.fixture
async def leaving():
    """Close the websockets."""
    yield
    await serving.leave()


def visit(person, headers=None, cookies=None):
    """Return a visit of the app in a person's browser, with headers of the visitor's own."""
    hub = person.hub
    path = person.url.removeprefix(hub.url)
    server = serving.Server(
        hub.url.rstrip("/"), hub.home / "said.jsonl", hub.process, hub.log, f"/{path}panel_probe"
    )
    own = {cookie.name: cookie.value for cookie in reversed(person.sent())}
    cookies = own if cookies is None else cookies
    return Visit(server, f"{person.name} {next(_numbers)}", dict(headers or {}), cookies)


@pytest.mark.usefixtures("leaving")
async def test_each_page_and_click_is_its_visitors(enter, place):
    """Alice and bob on one app server, with the Hub's groups; a visitor's own header is nothing."""
    people = {name: enter(name, place[0]) for name in ("alice", "bob")}
    visits = {
        (name, number): visit(person, FORGED if number else None)
        for name, person in people.items()
        for number in range(2)
    }
    await asyncio.gather(*(each.open() for each in visits.values()))
    await asyncio.gather(*(each.click("Click") for each in visits.values()))
    groups = {"alice": ["team-x"], "bob": ["guests", "team-x"]}
    for (name, _), each in visits.items():
        for where in ("page", "click", "async later", "to_thread", "periodic"):
            line = (await each.server.wait(tag=each.tag, where=where))[0]
            assert (line.get("user"), line.get("verified")) == (name, True), line
            assert sorted(line["groups"]) == groups[name]


@pytest.mark.usefixtures("leaving")
async def test_a_click_is_its_senders(enter, place):
    """Bob connects with the token of alice's page: his click is his, or is refused."""
    alice, bob = (visit(enter(name, place[0])) for name in ("alice", "bob"))
    await alice.load()
    bob.tag = alice.tag
    await bob.connect(alice.token)
    await bob.click("Click")
    assert await alice.server.user(tag=alice.tag, where="click") == "bob"
    assert await alice.server.user(tag=alice.tag, where="page") == "alice"


@pytest.mark.usefixtures("leaving")
async def test_without_a_token_that_the_hub_knows(enter, place):
    """No cookie, a made-up one, or a name in a header: no page, and no websocket."""
    person = enter("alice", place[0])
    alice = visit(person)
    await alice.load()
    made_up = create_signed_value("a secret", place[1], "no token").decode()
    for cookies in ({}, {place[1]: made_up}):
        nobody = visit(person, FORGED, cookies)
        page = await nobody.fetch(nobody.server.path)
        assert page.code == 302
        # Panel before 1.9 has Bokeh's websocket, which is opened and never answers.
        refused = HTTPClientError if has_release("panel>=1.9") else asyncio.TimeoutError
        with pytest.raises(refused):
            await nobody.connect(alice.token)
        assert not nobody.server.said(tag=nobody.tag)


@pytest.mark.usefixtures("leaving")
async def test_a_script_of_another_server_gets_no_page(enter, place):
    """All servers have one domain, so the browser sends a script's request with the cookie.

    A page that the visitor opens names the visitor: alice, and bob.
    """
    for name in ("alice", "bob"):
        person = enter(name, place[0])
        for mode, wanted in (("navigate", 200), ("cors", 302), ("no-cors", 302)):
            seen = visit(person, {"Sec-Fetch-Mode": mode, "Sec-Fetch-Site": "same-site"})
            assert (await seen.fetch(seen.server.path)).code == wanted, mode


@pytest.mark.usefixtures("leaving")
async def test_after_a_logout_at_the_hub(enter):
    """Within ten seconds, new pages of bob need a login; alice's do not."""
    alice, bob = (enter(name, PLACES["server"][0]) for name in ("alice", "bob"))
    hers, his = visit(alice), visit(bob)
    await asyncio.gather(hers.load(), his.load())
    bob.log_out()
    end = time.monotonic() + 25
    while (await his.fetch(his.server.path)).code != 302:
        assert time.monotonic() < end
        await asyncio.sleep(0.5)
    assert (await hers.fetch(hers.server.path)).code == 200
