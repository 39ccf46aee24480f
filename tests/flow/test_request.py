"""Arrow 1: from an authenticated request to a session."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Iterator
from urllib.parse import urlencode

import pytest
from header_identity import CANARY
from jupyter_server.auth.security import passwd
from local_server import LocalServer
from people import Person
from servers import DEMO, EXTENSION, kernel_of, opened, own_server, people_on, username

TOKEN = "t" * 48
USER = """
import json
from jupyter_session_user import get_session
s = get_session()
print(json.dumps({**s.to_wire(), "user": {**s.user.public_model(), "claims": dict(s.user.claims)}}))
"""


@pytest.fixture(scope="module")
def anonymous_server() -> Iterator[LocalServer]:
    """Run a server with Jupyter's defaults: one token, one password, and no user names."""
    with own_server(
        f"--IdentityProvider.token={TOKEN}",
        f"--PasswordIdentityProvider.hashed_password={passwd('one for all', algorithm='sha1')}",
        extensions=(EXTENSION, "probe_extension"),
    ) as running:
        yield running


@pytest.fixture(scope="module")
def open_server() -> Iterator[LocalServer]:
    """Run a server that needs no login."""
    with own_server(
        "--IdentityProvider.token=",
        "--PasswordIdentityProvider.hashed_password=",
        "--ServerApp.disable_check_xsrf=True",
    ) as running:
        yield running


class TokenClient(Person):
    """A script with the token: it keeps no cookies, but may send some."""

    def __init__(self, url: str, cookie: str = "") -> None:
        headers = {"Authorization": f"token {TOKEN}"}
        super().__init__(url, {**headers, "Cookie": cookie} if cookie else headers)

    def keep_cookies(self, response: object) -> None:
        """Store nothing."""


async def session_in(person: Person, kernel_id: str) -> dict:
    """Return the session of a cell of this user."""
    async with opened(person, kernel_id) as socket:
        result = await socket.execute(USER)
        assert not result.errors
        return json.loads(result.text)


async def test_two_people_who_log_in_are_two_users(alice, bob, kernel):
    """Each user's cell has that user, with name, groups and a verified session."""
    hers, his = await session_in(alice, kernel), await session_in(bob, kernel)
    assert (hers["user"]["username"], his["user"]["username"]) == ("alice", "bob")
    assert (hers["user"]["groups"], his["user"]["groups"]) == (["finance"], ["research"])
    assert hers["verified"] and his["verified"]
    assert not hers["user"]["is_anonymous"]
    assert hers["session_id"] != his["session_id"]


async def test_a_provider_may_be_sync_or_async_and_may_say_more(as_user):
    """Groups, admin and the allowed claims arrive, and no other field of the user."""
    alice, root = as_user("alice"), as_user("root")
    async with kernel_of(alice) as kernel_id:
        hers, roots = await session_in(alice, kernel_id), await session_in(root, kernel_id)
    assert hers["user"]["groups"] == ["alices", "staff"]
    assert (hers["user"]["admin"], roots["user"]["admin"]) == (False, True)
    assert hers["user"]["claims"] == {"email": "alice@example.org", "given_name": "Alice"}
    assert hers["verified"] and not hers["user"]["is_anonymous"]


async def test_no_other_field_of_the_providers_user_leaves_the_server(as_user):
    """Secret values of other fields are in no message's metadata, no answer and no session."""
    alice, root = as_user("alice"), as_user("root")
    metadata = "import json; print(json.dumps(get_ipython().kernel.get_parent()['metadata']))"
    async with kernel_of(alice) as kernel_id, opened(alice, kernel_id) as socket:
        texts = [(await socket.execute(metadata)).text]
        texts += [json.dumps(await session_in(alice, kernel_id))]
        texts += [json.dumps(message, default=str) for message in socket.everything]
        for path in ("api/session-user/me", "api/session-user/sessions", "api/me"):
            texts += [(await p.fetch(path)).body.decode() for p in (alice, root)]
    assert "alice" in texts[0]
    assert not any(CANARY in text for text in texts)


async def test_a_header_alone_is_one_session_until_it_names_somebody_else(as_user):
    """The same named user keeps the session across requests; another name gets another."""
    first = await as_user("alice").json("api/session-user/me")
    again = await as_user("alice").json("api/session-user/me")
    other = await as_user("bob").json("api/session-user/me")
    assert first["id"] == again["id"] != other["id"]


