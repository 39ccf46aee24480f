"""The identity provider ends logins with a message: the named ones, on open websockets, too."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hmac
import json
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from joserfc.jwk import RSAKey
from local_server import LocalServer
from people import Person
from provider import (
    ISSUER,
    LOGOUT,
    Provider,
    post,
    send_event,
    send_logout,
)
from servers import (
    DEMO,
    PASSWORDS,
    answer_in,
    eventually,
    identity,
    kernel_of,
    opened,
    own_server,
    username,
)

NAMES = ("alice", "bob")
FORM = "application/x-www-form-urlencoded"


@pytest.fixture(scope="module")
def provider(tmp_path_factory) -> Provider:
    """Return the identity provider."""
    return Provider(tmp_path_factory.mktemp("provider"))


@pytest.fixture(scope="module")
def server(provider: Provider) -> Iterator[LocalServer]:
    """Run a server behind a proxy that names the user, and adds the provider's JWT."""
    options = (*provider.settings, *provider.jwt_settings, "--ServerApp.base_url=/a/b/")
    with own_server(*identity("HeaderIdentityProvider"), *options) as running:
        yield running


@pytest.fixture(scope="module")
def password_server(provider: Provider) -> Iterator[LocalServer]:
    """Run a server with a login form, whose usernames are those of the provider."""
    options = (*provider.settings, "--JupyterSessionUser.logout_subject=username")
    with own_server(*DEMO, *options) as running:
        yield running


async def code(person: Person) -> int:
    """Return the status of a request that needs a login."""
    return (await person.fetch("api/kernels")).code


async def codes(*people: Person) -> list[int]:
    """Return the status for each browser."""
    return [await code(person) for person in people]


async def next_second() -> None:
    """Wait until ``iat`` is a later one."""
    await asyncio.sleep(1.01 - time.time() % 1.0)


async def logged_in(server: LocalServer, name: str) -> Person:
    """Return a browser that has used the login form."""
    person = Person(server.url)
    await person.log_in(PASSWORDS[name], name)
    return person


def iss_sub(sub: str, issuer: str = ISSUER) -> dict[str, str]:
    """Return a subject id of RFC 9493."""
    return {"format": "iss_sub", "iss": issuer, "sub": sub}


# -------------------------------------------------------------------------- what ends


@pytest.mark.parametrize("how", ["logout token", "session-revoked"])
async def test_a_session_ends_on_open_websockets(server, provider, how):
    """Alice's browser with that sid is refused; her other browser and bob's cell go on."""
    here, there = (provider.browser(server.url, "alice", sid=f"{how} {n}") for n in (1, 2))
    bob = provider.browser(server.url, "bob", sid=f"{how} 3")
    async with (
        kernel_of(bob) as kernel,
        opened(here, kernel) as socket,
        opened(there, kernel) as other,
        opened(bob, kernel) as his,
    ):
        assert [await username(one) for one in (socket, other, his)] == ["alice", "alice", "bob"]
        if how == "logout token":
            answer = await send_logout(
                server.url, provider.logout_token(sid=f"{how} 1", sub="id-of-alice")
            )
            assert (answer.code, answer.body) == (200, b"")
        else:
            session = {"format": "opaque", "id": f"{how} 1"}
            subject = {"format": "complex", "session": session, "user": iss_sub("id-of-alice")}
            answer = await send_event(server.url, provider.event_token(subject))
            assert (answer.code, answer.body) == (202, b"")
        assert answer.headers["Cache-Control"] == "no-store"
        reply = (await socket.execute("1")).reply
        wanted = "SessionRevoked" if how == "session-revoked" else "SessionExpired"
        assert reply["status"] == "error"
        assert reply["ename"] in {wanted, "SessionRevoked"}
        assert [await username(one) for one in (other, his)] == ["alice", "bob"]
    assert await codes(here, there, bob) == [403, 200, 200]
    me = [(await person.json("api/session-user/me"))["state"] for person in (there, bob)]
    assert me == ["active", "active"]


