"""The provider behind an authenticating proxy, without a server: tables of requests.

In each refused request, the obvious implementation names another user, or names one at all.
"""

from __future__ import annotations

import asyncio
import base64
import json
import socket
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from joserfc.jwk import ECKey
from joserfc.jws import JWSRegistry
from signed_jwts import FOREIGN, KEYS, hmac_signed, signed, unsigned, write_keys
from tornado.httpserver import HTTPServer
from tornado.httputil import HTTPHeaders, HTTPServerRequest, ResponseStartLine
from tornado.netutil import bind_sockets, bind_unix_socket
from traitlets import TraitError

from jupyter_session_user.core.proxy_headers import alike
from jupyter_session_user.core.proxy_presets import PRESETS
from jupyter_session_user.errors import ConfigurationError
from jupyter_session_user.server.auth.peer import peer_of
from jupyter_session_user.server.auth.proxy_identity import ProxyIdentityProvider
from jupyter_session_user.server.auth.proxy_settings import ProxySettings

PROXY, ELSEWHERE = ("10.0.0.5", 40_000), ("192.0.2.7", 40_000)
USER = "X-Forwarded-User"
RSA, EC = KEYS["RS256"], KEYS["ES256"]
ISSUER, AUDIENCE = "https://team.example.org", "jupyter"
ARN = "arn:aws:elasticloadbalancing:eu-central-1:1:loadbalancer/app/ours/1"


def request(
    *headers: tuple[str, str], peer: Any = PROXY, family: Any = socket.AF_INET, **more: str
) -> Any:
    """Return a handler of a request; ``remote_ip`` is what a client's X-Forwarded-For says.

    Recent releases of Tornado refuse some of the values themselves, so this is no ``HTTPHeaders``.
    """
    sent = SimpleNamespace(get_all=lambda: iter(headers))
    context = SimpleNamespace(address=peer, address_family=family)
    connection = SimpleNamespace(context=context)
    fields = {"headers": sent, "connection": connection, "remote_ip": "10.0.0.5", **more}
    return SimpleNamespace(request=SimpleNamespace(**fields))


def plain(**settings: Any) -> ProxyIdentityProvider:
    """Return a provider behind oauth2-proxy."""
    return ProxyIdentityProvider(
        **{"preset": "oauth2-proxy", "trusted_proxies": ["10.0.0.0/24"], **settings}
    )


@pytest.fixture(scope="module")
def keys(tmp_path_factory) -> Path:
    """Write the proxy's keys."""
    return write_keys(tmp_path_factory.mktemp("keys") / "jwks.json", RSA, EC)


def asserting(keys: Path, **settings: Any) -> ProxyIdentityProvider:
    """Return a provider behind Cloudflare Access, with ``sub`` as the username."""
    usual = {
        "preset": "cloudflare-access",
        "assertion_jwks": str(keys),
        "assertion_issuer": ISSUER,
        "assertion_audience": AUDIENCE,
        "username_claim": "sub",
    }
    return ProxyIdentityProvider(**{**usual, **settings})


def claims(sub: str, **more: Any) -> dict[str, Any]:
    """Return the claims of a valid assertion."""
    now = time.time()
    usual = {"iss": ISSUER, "aud": [AUDIENCE], "sub": sub, "iat": now, "exp": now + 60}
    return {**usual, "email": f"{sub}@example.org", **more}


def assertion(token: str, name: str = "Cf-Access-Jwt-Assertion") -> tuple[str, str]:
    """Return the header with an assertion."""
    return name, token


# ------------------------------------------------------------------------------------ plain headers


def test_the_proxy_names_each_user():
    """Two users, with their names, groups and addresses; UTF-8 as proxies send it."""
    provider = plain()
    for username, name in (("alice", "Alicé"), ("bob", "Doe, Bob")):
        user = provider.get_user(
            request(
                (USER, username),
                ("X-Forwarded-Preferred-Username", name.encode().decode("latin-1")),
                ("X-Forwarded-Email", f"{username}@example.org"),
                ("X-Forwarded-Groups", f"team, {username}s,,"),
            )
        )
        assert (user.username, user.name) == (username, name)
        assert (user.email, user.groups) == (f"{username}@example.org", ("team", f"{username}s"))


