"""Real servers behind a real nginx, or reached past it: the proxy names alice and bob.

The obvious implementation reads the header, and the client's address from ``remote_ip``. It names
the other person for most of the requests here.
"""

from __future__ import annotations

import hmac
import json
import socket
import threading
import time
from collections.abc import Iterator
from http import HTTPStatus
from http.cookies import SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import pytest
from nginx_server import documented, nginx_program, nginx_serving
from people import Person
from servers import (
    eventually,
    json_lines,
    kernel_of,
    opened,
    own_server,
    username,
)
from signed_jwts import KEYS, hmac_signed, signed, unsigned, write_keys
from tornado.httpclient import HTTPClientError
from tornado.web import create_signed_value

CLASS = "jupyter_session_user.server.auth.proxy_identity.ProxyIdentityProvider"
PROVIDER = (
    f"--ServerApp.identity_provider_class={CLASS}",
    "--ServerApp.disable_check_xsrf=True",
)
PRESET = "--ProxyIdentityProvider.preset="
TRUSTED = "--ProxyIdentityProvider.trusted_proxies="
#: Where nginx connects from; the tests' own connections are from 127.0.0.1.
NGINX = "127.0.0.2"
USER = "X-Forwarded-User"
SEEN = """
import json
from jupyter_session_user import get_session
s = get_session()
print(json.dumps([s.user.username, s.user.name, s.user.groups, s.source, s.verified,
                  s.user.claims.get("email"), s.user.is_anonymous]))
"""
PEOPLE = {"alice": "Alicé Adams", "bob": "Bob Brown"}


class StandIn(BaseHTTPRequestHandler):
    """Answers nginx's question as oauth2-proxy does; its cookie is the plain username."""

    def do_GET(self) -> None:
        """Answer with the user's headers, or 401."""
        morsel = SimpleCookie(self.headers.get("Cookie", "")).get("_oauth2_proxy")
        name = morsel.value if morsel is not None else ""
        if name not in {*PEOPLE, "carol"}:
            self.send_response(HTTPStatus.UNAUTHORIZED)
        else:
            self.send_response(HTTPStatus.ACCEPTED)
            self.send_header("X-Auth-Request-User", name)
            shown = PEOPLE.get(name, name).encode().decode("latin-1")
            self.send_header("X-Auth-Request-Preferred-Username", shown)
            self.send_header("X-Auth-Request-Email", f"{name}@example.org")
            self.send_header("X-Auth-Request-Groups", f"team,{name}s")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@pytest.fixture(scope="module")
def site(need, tmp_path_factory) -> Iterator[tuple]:
    """Run the documented nginx, the stand-in and a server; return its address, and the server."""
    program = nginx_program()
    need(program, "nginx is missing")
    stand_in = ThreadingHTTPServer(("127.0.0.1", 0), StandIn)
    threading.Thread(target=stand_in.serve_forever, daemon=True).start()
    options = (*PROVIDER, f"{PRESET}oauth2-proxy", f"{TRUSTED}{NGINX}/32")
    try:
        with own_server(*options, "--ServerApp.trust_xheaders=True") as server:

            def config(port: int) -> str:
                text = documented("proxies.md")
                for old, new in (
                    ("listen 80;", f"listen 127.0.0.1:{port}; proxy_bind {NGINX};"),
                    ("127.0.0.1:4180", f"127.0.0.1:{stand_in.server_port}"),
                    ("10.0.0.6:8888", urlsplit(server.url).netloc),
                ):
                    assert old in text
                    text = text.replace(old, new)
                return text

            with nginx_serving(program, tmp_path_factory.mktemp("nginx"), config) as url:
                yield url, server
    finally:
        stand_in.shutdown()
        stand_in.server_close()


def behind(url: str, name: str, headers: dict[str, str] | None = None) -> Person:
    """Return a browser that is logged in at oauth2-proxy."""
    person = Person(url, headers)
    person.cookies["_oauth2_proxy"] = name
    return person


async def refused(person: Person, kernel_id: str) -> bool:
    """Tell whether a person gets no page, no answer of the API and no websocket."""
    codes = [(await person.fetch(path)).code for path in ("api/me", "api/kernels", "login")]
    try:
        async with opened(person, kernel_id):
            return False
    except HTTPClientError as error:
        codes.append(error.code)
    return set(codes) == {HTTPStatus.FORBIDDEN}