async def test_a_login_whose_jwt_was_renewed_often_ends_too(server, provider):
    """Each renewed JWT has a later ``iat`` and the same ``sid``; bob's login goes on."""
    now = int(time.time())
    alice, bob = (provider.browser(server.url, name, sid=f"{name}, renewed") for name in NAMES)
    async with (
        kernel_of(bob) as kernel,
        opened(alice, kernel) as socket,
        opened(bob, kernel) as his,
    ):
        for earlier in (5, 4, 3, 2):
            for person, name in ((alice, "alice"), (bob, "bob")):
                sid = f"{name}, renewed"
                renewed = provider.browser(server.url, name, sid=sid, iat=now - earlier)
                person.cookies["t"] = renewed.cookies["t"]
                assert await code(person) == 200
        assert [await username(one) for one in (socket, his)] == ["alice", "bob"]
        answer = await send_logout(server.url, provider.logout_token(sid="alice, renewed"))
        assert answer.code == 200
        assert (await socket.execute("1")).reply["status"] == "error"
        assert await username(his) == "bob"
    assert await codes(alice, bob) == [403, 200]


@pytest.mark.parametrize("how", ["logout token", "session-revoked"])
async def test_a_user_ends_in_all_browsers_until_then(server, provider, how):
    """Alice's two browsers end, her next login does not, and bob's login goes on."""
    sub = f"{how} of alice"
    now = int(time.time())
    first, second = (
        provider.browser(server.url, "alice", sub=sub, sid=f"{how} all {n}", auth_time=now - 5)
        for n in (1, 2)
    )
    later = provider.browser(server.url, "alice", sub=sub, sid=f"{how} all 3", auth_time=now + 2)
    bob = provider.browser(server.url, "bob")
    assert await codes(first, second, bob) == [200, 200, 200]
    if how == "logout token":
        answer = await send_logout(server.url, provider.logout_token(sub=sub, iat=now))
    else:
        answer = await send_event(server.url, provider.event_token(iss_sub(sub), iat=now))
    assert answer.code < 300
    assert await codes(first, second, later, bob) == [403, 403, 200, 200]
    unused = provider.browser(server.url, "alice", sub=sub, sid=f"{how} all 4", auth_time=now - 5)
    assert await codes(unused, bob) == [403, 200]


async def test_a_login_ends_that_no_request_has_shown_yet(server, provider):
    """A stolen JWT of an ended session is refused at its first use; a new session is not."""
    await send_logout(server.url, provider.logout_token(sid="never seen"))
    stolen, new = (provider.browser(server.url, "alice", sid=sid) for sid in ("never seen", "seen"))
    assert await codes(stolen, new, provider.browser(server.url, "bob")) == [403, 200, 200]


@pytest.mark.parametrize(
    "sub_id",
    [
        iss_sub("id-of-alice", "https://other.example.org"),
        iss_sub("alice"),
        {"format": "email", "email": "alice@example.org"},
        {"format": "complex", "user": iss_sub("id-of-alice", "https://other.example.org")},
        {"format": "complex", "device": iss_sub("id-of-alice")},
        {
            "format": "complex",
            "user": iss_sub("id-of-bob"),
            "session": {"format": "opaque", "id": "s"},
        },
    ],
)
async def test_what_names_another_user_ends_nothing(server, provider, sub_id):
    """Another issuer's user, another sub, or a session of another user: 202, and nobody's end."""
    alice = provider.browser(server.url, "alice", sid="s")
    bob = provider.browser(server.url, "bob", sid="t")
    assert await codes(alice, bob) == [200, 200]
    assert (await send_event(server.url, provider.event_token(sub_id))).code == 202
    assert await codes(alice, bob) == [200, 200]


async def test_the_same_ids_of_another_issuer_are_other_logins(server, provider):
    """A JWT of another issuer with the same sub and sid, that the file's keys signed, goes on."""
    ids = {"sub": "same", "sid": "same"}
    ours = provider.browser(server.url, "alice", **ids)
    theirs = provider.browser(server.url, "alice", **ids, iss="https://other.example.org")
    assert await codes(ours, theirs) == [200, 200]
    assert (await send_logout(server.url, provider.logout_token(**ids))).code == 200
    assert await codes(ours, theirs) == [403, 200]


async def test_a_browser_that_hides_its_jwt_later_ends_as_well(tmp_path, provider):
    """The ids count that a login has shown; with a cookie of this server it needs no JWT later."""
    with own_server(*DEMO, *provider.settings, *provider.jwt_settings) as running:
        alice, bob = [await logged_in(running, name) for name in ("alice", "bob")]
        for person, name in ((alice, "alice"), (bob, "bob")):
            person.cookies["t"] = provider.browser(running.url, name, sid=name).cookies["t"]
        assert await codes(alice, bob) == [200, 200]
        del alice.cookies["t"], bob.cookies["t"]
        assert await codes(alice, bob) == [200, 200]
        await send_logout(running.url, provider.logout_token(sid="alice"))
        assert await codes(alice, bob) == [403, 200]


