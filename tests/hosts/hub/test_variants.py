"""JupyterHub with named servers, with a proxy beside it, and with ``__Host-`` cookies."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import time
from pathlib import Path

import pytest
import yaml
from hub import HubPerson, code_block, hub_running, proxy_program, self_signed
from servers import answer_in

ROOT = Path(__file__).parents[3]
WHO = "from jupyter_session_user import *; print(get_current_user().username)"
#: An interval that never comes: what ends within a test was told.
NEVER = "--JupyterSessionUser.revalidate_interval=3600"
SLACK_S = 20.0
GPU = "user/alice/gpu/"
NAMED = """
c.JupyterHub.allow_named_servers = True
c.Authenticator.allowed_users |= {"dave"}
c.JupyterHub.load_roles += [
    {"name": "gpu", "users": ["dave"], "scopes": ["access:servers!server=alice/gpu"]},
]
"""
#: As in z2jh: the Hub may restart without the servers and the proxy.
ALONE = """
c.JupyterHub.cleanup_servers = False
"""
#: What a Hub does with the values of the chart, as far as it needs no Kubernetes.
OF_THE_CHART = """
hub = c.JupyterHub
hub.services = [each for each in hub.services if each["name"] != "session-user"]
hub.load_roles = [each for each in hub.load_roles if each["name"] != "session-user"]
c.JupyterHub.authenticator_class = "dummy"
c.JupyterHub.allow_named_servers = {named!r}
for name, settings in {config!r}.items():
    c[name].update(settings)
for name, text in sorted({code!r}.items()):
    exec(text)
c.Spawner.environment["JUPYTER_CONFIG_PATH"] = {folder!r}
"""
#: The interval of the test, in place of the documentation's.
INTERVAL_S = 5


@pytest.fixture(scope="module", autouse=True)
def installed(need):
    """Skip without a Hub or its proxy."""
    need(importlib.util.find_spec("jupyterhub"), "jupyterhub is missing")
    need(proxy_program(), "configurable-http-proxy is missing: make .venv/.proxy")


async def says(socket, code=WHO):
    """Return what a cell prints, or the name of its error."""
    return said(await socket.execute(code, timeout=30))


def said(result):
    """Return what a cell has printed, or the name of its error."""
    return result.text.strip() or result.errors[0].partition(":")[0]


async def until_over(hub, socket):
    """Wait until cells are refused; a failure shows what the Hub and its servers logged."""
    end = time.monotonic() + SLACK_S
    answer = ""
    while time.monotonic() < end:
        result = await answer_in(socket, WHO)
        answer = "no reply" if result is None else said(result)
        if answer in ("SessionExpired", "SessionRevoked"):
            return
        await asyncio.sleep(0.2)
    raise AssertionError(f"{answer}: {hub.log_text()[-6000:]}")


@pytest.fixture(scope="module")
def named(tmp_path_factory):
    """Run a Hub on which alice has two servers."""
    with hub_running(tmp_path_factory.mktemp("named"), NEVER, extra=NAMED) as hub:
        hub.api("POST", "users/alice/servers/gpu")
        yield hub


@pytest.fixture
def enter(named):
    """Return a function that logs a person in, in a browser of its own."""
    browsers = []

    def person(name, server="user/alice/"):
        browsers.append(HubPerson(named, name, server).enter())
        return browsers[-1]

    yield person
    for each in browsers:
        each.browser.close()


async def test_a_guest_of_one_server_is_none_of_the_other(enter):
    """Dave may use alice's server gpu only; there, each cell is its sender's."""
    alice, dave = enter("alice", GPU), enter("dave", GPU)
    kernel_id = await alice.start_kernel()
    hers, his = [await one.connect(kernel_id) for one in (alice, dave)]
    answers = await asyncio.gather(*(says(socket) for socket in (hers, his) for _ in "123"))
    assert answers == ["alice"] * 3 + ["dave"] * 3
    assert await says(his, "print(get_session().kernel_owner)") == "alice"
    for socket in (hers, his):
        await socket.close()
    refused = dave.at("user/alice/")
    assert (await refused.fetch("api/session-user/me")).code == 403
    assert (await refused.fetch("api/kernels", method="POST", body={})).code == 403


async def test_one_browser_at_two_servers(enter):
    """The cookies of both servers reach both; each cell is its sender's, and none is ambiguous."""
    people = [enter(name) for name in ("alice", "bob")]
    for server in ("user/alice/", GPU, "user/alice/"):
        alice, bob = [person.at(server) for person in people]
        names = [cookie.name for cookie in bob.sent()]
        assert "jupyterhub-user-alice" in names
        assert server != GPU or names.count("_xsrf") > 1
        kernel_id = await alice.start_kernel()
        hers, his = [await one.connect(kernel_id) for one in (alice, bob)]
        answers = await asyncio.gather(*(says(socket) for socket in (hers, his) for _ in "123"))
        assert answers == ["alice"] * 3 + ["bob"] * 3
        await bob.json("api/session-user/sessions")
        for socket in (hers, his):
            await socket.close()


async def test_revoking_at_a_named_server(enter):
    """Alice revokes the login of one of bob's browsers at gpu; his other browser and she go on."""
    alice, bob, other = enter("alice", GPU), enter("bob", GPU), enter("bob", GPU)
    his = (await bob.json("api/session-user/me"))["id"]
    answer = await alice.fetch(f"api/session-user/sessions/{his}", method="DELETE")
    assert answer.code == 204
    assert (await bob.fetch("api/session-user/me")).code == 403
    for one in (alice, other):
        assert (await one.fetch("api/session-user/me")).code == 200


