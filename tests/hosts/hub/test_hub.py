"""A real JupyterHub: alice's server, and guests whom a role lets in."""

from __future__ import annotations

import asyncio
import importlib.util
import time
from datetime import datetime

import pytest
from hub import ROBOT_TOKEN, HubPerson, hub_running, proxy_program

WHO = """
from jupyter_session_user import IdentityUnavailable, get_session
try:
    session = get_session()
    user = session.user
    print(user.username, ",".join(user.groups), user.admin, session.degraded)
except IdentityUnavailable as error:
    print(error.reason)
"""
END = """
from jupyter_session_user import get_session
session = get_session()
print(session.user.username, session.expiry_source, session.expires_at.timestamp())
"""
#: A server that starts again without the Hub, as a container with a restart policy does.
RESTARTS = """
import sys
c.Spawner.cmd = [
    *("sh", "-c"),
    'trap "kill \\\\$!; exit" INT TERM; '
    'while :; do "$0" -m jupyterhub.singleuser "$@" & wait $!; done',
    sys.executable,
]
"""
#: What ``docs/jupyterhub.md`` says makes the ends of logins exact after a restart.
SCOPE = """
c.Spawner.oauth_client_allowed_scopes = [
    "read:tokens!user",
]
"""
DOCTOR = """
import json, subprocess, sys
command = [sys.executable, "-m", "jupyter_session_user.cli.main", "doctor", "--json"]
output = subprocess.run(command, capture_output=True, text=True).stdout
print(*[each["text"] for each in json.loads(output) if each["what"] == "jupyterhub"])
"""
#: Seconds between two questions about an open login; JupyterHub's own cache keeps 300.
INTERVAL_S = 2.0
#: For the answer itself, on a busy machine.
SLACK_S = 15.0


@pytest.fixture(scope="module")
def run(need, tmp_path_factory):
    """Return a function that runs a Hub with alice's server for a block."""
    need(importlib.util.find_spec("jupyterhub"), "jupyterhub is missing")
    need(proxy_program(), "configurable-http-proxy is missing: make .venv/.proxy")

    def running(interval=INTERVAL_S, extra=""):
        setting = f"--JupyterSessionUser.revalidate_interval={interval}"
        return hub_running(tmp_path_factory.mktemp("hub"), setting, extra=extra)

    return running


@pytest.fixture(scope="module")
def hub(run):
    """Run a Hub for most tests."""
    with run() as running:
        yield running


@pytest.fixture
def enter(hub):
    """Return a function that logs a person in, in a browser of its own."""
    browsers = []

    def person(name):
        browsers.append(HubPerson(hub, name).enter())
        return browsers[-1]

    yield person
    for each in browsers:
        each.browser.close()


async def says(socket, code=WHO):
    """Return what a cell prints, or the name of its error."""
    result = await socket.execute(code, timeout=20)
    # Not stderr: a client of an ended kernel of another test may ping a port that this one has got.
    # ipykernel prints its error about that message into the cell that runs.
    printed = (one["content"] for one in result.messages if one["header"]["msg_type"] == "stream")
    stdout = "".join(content["text"] for content in printed if content["name"] == "stdout")
    return stdout.strip() or result.errors[0].partition(":")[0]


async def until_says(socket, text):
    """Wait until a cell prints a text."""
    end = time.monotonic() + INTERVAL_S + SLACK_S
    while (answer := await says(socket)) != text:
        assert time.monotonic() < end, answer
        await asyncio.sleep(0.2)


async def until_over(socket, seconds):
    """Wait until cells are refused; return how long that took."""
    start = time.monotonic()
    while time.monotonic() - start < seconds:
        try:
            result = await socket.execute("pass", timeout=2)
        except asyncio.TimeoutError:  # the login was revoked while the cell was running
            continue
        if any(error.startswith(("SessionExpired", "SessionRevoked")) for error in result.errors):
            return time.monotonic() - start
        await asyncio.sleep(0.2)
    raise AssertionError("cells still run")


async def test_a_guest_is_the_guest(enter):
    """Alice and her guests on one kernel: names, groups and admin are those of each."""
    alice, bob, root = enter("alice"), enter("bob"), enter("root")
    kernel_id = await alice.start_kernel()
    hers, his, roots = [await one.connect(kernel_id) for one in (alice, bob, root)]
    answers = await asyncio.gather(*(says(socket) for socket in (hers, his, roots) for _ in "123"))
    assert answers == [
        *["alice team-x False False"] * 3,
        *["bob guests,team-x False False"] * 3,
        *["root  True False"] * 3,
    ]
    owner = "from jupyter_session_user import *; s = get_session(); s.kernel_owner, s.owns_kernel"
    answers = [(await one.execute(owner)).text for one in (hers, his, roots)]
    assert answers == ["('alice', True)", "('alice', False)", "('alice', False)"]
    for socket in (hers, his, roots):
        await socket.close()