async def test_the_username_as_subject(password_server, provider):
    """All logins of that user that began until then end; the next login works, and so does bob's.

    Before that, a token for the user's id at the provider, which is no username here, ends nothing.
    """
    alice, bob = [await logged_in(password_server, name) for name in ("alice", "bob")]
    async with kernel_of(bob) as kernel, opened(alice, kernel) as socket:
        assert await username(socket) == "alice"
        await send_logout(password_server.url, provider.logout_token(sub="id-of-alice"))
        assert await username(socket) == "alice"
        token = provider.logout_token(sub="alice", sid="unknown here")
        assert (await send_logout(password_server.url, token)).code == 200
        assert (await socket.execute("1")).reply["status"] == "error"
    assert await codes(alice, bob) == [403, 200]
    await next_second()
    again = await logged_in(password_server, "alice")
    assert await codes(again, alice, bob) == [200, 403, 200]
    assert (await send_logout(password_server.url, token)).code == 400  # a replay
    assert await codes(again, bob) == [200, 200]


@pytest.mark.parametrize("kind", ["sqlite", "redis"])
async def test_one_message_counts_on_all_servers(request, provider, tmp_path, kind):
    """Alice's open websocket on the other server is refused; a replay there is refused, too."""
    if kind == "sqlite":
        url = f"sqlite:///{tmp_path / 'ended.sqlite3'}"
    else:
        url = request.getfixturevalue("redis_server").url
    options = (*provider.settings, *provider.jwt_settings, f"--JupyterSessionUser.store_url={url}")
    with ExitStack() as stack:
        one, other = (
            stack.enter_context(own_server(*identity("HeaderIdentityProvider"), *options))
            for _ in range(2)
        )
        alice = provider.browser(other.url, "alice", sid="everywhere")
        bob = provider.browser(other.url, "bob", sid="nowhere")
        async with (
            kernel_of(bob) as kernel,
            opened(alice, kernel) as hers,
            opened(bob, kernel) as his,
        ):
            assert [await username(each) for each in (hers, his)] == ["alice", "bob"]
            token = provider.logout_token(sid="everywhere", sub="id-of-alice")
            assert (await send_logout(one.url, token)).code == 200

            async def refused() -> bool:
                result = await answer_in(hers, "1")
                return result is not None and result.reply["status"] == "error"

            await eventually(refused)
            assert await username(his) == "bob"
        assert await codes(alice, bob) == [403, 200]
        assert (await send_logout(other.url, token)).code == 400


# ---------------------------------------------------------------------------- attacks


def part(value: Any) -> str:
    """Return a part of a JWS."""
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def unsigned(provider: Provider, alg: str, signature: str = "") -> str:
    """Return a logout token for alice without a signature of the provider."""
    header = {"alg": alg, "kid": provider.key.kid, "typ": "logout+jwt"}
    claims = provider.logout_claims(sid="attacked", sub="id-of-alice")
    return f"{part(header)}.{part(claims)}.{signature}"


def by_public_key(provider: Provider) -> str:
    """Return a token whose HMAC has the public key as its secret."""
    head = unsigned(provider, "HS256")[:-1]
    return (
        f"{head}.{part(hmac.digest(provider.key.as_pem(private=False), head.encode(), 'sha256'))}"
    )


def twice(provider: Provider, member: str) -> str:
    """Return a signed token in which a member occurs twice."""
    from joserfc import jws

    claims = json.dumps(provider.logout_claims(sid="attacked"))
    text = claims[:-1] + f', "{member}": "other"}}'
    header = {"alg": "RS256", "kid": provider.key.kid, "typ": "logout+jwt"}
    return jws.serialize_compact(header, text.encode(), provider.key, algorithms=["RS256"])


def foreign(provider: Provider, kid: str, **header: Any) -> str:
    """Return a token that another key has signed."""
    stranger = Provider.__new__(Provider)
    stranger.key = RSAKey.generate_key(2048, parameters={"kid": kid})
    claims = provider.logout_claims(sid="attacked", sub="id-of-alice")
    return stranger.sign(claims, "logout+jwt", **header)