@pytest.mark.parametrize(
    ("peer", "family"),
    [
        (ELSEWHERE, socket.AF_INET),
        (("::ffff:192.0.2.7", 1, 0, 0), socket.AF_INET6),
        (("::1", 1, 0, 0), socket.AF_INET6),
        (b"", socket.AF_UNIX),
        ("", socket.AF_UNIX),
        (None, None),
    ],
)
def test_a_request_from_elsewhere_names_nobody(peer, family, caplog):
    """Bob connects past the proxy, with Alice's name; X-Forwarded-For makes no proxy of him."""
    provider = plain()
    for _ in range(3):
        spoofed = request(
            (USER, "alice"), ("X-Forwarded-For", "10.0.0.5"), peer=peer, family=family
        )
        assert provider.get_user(spoofed) is None
    assert provider.get_user(request((USER, "alice"))).username == "alice"
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == 1
    assert "outside of trusted_proxies" in told[0]
    assert "alice" not in told[0]


def test_an_ipv4_proxy_of_a_server_that_listens_on_ipv6():
    """The peer's address is then an IPv6 address that contains the IPv4 address."""
    peer = ("::ffff:10.0.0.5", 1, 0, 0)
    assert str(peer_of(request(peer=peer).request)) == "10.0.0.5"
    assert plain().get_user(request((USER, "bob"), peer=peer)).username == "bob"


def test_a_unix_socket_counts_only_where_it_is_listed():
    """A Unix socket has no address: without an entry of its own it is refused."""
    over = {"peer": b"", "family": socket.AF_UNIX}
    assert plain().get_user(request((USER, "alice"), **over)) is None
    listed = plain(trusted_proxies=["unix"])
    assert listed.get_user(request((USER, "alice"), **over)).username == "alice"
    assert listed.get_user(request((USER, "alice"))) is None  # from a TCP address


async def test_the_peer_of_real_sockets(tmp_path):
    """Tornado's connection has the real peer, whatever ``trust_xheaders`` makes of the headers."""
    seen: list[tuple[str, str]] = []

    def answer(request: HTTPServerRequest) -> None:
        seen.append((request.remote_ip, str(peer_of(request))))
        request.connection.write_headers(ResponseStartLine("HTTP/1.1", 204, ""), HTTPHeaders(), b"")
        request.connection.finish()

    server = HTTPServer(answer, xheaders=True)
    tcp, path = bind_sockets(0, "127.0.0.1"), str(tmp_path / "socket")
    server.add_sockets([*tcp, bind_unix_socket(path)])
    links = [
        await asyncio.open_connection("127.0.0.1", tcp[0].getsockname()[1]),
        await asyncio.open_unix_connection(path),
    ]
    for reader, writer in links:
        writer.write(b"GET / HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 10.0.0.5\r\n\r\n")
        assert (await reader.readline()).startswith(b"HTTP/1.1 204")
        writer.close()
    server.stop()
    await server.close_all_connections()
    assert seen == [("10.0.0.5", "127.0.0.1"), ("10.0.0.5", "unix")]


ALIASES = ["X-Forwarded_User", "x_forwarded_user", "X.Forwarded.User", "x-forwarded.USER"]


@pytest.mark.parametrize("alias", [*ALIASES, "X-Forwarded~User"])
@pytest.mark.parametrize("groups", [False, True], ids=["user", "groups"])
def test_an_alias_of_a_header_names_nobody(alias, groups):
    """Some server takes it for the header: beside the header, or instead of it."""
    if groups:
        alias = alias.lower().replace("user", "groups")
    provider = plain()
    for username in ("alice", "bob"):
        assert provider.get_user(request((USER, username), (alias, "bob"))) is None
        assert provider.get_user(request((alias, "bob"), (USER, username))) is None
        assert provider.get_user(request((alias, username))) is None
        assert provider.get_user(request((USER.upper(), username))).username == username


@pytest.mark.parametrize(
    "headers",
    [
        [(USER, "alice"), (USER, "bob")],
        [(USER, "alice"), (USER.lower(), "alice")],
        [(USER, "alice,bob")],
        [(USER, "alice, bob")],
        [(USER, "")],
        [(USER, "  ")],
        [(USER, "alice\x7f")],
        [(USER, "ali\xffce")],
        [(USER, "a" * 257)],
        [(USER, "alice\u202ebob".encode().decode("latin-1"))],
        [(USER, "alice"), ("X-Forwarded-Email", "a@example.org, b@example.org")],
        [(USER, "alice"), ("X-Forwarded-Groups", "a"), ("X-Forwarded-Groups", "admins")],
        [(USER, "alice"), ("X-Forwarded-Groups", "")],
        [("X-Forwarded-Email", "alice@example.org")],
        [],
    ],
)
def test_an_ambiguous_request_names_nobody(headers, caplog):
    """Two candidates, or a value that is none. The log has no value."""
    provider = plain()
    assert provider.get_user(request(*headers)) is None
    assert provider.get_user(request((USER, "bob"))).username == "bob"
    assert not any(name in caplog.text for name in ("alice", "bob", "admins"))