async def test_one_browser_is_one_login(enter):
    """Page token and cookie are one login; to revoke one of bob's browsers leaves the other."""
    alice, first, second = enter("alice"), enter("bob"), enter("bob")
    kernel_id = await alice.start_kernel()
    one, two = [await each.connect(kernel_id) for each in (first, second)]
    assert [await says(one), await says(two)] == ["bob guests,team-x False False"] * 2
    mine = (await first.json("api/session-user/me"))["id"]
    token = first.page_token()
    assert token
    by_token = HubPerson(first.hub, "bob")
    by_token.headers["Authorization"] = f"token {token}"
    assert (await by_token.json("api/session-user/me"))["id"] == mine
    assert (await first.fetch(f"api/session-user/sessions/{mine}", method="DELETE")).code == 204
    assert (await says(one), await says(two)) == ("SessionRevoked", "bob guests,team-x False False")
    page = first.open()
    assert (page.status_code, len(page.history) <= 5) == (403, True)
    first.log_out()
    again = first.enter()
    assert (await again.fetch("api/session-user/me")).code == 200
    await one.close()
    await two.close()


async def test_the_owner_may_end_a_guests_login(enter):
    """Alice owns the server; bob may not do the same to her or to carol."""
    alice, bob, carol = enter("alice"), enter("bob"), enter("carol")
    ids = {one.name: (await one.json("api/session-user/me"))["id"] for one in (alice, bob, carol)}
    for name in ("alice", "carol"):
        path = f"api/session-user/sessions/{ids[name]}"
        assert (await bob.fetch(path, method="DELETE")).code == 404
    path = f"api/session-user/sessions/{ids['carol']}"
    assert (await alice.fetch(path, method="DELETE")).code == 204
    assert (await carol.fetch("api/session-user/me")).code == 403
    assert (await bob.fetch("api/session-user/me")).code == 200


async def test_a_service_is_not_the_user_of_its_name(hub, enter):
    """The Hub has a user and a service with the name carol; neither sees the other's sessions."""
    carol, robot = enter("carol"), HubPerson(hub, "carol")
    robot.headers["Authorization"] = f"token {ROBOT_TOKEN}"
    ids = [(await one.json("api/session-user/me"))["id"] for one in (carol, robot)]
    assert ids[0] != ids[1]
    for one, other in ((carol, ids[1]), (robot, ids[0])):
        shown = {each["id"] for each in await one.json("api/session-user/sessions")}
        assert other not in shown
    assert (await robot.fetch(f"api/session-user/sessions/{ids[0]}", method="DELETE")).code == 404
    robot.browser.close()


@pytest.mark.parametrize("way", ["logout", "token", "role", "user"])
async def test_an_end_at_the_hub_is_one_here(hub, enter, way):
    """Within the interval, past JupyterHub's cache of five minutes; alice goes on."""
    alice, bob = enter("alice"), enter("bob")
    kernel_id = await alice.start_kernel()
    hers, his = [await one.connect(kernel_id) for one in (alice, bob)]
    assert await says(his) == "bob guests,team-x False False"
    try:
        if way == "logout":
            bob.log_out()
        elif way == "token":
            for token in hub.api("GET", "users/bob/tokens").json()["api_tokens"]:
                hub.api("DELETE", f"users/bob/tokens/{token['id']}", check=False)
        elif way == "role":
            hub.unshare("bob")
        else:
            hub.api("DELETE", "users/bob")
        assert await until_over(his, INTERVAL_S + SLACK_S) <= INTERVAL_S + SLACK_S
        assert await says(hers) == "alice team-x False False"
        states = [
            each["state"]
            for each in await alice.json("api/session-user/sessions")
            if each["user"]["username"] == "bob" and each["kernel_id"] == kernel_id
        ]
        assert ("revoked" if way == "role" else "expired") in states
    finally:
        hub.restore()
    await hers.close()
    await his.close()


async def test_the_hub_tells_the_server_of_a_logout(run):
    """With an interval of an hour, bob's logout counts at once; alice goes on.

    The Hub's service may ask about any user, a guest about nobody else, and asking ends nothing.
    """
    path = "api/session-user/revalidate"
    with run(interval=3600) as hub:
        alice, bob = (HubPerson(hub, name).enter() for name in ("alice", "bob"))
        kernel_id = await alice.start_kernel()
        hers, his = [await one.connect(kernel_id) for one in (alice, bob)]
        assert await says(his) == "bob guests,team-x False False"
        for name in ("alice", "bob"):
            answer = await bob.fetch(path, method="POST", body={"username": name})
            assert answer.code == 403
        robot = HubPerson(hub, "carol")
        robot.headers["Authorization"] = f"token {ROBOT_TOKEN}"
        for name in ("alice", "bob"):
            asked = await robot.json(path, method="POST", body={"username": name})
            assert asked == {"asked": 1}
        assert await says(his) == "bob guests,team-x False False"
        bob.log_out()
        assert await until_over(his, SLACK_S)
        assert (await bob.fetch("api/session-user/me")).code == 403
        assert await says(hers) == "alice team-x False False"
        assert "was not told about a logout" not in hub.log_text()
        for socket in (hers, his):
            await socket.close()
        for each in (alice, bob, robot):
            each.browser.close()