NOW = int(time.time())
ATTACKS: dict[str, Any] = {
    "alg none": lambda p: unsigned(p, "none"),
    "alg none with a signature": lambda p: unsigned(p, "none", "c2ln"),
    "alg HS256 with the public key": by_public_key,
    "no signature": lambda p: unsigned(p, "RS256"),
    "another key with the same kid": lambda p: foreign(p, p.key.kid),
    "an unknown kid": lambda p: foreign(p, "unknown"),
    "jku of the attacker": lambda p: foreign(p, "x", jku="https://evil.example.org/jwks.json"),
    "x5u of the attacker": lambda p: foreign(p, "x", x5u="https://evil.example.org/cert.pem"),
    "a key in the header": lambda p: foreign(
        p, "x", jwk=RSAKey.generate_key(2048).as_dict(private=False)
    ),
    "typ of an access token": lambda p: p.sign(p.logout_claims(sid="attacked"), "at+jwt"),
    "typ of a SET": lambda p: p.sign(p.logout_claims(sid="attacked"), "secevent+jwt"),
    "another issuer": lambda p: p.logout_token(sid="attacked", iss="https://evil.example.org"),
    "no issuer": lambda p: p.logout_token(sid="attacked", iss=None),
    "another audience": lambda p: p.logout_token(sid="attacked", aud=["other"]),
    "no audience": lambda p: p.logout_token(sid="attacked", aud=None),
    "expired": lambda p: p.logout_token(sid="attacked", exp=NOW - 60),
    "no exp": lambda p: p.logout_token(sid="attacked", exp=None),
    "iat in the future": lambda p: p.logout_token(sid="attacked", iat=NOW + 3600),
    "iat too old": lambda p: p.logout_token(sid="attacked", iat=NOW - 3600),
    "iat as a text": lambda p: p.logout_token(sid="attacked", iat=str(NOW)),
    "no jti": lambda p: p.logout_token(sid="attacked", jti=None),
    "a nonce": lambda p: p.logout_token(sid="attacked", nonce="n"),
    "no events": lambda p: p.logout_token(sid="attacked", events=None),
    "another event": lambda p: p.logout_token(sid="attacked", events={"x": {}}),
    "an event that is no object": lambda p: p.logout_token(
        sid="attacked", events={next(iter(p.logout_claims()["events"])): True}
    ),
    "an id token": lambda p: p.sign(
        {
            "iss": ISSUER,
            "aud": "jupyter",
            "sub": "id-of-alice",
            "sid": "attacked",
            "iat": NOW,
            "exp": NOW + 60,
            "jti": "x",
        },
        "JWT",
    ),
    "neither sub nor sid": lambda p: p.logout_token(),
    "sid twice": lambda p: twice(p, "sid"),
    "not a token": lambda _: "x",
    "empty": lambda _: "",
    "deeply nested": lambda _: f"{part(b'[' * 9000)}.e30.x",
    "five parts": lambda _: "e30.e30.e30.e30.e30",
}


@pytest.fixture(scope="module")
def attacked(provider: Provider) -> Iterator[LocalServer]:
    """Run a server for each test of this kind, since refused tokens block an address."""
    options = (*provider.settings, *provider.jwt_settings)
    with own_server(*identity("HeaderIdentityProvider"), *options) as running:
        yield running


@pytest.mark.parametrize("attack", ATTACKS)
async def test_a_token_against_the_rules_ends_nothing(attacked, provider, attack):
    """400 with an error that shows nothing of the token; alice's and bob's logins go on."""
    alice = provider.browser(attacked.url, "alice", sid="attacked")
    bob = provider.browser(attacked.url, "bob", sid="untouched")
    assert await codes(alice, bob) == [200, 200]
    token = ATTACKS[attack](provider)
    answer = await send_logout(attacked.url, token)
    assert answer.code == 400
    error = json.loads(answer.body)
    assert error.keys() == {"error", "error_description"}
    assert error["error"] == "invalid_request"
    for piece in filter(None, token.split(".")):
        assert len(piece) < 4 or piece not in answer.body.decode()
    assert answer.headers["Cache-Control"] == "no-store"
    assert await codes(alice, bob) == [200, 200]


async def test_crit_is_refused_and_the_same_token_without_it_counts(server, provider):
    """An extension that the token requires is unknown (RFC 7515 section 4.1.11)."""
    alice, bob = (provider.browser(server.url, n, sid=f"crit {n}") for n in ("alice", "bob"))
    assert await codes(alice, bob) == [200, 200]
    token = provider.logout_token(sid="crit alice")
    header, claims, _ = token.split(".")
    critical = {**json.loads(base64.urlsafe_b64decode(header + "==")), "crit": ["x"], "x": 1}
    head = f"{part(critical)}.{claims}"
    signature = _sign(provider, head)
    assert (await send_logout(server.url, f"{head}.{signature}")).code == 400
    assert await codes(alice, bob) == [200, 200]
    del critical["crit"], critical["x"]
    head = f"{part(critical)}.{claims}"
    assert (await send_logout(server.url, f"{head}.{_sign(provider, head)}")).code == 200
    assert await codes(alice, bob) == [403, 200]