def test_aliases():
    """The names that stand for one header."""
    assert {alike(name) for name in (USER, *ALIASES)} == {"x-forwarded-user"}
    assert alike("Remote-User") != alike("RemoteUser")


# --------------------------------------------------------------------------------------- assertions


def test_an_assertion_names_each_user(keys):
    """Two users of one issuer; the key of a login is a hash of issuer and subject."""
    provider = asserting(keys)
    found = {}
    for sub in ("alice", "bob"):
        token = signed(claims(sub, groups=[f"{sub}s", 1], name=sub.title()), key=RSA)
        user = provider.get_user(request(assertion(token), peer=ELSEWHERE))
        assert (user.username, user.name, user.groups) == (sub, sub.title(), (f"{sub}s",))
        assert sub not in user.proxy_key
        found[sub] = user.proxy_key
    other = asserting(keys, assertion_issuer="https://other.example.org")
    theirs = signed(claims("alice", iss="https://other.example.org"), key=RSA)
    key = other.get_user(request(assertion(theirs))).proxy_key
    assert len({key, *found.values()}) == 3


def bad_assertions() -> dict[str, str]:
    """Return assertions that name Alice, and must not."""
    now, es256 = time.time(), {"alg": "ES256", "key": EC}
    return {
        "another audience": signed(claims("alice", aud=["another"]), key=RSA),
        "audience that contains ours": signed(claims("alice", aud="jupyter2"), key=RSA),
        "no audience": signed({**claims("alice"), "aud": None}, key=RSA),
        "another issuer's same subject": signed(claims("alice", iss="https://evil"), key=RSA),
        "issuer with a slash": signed(claims("alice", iss=f"{ISSUER}/"), key=RSA),
        "expired": signed(claims("alice", exp=now - 31), key=RSA),
        "no end": signed({**claims("alice"), "exp": None}, key=RSA),
        "end as a text": signed(claims("alice", exp=str(now + 60)), key=RSA),
        "end in milliseconds": signed(claims("alice", exp=now * 1000), key=RSA),
        "not yet valid": signed(claims("alice", nbf=now + 60), key=RSA),
        "of the future": signed(claims("alice", iat=now + 60), key=RSA),
        "no subject": signed({**claims("alice"), "sub": ""}, key=RSA),
        "subject that is no text": signed({**claims("alice"), "sub": ["alice"]}, key=RSA),
        "subject with a control character": signed(claims("alice\n"), key=RSA),
        "another key of the same name": signed(claims("alice"), key=FOREIGN),
        "another algorithm with a known key": signed(claims("alice"), **es256),
        "none": unsigned(claims("alice")),
        "None": unsigned(claims("alice"), "None"),
        "no signature": unsigned(claims("alice"), "RS256"),
        "the public key as an HMAC secret": hmac_signed(claims("alice"), RSA.as_pem(private=False)),
        "no token": "alice",
        "empty": "",
    }


@pytest.mark.parametrize("kind", bad_assertions())
def test_an_assertion_that_is_not_valid_names_nobody(keys, kind, caplog):
    """No plain header helps, and a good assertion beside it does not, either."""
    provider = asserting(keys)
    bad, good = bad_assertions()[kind], signed(claims("bob"), key=RSA)
    assert provider.get_user(request(assertion(bad))) is None
    assert provider.get_user(request(assertion(bad), (USER, "alice"))) is None
    for pair in ((bad, good), (good, bad)):
        assert provider.get_user(request(*map(assertion, pair))) is None
    joined = request(assertion(f"{bad}, {good}"))
    assert provider.get_user(joined) is None
    alias = ("Cf_Access_Jwt_Assertion", good)
    assert provider.get_user(request(assertion(good), alias)) is None
    assert provider.get_user(request(assertion(good))).username == "bob"
    assert not any(text in caplog.text for text in ("alice", "bob", bad or "eyJ"))


def test_small_differences_of_clocks_are_accepted(keys):
    """30 seconds, in both directions."""
    now = time.time()
    for sub, times in (("alice", {"exp": now - 20}), ("bob", {"iat": now + 20, "nbf": now + 20})):
        token = signed(claims(sub, **times), key=RSA)
        assert asserting(keys).get_user(request(assertion(token))).username == sub


def test_without_an_assertion_no_header_names_a_user(keys):
    """The plain headers of the same product are not read."""
    headers = [(USER, "alice"), ("Cf-Access-Authenticated-User-Email", "alice@example.org")]
    assert asserting(keys).get_user(request(*headers)) is None