async def test_a_logout_reaches_both_servers(named, enter):
    """The Hub tells each server that bob's browser has used; alice and another browser go on."""
    alice, bob, other = enter("alice"), enter("bob"), enter("bob")
    open_sockets, others = [], []
    for server in ("user/alice/", GPU):
        hers, his, second = [one.at(server) for one in (alice, bob, other)]
        kernel_id = await hers.start_kernel()
        open_sockets.append(await his.connect(kernel_id))
        others += [await one.connect(kernel_id) for one in (hers, second)]
    assert [await says(socket) for socket in (*open_sockets, *others)] == [
        *("bob", "bob"),
        *("alice", "bob", "alice", "bob"),
    ]
    bob.log_out()
    for socket in open_sockets:
        await until_over(named, socket)
    assert [await says(socket) for socket in others] == ["alice", "bob", "alice", "bob"]
    assert "was not told about a logout" not in named.log_text()
    for socket in (*open_sockets, *others):
        await socket.close()


async def test_a_proxy_beside_the_hub(tmp_path):
    """Cells go on while the Hub restarts alone; then bob's logout counts at once, not alice's."""
    with hub_running(tmp_path, NEVER, extra=ALONE, own_proxy=False) as hub:
        alice, bob = (HubPerson(hub, name).enter() for name in ("alice", "bob"))
        kernel_id = await alice.start_kernel()
        hers, his = [await one.connect(kernel_id) for one in (alice, bob)]
        assert [await says(socket) for socket in (hers, his)] == ["alice", "bob"]
        hub.stop()
        assert [await says(socket) for socket in (hers, his)] == ["alice", "bob"]
        hub.start()
        assert [await says(socket) for socket in (hers, his)] == ["alice", "bob"]
        bob.log_out()
        await until_over(hub, his)
        assert await says(hers) == "alice"
        assert "was not told about a logout" not in hub.log_text()
        for socket in (hers, his):
            await socket.close()
        for each in (alice, bob):
            each.browser.close()


COOKIES = """
try:
    print(sorted(get_cookies()))
except Exception as error:
    print(type(error).__name__)
"""


def values_of_the_chart(folder):
    """Return the documentation's values as a Hub's configuration; write the server's file."""
    values = yaml.safe_load(code_block(ROOT / "docs" / "jupyterhub.md", "allowNamedServers"))
    hub, server = values["hub"], values["singleuser"]["extraFiles"]["session-user"]
    there = Path(hub["extraFiles"]["telling-logout"]["mountPath"])
    examples = ROOT / "examples" / "jupyterhub"
    assert (examples / there.name).exists()
    server["data"]["JupyterSessionUser"]["revalidate_interval"] = INTERVAL_S
    written = folder / Path(server["mountPath"]).relative_to("/usr/local/etc/jupyter")
    written.parent.mkdir(parents=True, exist_ok=True)
    written.write_text(json.dumps(server["data"]))
    return OF_THE_CHART.format(
        named=hub["allowNamedServers"],
        config=hub["config"],
        code={
            name: text.replace(str(there.parent), str(examples))
            for name, text in hub["extraConfig"].items()
        },
        folder=str(folder),
    )


async def test_the_values_for_kubernetes(tmp_path_factory, certificate):
    """With the documentation's values, the ``__Host-`` cookies never reach a kernel.

    Bob's logout counts at once, by the Hub's message; a role that carol loses, within the interval
    of the server's file; alice goes on.
    """
    extra = values_of_the_chart(tmp_path_factory.mktemp("etc"))
    home = tmp_path_factory.mktemp("chart")
    with hub_running(home, extra=extra, certificate=certificate) as hub:
        hub.api("POST", "users/alice/servers/gpu")
        people = [HubPerson(hub, name, GPU).enter() for name in ("alice", "bob", "carol")]
        for one in people:
            one.browser.cookies.set("shop", f"of-{one.name}", domain="127.0.0.1", path="/")
            names = {cookie.name for cookie in one.sent()}
            assert "__Host-jupyterhub-user-alice-gpu" in names, names
        alice, bob, _ = people
        own = await alice.start_kernel()
        hers = await alice.connect(own)
        assert await says(hers) == "alice"
        assert await says(hers, COOKIES) == "['shop']"  # the kernel is hers alone until now
        his, carols = [await one.connect(own) for one in people[1:]]
        sockets = hers, his, carols
        assert [await says(socket) for socket in sockets] == ["alice", "bob", "carol"]
        assert await says(his, COOKIES) == "[]"
        hub.unshare("carol")
        await until_over(hub, carols)
        start = time.monotonic()
        bob.log_out()
        await until_over(hub, his)
        assert time.monotonic() - start < INTERVAL_S
        assert "was not told about a logout" not in hub.log_text()
        assert await says(hers) == "alice"
        for socket in sockets:
            await socket.close()
        for each in people:
            each.browser.close()


@pytest.fixture
def certificate(tmp_path_factory):
    """Return the files of a key and a certificate for 127.0.0.1."""
    folder = tmp_path_factory.mktemp("tls")
    return self_signed(folder)