async def test_a_token_client_keeps_one_session_and_one_name(anonymous_server):
    """Jupyter generates a new user for each request without cookies; here the first name stays."""
    client, twin = TokenClient(anonymous_server.url), TokenClient(anonymous_server.url)
    stock = {(await client.json("api/me"))["identity"]["username"] for _ in range(2)}
    assert len(stock) == 2  # the obvious result: two users
    first, again = [await p.json("api/session-user/me") for p in (client, twin)]
    assert (first["id"], first["user"]) == (again["id"], again["user"])
    async with kernel_of(client) as one, kernel_of(client) as two:
        here, there = await session_in(client, one), await session_in(twin, two)
    names = {s["user"]["username"] for s in (here, there)} | {first["user"]["username"]}
    assert len(names) == 1
    assert here["session_id"] != there["session_id"]  # a session is on one kernel
    assert here["verified"] and here["user"]["is_anonymous"]


async def test_a_token_clients_second_socket_finds_its_session_again(anonymous_server):
    """Two websockets of one token client on one kernel share the session and the user."""
    client = TokenClient(anonymous_server.url)
    async with kernel_of(client) as kernel_id:
        ids = {(await session_in(client, kernel_id))["session_id"] for _ in range(2)}
        mine = await client.json("api/session-user/sessions")
    assert len(ids) == 1
    assert all(s["owns_kernel"] for s in mine if s["kernel_id"] == kernel_id)


async def test_a_password_makes_an_anonymous_user_whom_the_server_checked(anonymous_server):
    """Password logins are anonymous and verified, with one session for each browser."""
    people = [Person(anonymous_server.url), Person(anonymous_server.url)]
    for person in people:
        await person.log_in("one for all")
    first, second = [await person.json("api/session-user/me") for person in people]
    again = await people[0].json("api/session-user/me")
    assert first["user"]["is_anonymous"] and first["verified"]
    assert first["user"]["name"].startswith("Anonymous ")
    assert first["id"] == again["id"] != second["id"]
    assert first["user"]["username"] != second["user"]["username"]


async def test_anothers_cookie_next_to_the_token_is_worth_nothing_unless_it_verifies(
    anonymous_server,
):
    """Old, changed and forged cookies give no access to a session, unlike with raw keys."""
    victim = Person(anonymous_server.url)
    await victim.log_in("one for all")
    hers = await victim.json("api/session-user/me")
    name, content = login_cookie(victim)
    value = victim.cookies[name].strip('"')
    expired = await signed_days_ago(victim, name, content, 40)
    plain = await TokenClient(anonymous_server.url).json("api/session-user/me")
    for bad in (expired, _other_end(value), _redated(value), value + "|", content, "forged", ""):
        thief = TokenClient(anonymous_server.url, cookie=f"{name}={bad}")
        his = await thief.json("api/session-user/me")
        assert his["id"] == plain["id"] != hers["id"]
        assert his["user"]["username"] != hers["user"]["username"]
    assert (await victim.json("api/session-user/me"))["id"] == hers["id"]


def _other_end(text: str) -> str:
    """Return the text with another last character."""
    return text[:-1] + ("0" if text[-1] != "0" else "1")


def _redated(signed: str) -> str:
    """Return a Tornado cookie (format 2) with another date and the old signature."""
    version, key, stamp, *rest = signed.split("|")
    return "|".join((version, key, _other_end(stamp), *rest))


def login_cookie(person: Person) -> tuple[str, str]:
    """Return name and content of the login cookie in this browser."""
    name = next(name for name in person.cookies if name.startswith("username-"))
    content = person.cookies[name].strip('"').split("|")[4].split(":")[1]
    return name, base64.b64decode(content).decode()


async def signed_days_ago(person: Person, name: str, value: str, days: int) -> str:
    """Return the cookie that this server would have signed then."""
    query = urlencode({"name": name, "value": value, "age": days})
    browser = Person(person.url)
    browser.cookies.update(person.cookies)  # the response sets the cookie: not in alice's browser
    return (await browser.json(f"api/probe/signed-cookie?{query}"))["raw"]


async def test_a_login_cookie_that_is_too_old_is_nobody(server, alice):
    """A cookie signed 40 days ago still has its signature, and is refused."""
    name, value = login_cookie(alice)
    late = Person(server.url)
    late.cookies[name] = await signed_days_ago(alice, name, value, 40)
    assert (await late.fetch("api/session-user/me")).code == 403
    assert (await alice.json("api/session-user/me"))["user"]["username"] == "alice"


async def test_without_authentication_users_are_anonymous_and_not_verified(open_server):
    """The server authenticates no user, so no user is verified; browsers stay distinct."""
    people = [Person(open_server.url), Person(open_server.url)]
    for person in people:
        await person.fetch("api/me")
    async with kernel_of(people[0]) as kernel_id:
        seen = [await session_in(person, kernel_id) for person in people]
    assert [s["verified"] for s in seen] == [False, False]
    assert all(s["user"]["is_anonymous"] for s in seen)
    assert seen[0]["user"]["username"] != seen[1]["user"]["username"]