def test_with_networks_both_must_hold(keys):
    """An assertion that leaks counts only from the proxy's address."""
    provider = asserting(keys, trusted_proxies=["10.0.0.5/32"])
    for sub in ("alice", "bob"):
        shown = assertion(signed(claims(sub), key=RSA))
        assert provider.get_user(request(shown)).username == sub
        assert provider.get_user(request(shown, peer=ELSEWHERE)) is None


def test_one_username_of_two_subjects_is_one_person(keys):
    """Alice's address is given to Bob: he does not get her name while the server runs."""
    provider = asserting(keys, username_claim="email")
    shared = {"email": "a@example.org"}
    first = signed(claims("alice", **shared), key=RSA)
    second = signed(claims("bob", **shared), key=RSA)
    assert provider.get_user(request(assertion(first))).username == "a@example.org"
    assert provider.get_user(request(assertion(second))) is None
    assert provider.get_user(request(assertion(first))).username == "a@example.org"


@pytest.mark.parametrize("said", [False, "false", None, 0, []])
def test_an_address_that_is_not_verified_is_no_username(keys, said):
    """Any user could enter Alice's address at the provider."""
    provider = asserting(keys, username_claim="email")
    forged = claims("bob", email="alice@example.org", email_verified=said)
    assert provider.get_user(request(assertion(signed(forged, key=RSA)))) is None
    real = claims("alice", email_verified=True)
    user = provider.get_user(request(assertion(signed(real, key=RSA))))
    assert user.username == "alice@example.org"


def balancer_token(sub: str, *, padded: bool = True, key: Any = EC, **header: Any) -> str:
    """Return a JWT as AWS ALB makes it: padded, with claims in its header."""
    head = {"alg": "ES256", "kid": "e", "signer": ARN, "iss": ISSUER, "client": AUDIENCE}
    parts = [{**head, "exp": int(time.time()) + 60, **header}, {"sub": sub, "name": sub.title()}]

    def encoded(data: bytes) -> str:
        text = base64.urlsafe_b64encode(data).decode()
        return text if padded else text.rstrip("=")

    signing = ".".join(encoded(json.dumps(part).encode()) for part in parts)
    signature = JWSRegistry.algorithms["ES256"].sign(signing.encode(), key)
    return f"{signing}.{encoded(signature)}"


def test_an_application_load_balancer(keys):
    """The signer must be the ARN of ours; every customer's has a key at the same address."""
    usual = {"preset": "aws-alb", "assertion_signer": ARN, "username_claim": ""}
    provider = asserting(keys, **usual)

    def name(token: str) -> str | None:
        user = provider.get_user(request(assertion(token, "X-Amzn-Oidc-Data")))
        return user and user.username

    assert [name(balancer_token(sub)) for sub in ("alice", "bob", "alicia")] == [
        "alice",
        "bob",
        "alicia",
    ]
    good = balancer_token("alice")
    foreign = ECKey.generate_key("P-256", parameters={"kid": "e"})
    bad = {
        "signer": balancer_token("alice", signer=ARN.replace("ours", "evil")),
        "client": balancer_token("alice", client="another"),
        "issuer": balancer_token("alice", iss="https://evil"),
        "expired": balancer_token("alice", exp=int(time.time()) - 60),
        "key": balancer_token("alice", key=foreign),
        "algorithm": balancer_token("alice", alg="HS256"),
        "none": balancer_token("alice", alg="none"),
        "crit": balancer_token("alice", crit=["x"]),
        "unknown key": balancer_token("alice", kid="x"),
        "no signature": good.rpartition(".")[0] + ".",
        "padding removed": good.replace("=", ""),
    }
    assert "=" in good
    assert {kind: name(token) for kind, token in bad.items()} == dict.fromkeys(bad)


@pytest.mark.parametrize("preset", [name for name, row in PRESETS.items() if row.assertion])
def test_each_product_that_signs(keys, preset):
    """Its header, algorithm and issuer; the other users' names do not mix."""
    row = PRESETS[preset]
    issuer = row.issuer or ISSUER
    options = {"preset": preset, "assertion_issuer": row.issuer and "", "username_claim": ""}
    options |= {"assertion_issuer": "" if row.issuer else ISSUER}
    options |= {"assertion_signer": ARN if row.signed_by else ""}
    provider = asserting(keys, **options)
    key = EC if row.algorithm == "ES256" else RSA
    for sub in ("alice", "bob"):
        token = signed(claims(sub, iss=issuer), row.algorithm, key)
        if row.signed_by:
            token = balancer_token(sub)
        user = provider.get_user(request(assertion(token, row.assertion)))
        assert user.username == (sub if row.signed_by else f"{sub}@example.org")