async def test_two_people_behind_nginx(site):
    """Each cell has its own user on one kernel, with what the proxy says of the user."""
    url, _ = site
    alice, bob = [behind(url, name) for name in PEOPLE]
    async with (
        kernel_of(alice) as kernel_id,
        opened(alice, kernel_id) as hers,
        opened(bob, kernel_id) as his,
    ):
        for _ in range(3):
            for name, sock in (("alice", hers), ("bob", his)):
                (seen,) = await json_lines(sock, SEEN)
                expected = [name, PEOPLE[name], [f"{name}s", "team"], "proxy", True]
                assert seen == [*expected, f"{name}@example.org", False]
    ids = {(await one.json("api/session-user/me"))["id"] for one in (alice, bob)}
    assert len(ids) == 2


async def test_a_page_of_another_site_signs_nobody_out(site):
    """Neither here nor at the proxy: the answer is the page with a question."""
    url, _ = site
    alice, bob = [behind(url, name, {"Sec-Fetch-Site": "cross-site"}) for name in PEOPLE]
    for one in (alice, bob):
        answer = await one.fetch("logout")
        assert (answer.code, answer.headers.get("Location")) == (HTTPStatus.FORBIDDEN, None)
        assert (await one.fetch("api/me")).code == HTTPStatus.OK


@pytest.mark.parametrize("header", [USER, "X_Forwarded_User", "X.Forwarded.User"])
async def test_a_visitors_own_header_changes_nothing_behind_nginx(site, header):
    """Nginx replaces the header, and drops the other spellings."""
    url, _ = site
    alice, bob = [behind(url, name) for name in PEOPLE]
    alice.headers[header] = "bob"
    async with kernel_of(bob) as kernel_id, opened(alice, kernel_id) as hers:
        assert await username(hers) == "alice"
    assert (await alice.json("api/me"))["identity"]["username"] == "alice"
    stranger = Person(url, {header: "alice"})
    answer = await stranger.fetch("api/me")
    assert (answer.code, answer.headers["Location"]) == (302, f"{url}oauth2/sign_in?rd=/api/me")


@pytest.mark.parametrize("name", ["X-Forwarded-For", "X-Real-IP"])
async def test_past_the_proxy_no_header_names_a_user(site, name):
    """Mallory connects directly, and claims to be nginx, which ``remote_ip`` then says, too."""
    url, server = site
    bob = behind(url, "bob")
    async with kernel_of(bob) as kernel_id:
        for sent in (USER, "X-Forwarded_User"):
            mallory = Person(server.url, {sent: "alice", name: NGINX})
            assert await refused(mallory, kernel_id)
        assert await refused(Person(server.url), kernel_id)
        assert "mallory" not in server.log_text()
        assert server.log_text().count("from outside of trusted_proxies") == 1
        async with opened(bob, kernel_id) as his:
            assert await username(his) == "bob"


async def test_a_token_names_nobody(site):
    """Not the empty token, nor one in the URL or a header, also beside the proxy's user."""
    url, server = site
    bob = behind(url, "bob")
    async with kernel_of(bob) as kernel_id:
        for token in ("", "x"):
            assert await refused(Person(server.url, {"Authorization": f"token {token}"}), kernel_id)
            for host, person, code in ((server.url, Person(server.url), 403), (url, bob, 200)):
                person.url = host
                assert (await person.fetch(f"api/me?token={token}")).code == code
        bob.headers["Authorization"] = "token x"
        assert (await bob.json("api/me"))["identity"]["username"] == "bob"


async def test_logging_out_goes_on_to_the_proxy(site):
    """The logout page ends the login here, and leads to the proxy's; bob's login goes on.

    Opening a page starts the next login; a script of an old page cannot.
    """
    url, _ = site
    carol, bob = behind(url, "carol"), behind(url, "bob")
    async with (
        kernel_of(bob) as kernel_id,
        opened(carol, kernel_id) as hers,
        opened(bob, kernel_id) as his,
    ):
        assert [await username(each) for each in (hers, his)] == ["carol", "bob"]
        answer = await carol.fetch("logout")
        assert (answer.code, answer.headers["Location"]) == (302, "/oauth2/sign_out")
        assert (await hers.execute("1")).reply["ename"] == "SessionRevoked"
        assert await username(his) == "bob"
        assert (await carol.fetch("api/me")).code == HTTPStatus.FORBIDDEN
        carol.headers["Accept"] = "text/html"
        assert (await carol.fetch("login")).headers["Location"] == "/"
        assert (await carol.fetch("api/me")).code == HTTPStatus.OK


# ---------------------------------------------------------------------- requests of a trusted peer


COOKIE_SECRET = "a secret for the cookies of this server"


@pytest.fixture(scope="module")
def trusting(tmp_path_factory):
    """Run a server that trusts the tests' own address."""
    secret = tmp_path_factory.mktemp("secret") / "secret"
    secret.write_text(COOKIE_SECRET)
    options = (f"{PRESET}oauth2-proxy", f"{TRUSTED}127.0.0.1/32")
    with own_server(*PROVIDER, *options, f"--ServerApp.cookie_secret_file={secret}") as running:
        yield running