def _sign(provider: Provider, head: str) -> str:
    """Return an RS256 signature, past the library's own rules for headers."""
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
    from cryptography.hazmat.primitives.hashes import SHA256

    return part(provider.key.private_key.sign(head.encode(), PKCS1v15(), SHA256()))


async def test_a_replay_after_the_next_login_ends_nothing(server, provider):
    """The same token is refused, and a new token with the old ``iat`` ends no later login."""
    now, sub = int(time.time()), "replayed"
    token = provider.logout_token(sub=sub, iat=now - 10)
    old = provider.browser(server.url, "alice", sub=sub, auth_time=now - 20)
    bob = provider.browser(server.url, "bob")
    assert await codes(old, bob) == [200, 200]
    assert (await send_logout(server.url, token)).code == 200
    new = provider.browser(server.url, "alice", sub=sub, auth_time=now - 5)
    assert await codes(old, new, bob) == [403, 200, 200]
    assert (await send_logout(server.url, token)).code == 400
    late = provider.logout_token(sub=sub, iat=now - 10)
    assert (await send_logout(server.url, late)).code == 200
    assert await codes(old, new, bob) == [403, 200, 200]


async def test_a_repeated_security_event_is_accepted_and_does_nothing(server, provider):
    """A transmitter repeats what may have been lost, and is answered as the first time."""
    session = {"format": "opaque", "id": "repeated"}
    token = provider.event_token(session)
    alice, bob = (
        provider.browser(server.url, n, sid=s)
        for n, s in (("alice", "repeated"), ("bob", "not repeated"))
    )
    assert await codes(alice, bob) == [200, 200]
    for _ in range(2):
        assert (await send_event(server.url, token)).code == 202
        assert await codes(alice, bob) == [403, 200]


@pytest.mark.parametrize(
    ("claims", "err"),
    [
        ({"iss": "https://evil.example.org"}, "invalid_issuer"),
        ({"aud": "jupyter"}, "invalid_audience"),
        ({"iat": NOW - 200_000}, "invalid_request"),
        ({"events": {}}, "invalid_request"),
        ({"sub_id": "attacked"}, "invalid_request"),
    ],
)
async def test_errors_of_security_events(server, provider, claims, err):
    """RFC 8935: an error code and a description in a named language; nobody's login ends."""
    alice = provider.browser(server.url, "alice", sid="in peace")
    bob = provider.browser(server.url, "bob")
    assert await codes(alice, bob) == [200, 200]
    session = {"format": "opaque", "id": "in peace"}
    answer = await send_event(server.url, provider.event_token(**{"sub_id": session, **claims}))
    assert (answer.code, json.loads(answer.body)["err"]) == (400, err)
    assert json.loads(answer.body)["description"]
    assert answer.headers["Content-Language"] == "en"
    forged = provider.event_token(session).rpartition(".")[0] + ".c2ln"
    assert json.loads((await send_event(server.url, forged)).body)["err"] == "invalid_key"
    logout = provider.logout_token(sid="in peace")
    assert (await send_event(server.url, logout)).code == 400  # the other kind
    assert await codes(alice, bob) == [200, 200]


async def test_other_security_events_are_accepted_and_ignored(server, provider):
    """A stream may carry events that are not about sessions, such as its own verification."""
    alice, bob = (provider.browser(server.url, n, sid=f"other {n}") for n in ("alice", "bob"))
    assert await codes(alice, bob) == [200, 200]
    other = {"https://schemas.openid.net/secevent/ssf/event-type/verification": {"state": "x"}}
    token = provider.event_token({"format": "opaque", "id": "other alice"}, events=other)
    assert (await send_event(server.url, token)).code == 202
    assert await codes(alice, bob) == [200, 200]


# ----------------------------------------------------------------------------- the route


@pytest.mark.parametrize(
    "body", [b"", b"logout_token=a&logout_token=b", b"\xff=1", b"x=" + b"&y=" * 99]
)
async def test_a_body_without_one_token_is_an_error(server, body):
    """The answer is an error of the specification, and no page or redirect."""
    answer = await post(server.url + LOGOUT, body, FORM)
    assert (answer.code, json.loads(answer.body)["error"]) == (400, "invalid_request")
    other = await post(server.url + LOGOUT, b"{}", "application/json")
    assert other.code == 400