# ----------------------------------------------------------------------------------------- settings


@pytest.mark.parametrize(
    ("settings", "end"),
    [
        ({}, "set preset, user_header or assertion_header"),
        ({"user_header": USER}, "in trusted_proxies, such as ['10.0.0.5/32']"),
        ({"preset": "authelia"}, "in trusted_proxies, such as ['10.0.0.5/32']"),
        ({"preset": "oauth2-proxy", "trusted_proxies": []}, "such as ['10.0.0.5/32']"),
        ({"preset": "authelia", "trusted_proxies": ["0.0.0.0/0"]}, "['10.0.0.5/32']"),
        ({"preset": "authelia", "trusted_proxies": ["10.0.0.5/32", "::/0"]}, "['10.0.0.5/32']"),
        ({"preset": "authelia", "trusted_proxies": ["0.0.0.0/1", "128.0.0.0/1"]}, "5/32']"),
        ({"preset": "authelia", "trusted_proxies": ["*"]}, "such as 10.0.0.5/32"),
        ({"preset": "authelia", "trusted_proxies": ["10.0.0.5/8"]}, "such as 10.0.0.5/32"),
        ({"preset": "cloudflare-access"}, "a file with the proxy's public keys"),
        ({"assertion_header": "X-A"}, "a file with the proxy's public keys"),
        ({"preset": "pomerium", "assertion_jwks": "KEYS"}, "to the proxy's iss"),
        ({"preset": "google-iap", "assertion_jwks": "KEYS"}, "this application's aud"),
        ({"preset": "pomerium", "assertion_jwks": "/none", "assertion_issuer": "i",
          "assertion_audience": "a"}, "as its jwks_uri gives it."),
        ({"preset": "aws-alb", "assertion_jwks": "KEYS", "assertion_issuer": "i",
          "assertion_audience": "a"}, "to the ARN of yours"),
        ({"preset": "pomerium", "user_header": USER}, "a preset that has it"),
        ({"user_header": USER, "assertion_jwks": "KEYS"}, "set assertion_header"),
        ({"preset": "authelia", "trusted_proxies": ["10.0.0.5/32"], "logout_url": "javascript:x"},
         "such as /oauth2/sign_out"),
        ({"preset": "authelia", "trusted_proxies": ["10.0.0.5/32"], "token": "t"},
         "remove c.IdentityProvider.token"),
    ],
)  # fmt: skip
def test_a_setting_that_trusts_everybody_or_nobody_ends_the_start(keys, settings, end):
    """The error ends with the fix."""
    settings = {k: str(keys) if v == "KEYS" else v for k, v in settings.items()}
    with pytest.raises(ConfigurationError) as caught:
        ProxyIdentityProvider(**settings)
    assert str(caught.value).endswith(end)
    assert isinstance(caught.value, TraitError)  # Jupyter Server prints it without a traceback


@pytest.mark.parametrize("network", ["127.0.0.1/32", "::1/128", "unix"])
def test_local_addresses_are_warned_about(network, caplog):
    """Kernels connect from them, too."""
    plain(trusted_proxies=[network])
    assert "Code in any kernel here" in caplog.text
    caplog.clear()
    plain()
    assert caplog.text == ""


async def test_nothing_else_names_a_user():
    """No token, no cookie, no form; and authentication is never off."""
    provider = plain()
    assert (provider.token, provider.auth_enabled) == ("", True)
    handler = request(("Authorization", "token t"))
    assert await provider.get_user_token(handler) is None
    assert provider.get_user_cookie(handler) is None
    assert provider.process_login_form(handler) is None
    # The proxy's cookie authenticates a request, so pages of other sites must stay out.
    handler.current_user = None
    assert provider.should_check_origin(handler)
    assert not provider.is_token_authenticated(handler)
    assert provider.get_user(handler) is None


def test_the_environments_token_is_not_accepted(monkeypatch):
    """Images of containers set JUPYTER_TOKEN."""
    monkeypatch.setenv("JUPYTER_TOKEN", "t")
    assert plain().token == ""


def test_the_page_has_each_setting_and_preset():
    """docs/proxies.md describes them all."""
    page = (Path(__file__).parents[2] / "docs" / "proxies.md").read_text("utf-8")
    own = set(ProxySettings.class_own_traits(config=True))
    assert {name for name in own if f"`{name}`" not in page} == set()
    for name, row in PRESETS.items():
        texts = filter(None, (name, row.user, row.name, row.email, row.groups, row.assertion))
        assert [text for text in texts if f"`{text}`" not in page] == []