def raw(server, *pairs: tuple[str, str], path: str = "api/me") -> int:
    """Return the status of a request with exactly these headers."""
    address = urlsplit(server.url)
    lines = [f"GET /{path} HTTP/1.1", f"Host: {address.netloc}", "Connection: close"]
    if path.endswith("channels"):
        lines[2:] = ["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"]
        lines.append("Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==")
    text = "\r\n".join([*lines, *(f"{name}: {value}" for name, value in pairs), "", ""])
    with socket.create_connection((address.hostname, address.port), timeout=30) as link:
        link.sendall(text.encode())
        return int(link.recv(64).split()[1])


AMBIGUOUS = {
    "two": [(USER, "alice"), (USER, "bob")],
    "the same twice": [(USER, "alice"), (USER, "alice")],
    "joined": [(USER, "alice,bob")],
    "alias beside": [(USER, "alice"), ("X_Forwarded_User", "bob")],
    "alias before": [("x.forwarded.user", "bob"), (USER, "alice")],
    "alias alone": [("X-Forwarded_User", "alice")],
    "empty": [(USER, "")],
    "text direction": [(USER, "alice\u202ebob")],
    "alias of the groups": [(USER, "alice"), ("X-Forwarded_Groups", "admins")],
    "another header": [("X-Forwarded-Email", "alice@example.org"), ("Remote-User", "alice")],
}


@pytest.mark.parametrize("pairs", AMBIGUOUS.values(), ids=AMBIGUOUS)
async def test_an_ambiguous_request_has_no_user(trusting, pairs):
    """Also the handshake of a kernel's websocket; alice and bob go on."""
    alice, bob = [Person(trusting.url, {USER: name}) for name in PEOPLE]
    async with kernel_of(alice) as kernel_id:
        channels = f"api/kernels/{kernel_id}/channels"
        assert [raw(trusting, *pairs, path=path) for path in ("api/me", channels)] == [403, 403]
        assert raw(trusting, (USER, "alice"), path=channels) == HTTPStatus.SWITCHING_PROTOCOLS
        async with opened(alice, kernel_id) as hers, opened(bob, kernel_id) as his:
            assert [await username(each) for each in (hers, his)] == ["alice", "bob"]


async def test_a_revoked_user_stays_out_and_another_does_not(trusting):
    """Nothing tells the next login from this one: the user is refused for a while."""
    people = {name: Person(trusting.url, {USER: name}) for name in ("carol", "bob")}
    ids = {name: (await one.json("api/session-user/me"))["id"] for name, one in people.items()}
    path = f"api/session-user/sessions/{ids['carol']}"
    assert (await people["bob"].fetch(path, method="DELETE")).code == HTTPStatus.NOT_FOUND
    assert (await people["carol"].fetch(path, method="DELETE")).code == HTTPStatus.NO_CONTENT
    again = Person(trusting.url, {USER: "carol"})
    assert (await again.fetch("api/me")).code == HTTPStatus.FORBIDDEN
    assert (await people["bob"].fetch("api/me")).code == HTTPStatus.OK


async def test_a_login_cookie_of_jupyter_names_nobody(trusting):
    """A valid one, from before the proxy: it neither names its user nor evades a revocation."""
    name = f"username-{urlsplit(trusting.url).netloc}".replace(".", "-").replace(":", "-")
    fields = dict.fromkeys(("name", "display_name", "initials", "avatar_url", "color"), "dave")
    text = json.dumps({"username": "dave", **fields})
    secret = hmac.new(COOKIE_SECRET.encode(), digestmod="sha256").digest()
    people = {user: Person(trusting.url, {USER: user}) for user in ("bob", "dave")}
    for one in (*people.values(), nobody := Person(trusting.url)):
        one.cookies[name] = create_signed_value(secret, name, text).decode()
    assert (await nobody.fetch("api/me")).code == HTTPStatus.FORBIDDEN
    assert (await people["bob"].json("api/me"))["identity"]["username"] == "bob"
    mine = (await people["dave"].json("api/session-user/me"))["id"]
    path = f"api/session-user/sessions/{mine}"
    assert (await people["dave"].fetch(path, method="DELETE")).code == HTTPStatus.NO_CONTENT
    for value in ("", create_signed_value(secret, name, text).decode()):
        people["dave"].cookies[name] = value
        assert (await people["dave"].fetch("api/me")).code == HTTPStatus.FORBIDDEN
    assert (await people["bob"].fetch("api/me")).code == HTTPStatus.OK


# -------------------------------------------------------------------------------------- assertions

ISSUER, AUDIENCE, HEADER = "https://proxy.example.org", "jupyter", "X-Assertion"