async def send_endlessly(server: LocalServer, header: str, chunk: bytes) -> tuple[bytes, int]:
    """Send a body of up to 40 MB; return the start of the answer, and how much the server took."""
    address = urlsplit(server.url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    line = f"POST {address.path}{LOGOUT} HTTP/1.1\r\nHost: {address.netloc}\r\n"
    writer.write(f"{line}Content-Type: {FORM}\r\n{header}\r\n\r\n".encode())
    answer = await reader.read(64) if not chunk else b""
    sent = 0
    with contextlib.suppress(ConnectionError):
        while chunk and sent < 40_000_000:
            writer.write(chunk)
            await writer.drain()
            sent += len(chunk)
    writer.close()
    return answer, sent


async def test_a_huge_body_is_not_read(server, provider):
    """The server answers before the body comes; without a stated size, it closes the connection."""
    alice, bob = (provider.browser(server.url, name) for name in ("alice", "bob"))
    answer, _ = await send_endlessly(server, "Content-Length: 40000000", b"")
    assert answer.startswith(b"HTTP/1.1 413 ")
    chunk = b"10000\r\n" + b"x" * 65536 + b"\r\n"
    _, sent = await send_endlessly(server, "Transfer-Encoding: chunked", chunk)
    assert sent < 20_000_000
    assert await codes(alice, bob) == [200, 200]


async def test_the_route_asks_for_no_login_and_no_xsrf_cookie(password_server, provider):
    """A client without cookies is answered, neither redirected nor refused; XSRF is on."""
    alice, bob = [await logged_in(password_server, name) for name in ("alice", "bob")]
    assert (await post(password_server.url + "api/kernels", b"{}", "application/json")).code == 403
    answer = await send_logout(password_server.url, provider.logout_token(sub="nobody"))
    assert answer.code == 200
    assert await codes(alice, bob) == [200, 200]


async def test_a_flood_of_garbage_is_limited(provider):
    """1,000 refused tokens: the address is blocked for some seconds, and other requests go on."""
    options = (*provider.settings, *provider.jwt_settings)
    with own_server(*identity("HeaderIdentityProvider"), *options) as running:
        alice, bob = (provider.browser(running.url, n, sid=n) for n in ("alice", "bob"))
        assert await codes(alice, bob) == [200, 200]
        start = time.monotonic()
        garbage = (send_logout(running.url, f"e30.e30.{number}") for number in range(1000))
        seen = await asyncio.gather(*garbage)
        checked = [one for one in seen if one.code == 400]
        blocked = [one for one in seen if one.code == 429]
        assert len(checked) + len(blocked) == 1000
        # 50 at once and 5 per second; then those that are looked at in spite of the block.
        assert 50 <= len(checked) <= 160 + 106 * (time.monotonic() - start)
        assert blocked
        assert all(1 <= int(one.headers["Retry-After"]) <= 10 for one in blocked)
        assert await codes(alice, bob) == [200, 200]

        async def accepted() -> bool:
            return (await send_logout(running.url, provider.logout_token(sid="alice"))).code == 200

        await eventually(accepted)
        assert await codes(alice, bob) == [403, 200]


@pytest.mark.parametrize("path", ["backchannel-logout", "security-events"])
async def test_without_its_settings_the_route_does_not_exist(provider, path, header_server):
    """404, whatever is sent; a login cannot be ended this way."""
    alice, bob = (provider.browser(header_server.url, n, sid=n) for n in ("alice", "bob"))
    url = f"{header_server.url}api/session-user/{path}"
    token = provider.logout_token(sid="alice")
    for answer in (
        await post(url, f"logout_token={token}", FORM),
        await post(url, token, "application/secevent+jwt"),
    ):
        assert answer.code == 404
    assert await codes(alice, bob) == [200, 200]


def test_an_incomplete_configuration_ends_the_start(provider, tmp_path):
    """The error names the settings that are missing, or the file without keys."""

    def log_of(*options: str) -> str:
        with pytest.raises(RuntimeError) as error, own_server(*DEMO, *options):
            pass
        return str(error.value)

    log = log_of(f"--JupyterSessionUser.logout_issuer={ISSUER}")
    assert "also set c.JupyterSessionUser.logout_jwks, c.JupyterSessionUser.logout_audience" in log
    empty: Path = tmp_path / "none.json"
    assert "logout_jwks" in log_of(*provider.settings, f"--JupyterSessionUser.logout_jwks={empty}")