def end_at_the_hub(hub, name):
    """Return the latest end of a user's tokens for alice's server, in seconds since the epoch."""
    tokens = hub.api("GET", f"users/{name}/tokens").json()["api_tokens"]
    texts = [t["expires_at"] for t in tokens if "/user/alice/" in t["oauth_client"]]
    return seconds_of(max(texts))


def seconds_of(text):
    """Return a time that the Hub writes, in seconds since the epoch."""
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


async def until_ends(socket, name, source, at):
    """Wait until a cell has the user, the source and the end of the login, within seconds."""
    end = time.monotonic() + SLACK_S
    while True:
        user, told, moment = (await says(socket, END)).split()
        assert user == name
        if told == source and abs(float(moment) - at) < 5:
            return
        assert time.monotonic() < end, (told, float(moment) - at)
        await asyncio.sleep(0.2)


async def until_back(person):
    """Wait until a server that is starting answers."""
    end = time.monotonic() + 60
    while (await person.fetch("api/me")).code != 200:
        assert time.monotonic() < end
        await asyncio.sleep(0.5)


async def test_the_end_of_a_login_is_that_of_its_token(hub, enter):
    """Of a browser from the OAuth reply; of a script from the Hub, which its token may ask."""
    alice, bob = enter("alice"), enter("bob")
    made = hub.api("POST", "users/bob/tokens", json={"expires_in": 3_600}).json()
    script = HubPerson(hub, "bob")
    script.headers["Authorization"] = f"token {made['token']}"
    kernel_id = await alice.start_kernel()
    hers, his = [await one.connect(kernel_id) for one in (alice, bob)]
    its = await script.connect(await script.start_kernel())
    for name, socket in (("alice", hers), ("bob", his)):
        await until_ends(socket, name, "jupyterhub", end_at_the_hub(hub, name))
    await until_ends(its, "bob", "jupyterhub", seconds_of(made["expires_at"]))
    for socket in (hers, his, its):
        await socket.close()
    script.browser.close()


@pytest.mark.parametrize("scope", ["", SCOPE])
async def test_after_a_restart_the_end_is_an_estimate_or_asked(run, scope):
    """The server has forgotten the Hub's reply; with the scope it asks. ``doctor`` tells which."""
    with run(extra=RESTARTS + scope) as hub:
        people = [HubPerson(hub, name).enter() for name in ("alice", "bob")]
        assert (await people[0].fetch("api/shutdown", method="POST")).code == 200
        await until_back(people[0])
        kernel_id = await people[0].start_kernel()
        for person in people:
            socket = await person.connect(kernel_id)
            source = "jupyterhub" if scope else "estimated"
            await until_ends(socket, person.name, source, end_at_the_hub(hub, person.name))
            await socket.close()
            person.browser.close()
        owner = await people[0].connect(kernel_id)
        advice = "c.Spawner.oauth_client_allowed_scopes in jupyterhub_config.py"
        assert (await says(owner, DOCTOR)).endswith(advice) is not bool(scope)
        await owner.close()


async def test_new_groups_arrive_in_an_open_socket(hub, enter):
    """Carol joins a group while her socket is open; bob's groups stay."""
    alice, bob, carol = enter("alice"), enter("bob"), enter("carol")
    kernel_id = await alice.start_kernel()
    his, hers = [await one.connect(kernel_id) for one in (bob, carol)]
    assert await says(hers) == "carol guests False False"
    hub.api("POST", "groups/team-x/users", json={"users": ["carol"]})
    try:
        await until_says(hers, "carol guests,team-x False False")
        assert await says(his) == "bob guests,team-x False False"
    finally:
        hub.api("DELETE", "groups/team-x/users", json={"users": ["carol"]})
    await his.close()
    await hers.close()


async def test_a_hub_that_does_not_answer_ends_no_login(run):
    """Cells go on and say that they are degraded; one line in the log; then as before."""
    with run() as hub:
        alice, bob = (HubPerson(hub, name).enter() for name in ("alice", "bob"))
        kernel_id = await alice.start_kernel()
        his = await bob.connect(kernel_id)
        assert await says(his) == "bob guests,team-x False False"
        hub.freeze()
        try:
            await until_says(his, "bob guests,team-x False True")
            await asyncio.sleep(2 * INTERVAL_S)
            assert await says(his) == "bob guests,team-x False True"
            assert hub.log_text().count("cannot be validated again") == 1
        finally:
            hub.thaw()
        await until_says(his, "bob guests,team-x False False")
        bob.log_out()
        assert await until_over(his, INTERVAL_S + SLACK_S)
        await his.close()
        for each in (alice, bob):
            each.browser.close()