def shown(sub: str, **more: object) -> dict[str, object]:
    """Return the claims of an assertion that is about to expire, or others."""
    now = time.time()
    return {"iss": ISSUER, "aud": AUDIENCE, "sub": sub, "iat": now, "exp": now + 60, **more}


@pytest.fixture(scope="module")
def asserting(tmp_path_factory):
    """Run a server behind a proxy that signs with ES256, and sends an own header."""
    keys = write_keys(tmp_path_factory.mktemp("keys") / "jwks.json")
    options = {
        "header": HEADER,
        "algorithm": "ES256",
        "jwks": keys,
        "issuer": ISSUER,
        "audience": AUDIENCE,
    }
    with own_server(
        *PROVIDER,
        *(f"--ProxyIdentityProvider.assertion_{name}={value}" for name, value in options.items()),
        "--JupyterSessionUser.revalidate_interval=0.5",
    ) as running:
        yield running


def forged() -> dict[str, str]:
    """Return assertions with alice's name that must not count."""
    now = time.time()
    return {
        "another audience": signed(shown("alice", aud="another"), "ES256"),
        "expired": signed(shown("alice", exp=now - 60), "ES256"),
        "another issuer": signed(shown("alice", iss="https://evil.example.org"), "ES256"),
        "none": unsigned(shown("alice")),
        "HS256": hmac_signed(shown("alice"), KEYS["ES256"].as_pem(private=False)),
        "RS256": signed(shown("alice"), "RS256"),
    }


async def test_only_a_valid_assertion_names_a_user(asserting):
    """Two people on one kernel; each bad assertion is refused, also with a plain header."""
    alice, bob = [Person(asserting.url, {HEADER: signed(shown(n), "ES256")}) for n in PEOPLE]
    async with kernel_of(alice) as kernel_id:
        async with opened(alice, kernel_id) as hers, opened(bob, kernel_id) as his:
            assert [await username(each) for each in (hers, his)] == ["alice", "bob"]
        for token in forged().values():
            assert await refused(Person(asserting.url, {HEADER: token, USER: "alice"}), kernel_id)
    me = await bob.json("api/session-user/me")
    assert (me["user"]["username"], me["source"], me["verified"]) == ("bob", "proxy", True)


async def test_an_assertion_that_expires_ends_no_login(asserting):
    """Open websockets go on as degraded; a new handshake with the old assertion is refused."""
    ends = time.time() - 28  # two seconds, with the leeway
    alice, bob = [
        Person(asserting.url, {HEADER: signed(shown(n, iat=ends - 9, exp=ends), "ES256")})
        for n in PEOPLE
    ]
    async with (
        kernel_of(alice) as kernel_id,
        opened(alice, kernel_id) as hers,
        opened(bob, kernel_id) as his,
    ):
        assert [await username(each) for each in (hers, his)] == ["alice", "bob"]

        async def is_degraded() -> bool:
            done = await hers.execute("print(_jsu.get_session().refresh().degraded)")
            return done.text.strip() == "True"

        await eventually(is_degraded)
        assert [await username(each) for each in (hers, his)] == ["alice", "bob"]
        assert await refused(bob, kernel_id)
        alice.headers[HEADER] = signed(shown("alice"), "ES256")
        await alice.fetch(f"api/kernels/{kernel_id}")


# ------------------------------------------------------------------------------------------- start


@pytest.mark.parametrize(
    ("options", "end"),
    [
        ([f"{PRESET}oauth2-proxy"], "such as ['10.0.0.5/32']"),
        ([f"{PRESET}oauth2-proxy", f"{TRUSTED}0.0.0.0/0"], "such as ['10.0.0.5/32']"),
        ([f"{PRESET}pomerium"], "to a file with the proxy's public keys"),
        ([f"{PRESET}authelia", f"{TRUSTED}10.0.0.5/32", "--IdentityProvider.token=t"],
         "remove c.IdentityProvider.token"),
        ([f"{PRESET}authelia", f"{TRUSTED}10.0.0.5/32", "--ServerApp.token=t"],  # its old name
         "remove c.IdentityProvider.token"),
    ],
)  # fmt: skip
def test_a_server_that_would_trust_everybody_does_not_start(options, end):
    """The last words are the fix, without a traceback."""
    with (
        pytest.raises(RuntimeError, match="the server ended at its start") as caught,
        own_server(*PROVIDER, *options),
    ):
        pass
    assert str(caught.value).rstrip().endswith(end)
    assert "Traceback" not in str(caught.value)


def test_off_by_default():
    """Without the setting, a header names nobody."""
    with own_server("--IdentityProvider.token=t" + "t" * 40) as server:
        assert raw(server, (USER, "alice")) == HTTPStatus.FORBIDDEN
        assert "ProxyIdentityProvider" not in server.log_text()