async def test_session_ids_are_long_random_and_unique(as_user):
    """Session ids have at least 128 random bits, and each login has its own."""
    people = [as_user(f"user{number}") for number in range(40)]
    ids = [(await person.json("api/session-user/me"))["id"] for person in people]
    assert len(set(ids)) == len(ids)
    raw = [base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)) for text in ids]
    assert all(len(data) * 8 >= 128 for data in raw)
    # Random, not counted or derived from a prefix: every byte position takes many values.
    assert min(len(set(column)) for column in zip(*raw, strict=True)) > 20


async def test_another_login_of_the_same_person_is_another_session():
    """Two logins of one user on different days are two sessions of one user."""
    with own_server(*DEMO, extensions=(EXTENSION, "probe_extension")) as server:
        alice, _ = await people_on(server)
        name, value = login_cookie(alice)
        earlier = Person(server.url)
        earlier.cookies[name] = await signed_days_ago(alice, name, value, 1)
        first, second = [await p.json("api/session-user/me") for p in (earlier, alice)]
    assert first["user"] == second["user"]
    assert first["id"] != second["id"]
    assert first["id"] not in json.dumps(earlier.cookies)


async def test_who_starts_a_kernel_owns_it_by_either_api(alice, bob):
    """``POST api/kernels`` and ``POST api/sessions`` both record the owner."""
    body = {"path": "owned.ipynb", "type": "notebook", "name": "", "kernel": {"name": "python3"}}
    notebook = await bob.json("api/sessions", method="POST", body=body)
    started = await alice.start_kernel()
    try:
        await _expect_owner(alice, bob, started, "alice")
        await _expect_owner(alice, bob, notebook["kernel"]["id"], "bob")
    finally:
        await bob.fetch(f"api/sessions/{notebook['id']}", method="DELETE")
        await alice.fetch(f"api/kernels/{started}", method="DELETE")


#: A cell that tells the user, the kernel's owner, and whether they are the same.
OWNER = """
import json
from jupyter_session_user import get_session
session = get_session()
print(json.dumps([session.user.username, session.kernel_owner, session.owns_kernel]))
"""


async def _expect_owner(alice: Person, bob: Person, kernel_id: str, owner: str) -> None:
    for name, person in (("alice", alice), ("bob", bob)):
        async with opened(person, kernel_id) as socket:
            said = (await socket.execute(OWNER)).text
            assert json.loads(said) == [name, owner, name == owner]
        mine = await person.json("api/session-user/sessions")
        (model,) = [s for s in mine if s["kernel_id"] == kernel_id]
        assert model["kernel_owner"] == owner
        assert model["owns_kernel"] is (name == owner)


async def test_owning_survives_a_new_login(server, log_in, alice):
    """The user owns a kernel, not the login: after signing in again the user still owns it."""
    async with kernel_of(alice) as kernel_id:
        later = Person(server.url)
        await later.log_in("alice's password", "alice")
        async with opened(later, kernel_id) as socket:
            assert await username(socket) == "alice"
        mine = await later.json("api/session-user/sessions")
    (model,) = [s for s in mine if s["kernel_id"] == kernel_id]
    assert model["owns_kernel"] is True


async def test_all_participants_of_a_shared_kernel_keep_their_own_sessions(as_user):
    """Five users take turns on one kernel: each cell has its sender, and each user one session."""
    names = ["alice", "bob", "carol", "dave", "erin"]
    people = [as_user(name) for name in names]
    async with kernel_of(people[0]) as kernel_id:
        sockets = [await person.connect(kernel_id) for person in people]
        for _ in range(3):
            seen = await asyncio.gather(*(username(socket) for socket in sockets))
            assert seen == names
        for socket in sockets:
            await socket.close()
        listed = await as_user("root").json("api/session-user/sessions")
    here = [s["user"]["username"] for s in listed if s["kernel_id"] == kernel_id]
    assert sorted(here) == names


async def test_a_kernel_that_is_gone_leaves_no_sessions_behind(alice, bob):
    """Shutting a kernel down removes every user's session on it."""
    async with kernel_of(alice) as kernel_id:
        async with opened(bob, kernel_id) as socket:
            assert await username(socket) == "bob"
        before = await bob.json("api/session-user/sessions")
    after = await bob.json("api/session-user/sessions")
    assert kernel_id in {s["kernel_id"] for s in before}
    assert kernel_id not in {s["kernel_id"] for s in after}
