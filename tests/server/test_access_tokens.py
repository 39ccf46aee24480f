"""The parts that get access tokens: secrets, encryption, headers, the provider's client."""

from __future__ import annotations

import asyncio
import logging
import secrets
from base64 import b64encode
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from oauth_provider import CLIENT, CLIENT_SECRET, RunningProvider
from tornado.httputil import HTTPHeaders

from jupyter_session_user import (
    AccessTokenUnavailable,
    ConfigurationError,
    ConsentRequired,
    SessionExpired,
    User,
)
from jupyter_session_user.core.exchange_terms import EXCHANGE, REFRESH, ExchangeTerms, terms_of
from jupyter_session_user.core.login_tokens import LoginTokens, claims_in
from jupyter_session_user.core.secret import Secret
from jupyter_session_user.server.auth.access_tokens import AccessTokens
from jupyter_session_user.server.auth.consents import LoginPage
from jupyter_session_user.server.auth.login_page import url_of
from jupyter_session_user.server.auth.login_tokens.handed_over import HandedOver
from jupyter_session_user.server.auth.login_tokens.header import HeaderTokens
from jupyter_session_user.server.auth.sealing import Sealer, keys_in
from jupyter_session_user.server.auth.token_provider import Issuer, TokenProvider, client_secrets
from jupyter_session_user.store.sealed import SealedRows

HEADER = "X-Forwarded-Access-Token"


def record(name: str, key: str = "", **session: Any) -> Any:
    """Return what is read of a record."""
    fields = {"verified": True, "actor": None, "state": "active", "expires_at": None, **session}
    return SimpleNamespace(
        session=SimpleNamespace(user=User(name), **fields),
        principal=f"user:{name}",
        credential="cookie",
        key=key or f"login of {name}",
    )


def client_of(provider: RunningProvider, secret: str = CLIENT_SECRET, **members: Any) -> Any:
    """Return a client of the provider."""
    wanted = {"issuer": provider.url, "client_id": CLIENT, **members}
    return TokenProvider(terms_of("trino", wanted), Issuer(provider.url), lambda: Secret(secret))


def tokens_of(provider: RunningProvider, name: str) -> LoginTokens:
    """Return the tokens of a new login."""
    found = LoginTokens.read(provider.log_in(name), 0)
    assert found is not None
    return found


# ------------------------------------------------------------------------------- the provider


async def test_both_grants(provider):
    """The client sends each user's own tokens, and gets tokens about that user."""
    client = client_of(provider, scope="sql")
    assert await client.grant() == EXCHANGE
    for name in ("alice", "bob"):
        tokens = tokens_of(provider, name)
        for grant in (EXCHANGE, REFRESH):
            issued = await client.issue(grant, tokens)
            assert claims_in(issued.token.reveal())["sub"] == f"id-of-{name}"
        renewed = await client.renew(tokens)
        assert renewed.subject("sub") == f"id-of-{name}"
        assert renewed.refresh_token == tokens.refresh_token
    provider.faults(no_exchange=True)
    assert await client_of(provider, scope="sql").grant() == REFRESH


async def test_a_refresh_of_another_user_is_kept_back(provider):
    """A provider that confuses refresh tokens would make alice's login bob's for good."""
    client, tokens = client_of(provider), tokens_of(provider, "alice")
    provider.faults(sub="bob")
    with pytest.raises(AccessTokenUnavailable) as caught:
        await client.renew(tokens)
    assert caught.value.reason == "other_user"


async def test_a_login_without_a_refresh_token_begins_anew(provider):
    """There is nothing to renew with: the user has to log in."""
    only = LoginTokens(access_token=Secret("x"))
    with pytest.raises(ConsentRequired, match="log in again"):
        await client_of(provider).renew(only)
    assert await client_of(provider).issue(REFRESH, only) is None


@pytest.mark.parametrize(("faults", "reason"), [({"issuer": "https://else.example.org"}, "answer")])
async def test_metadata_of_another_issuer(provider, faults, reason):
    """OpenID Connect Discovery 1.0, section 4.3: no token is sent there."""
    provider.faults(**faults)
    before = len(provider.seen()["requests"])
    with pytest.raises(AccessTokenUnavailable) as caught:
        await client_of(provider).issue(EXCHANGE, tokens_of(provider, "alice"))
    assert caught.value.reason == reason
    assert len(provider.seen()["requests"]) == before


async def test_a_provider_that_is_not_there(provider):
    """Nobody listens, or there is no metadata: the reason is true."""
    for issuer in ("http://127.0.0.1:9", f"{provider.url}/nowhere"):
        client = TokenProvider(ExchangeTerms("a", issuer, "c"), Issuer(issuer), None)
        with pytest.raises(AccessTokenUnavailable) as caught:
            await client.grant()
        assert caught.value.reason == "unreachable"


async def test_a_wrong_secret(provider):
    """The provider refuses the client, and the text has no secret."""
    client = client_of(provider, "c4n4ry-wrong")
    with pytest.raises(AccessTokenUnavailable, match="invalid_client") as caught:
        await client.issue(EXCHANGE, tokens_of(provider, "alice"))
    assert caught.value.reason == "refused" and "c4n4ry" not in str(caught.value)


# ------------------------------------------------------------------------------- secrets


def test_the_secret_of_a_client(tmp_path):
    """From a private file, read at each use, or a variable, which kernels then do not inherit."""
    path = tmp_path / "secret"
    path.write_text("one\n")
    path.chmod(0o600)
    base = {"issuer": "https://h", "client_id": "c"}
    entries = {
        "file": terms_of("file", {**base, "client_secret_file": str(path)}),
        "env": terms_of("env", {**base, "client_secret_env": "PLACE"}),
        "same": terms_of("same", {**base, "client_secret_env": "PLACE"}),
        "none": terms_of("none", base),
    }
    environment = {"PLACE": "two", "HOME": "/"}
    found = client_secrets(entries, environment)
    assert environment == {"HOME": "/"}
    texts = {name: each and each().reveal() for name, each in found.items()}
    assert texts == {"file": "one", "env": "two", "same": "two", "none": None}
    path.write_text("three")
    assert found["file"]().reveal() == "three"
    path.chmod(0o644)
    with pytest.raises(AccessTokenUnavailable, match="client_secret_file"):
        found["file"]()
    with pytest.raises(ConfigurationError, match="chmod 600"):
        client_secrets(entries, {"PLACE": "two"})
    path.unlink()
    with pytest.raises(ConfigurationError, match="cannot be read"):
        client_secrets(entries, {"PLACE": "two"})
    with pytest.raises(ConfigurationError, match="not set"):
        client_secrets({"env": entries["env"]}, {})


def key_file(path: Path, *keys: bytes) -> Path:
    """Write a file with keys."""
    path.write_bytes(b"\n".join(b64encode(key) for key in keys))
    path.chmod(0o600)
    return path


def test_what_is_sealed_is_bound_to_its_login(tmp_path):
    """AES-GCM: another login's name, a changed bit and another key open nothing."""
    old, new = secrets.token_bytes(32), secrets.token_bytes(32)
    sealer = Sealer(keys_in(key_file(tmp_path / "one", old)))
    for name in ("alice", "bob"):
        sealed = sealer.seal(f"token of {name}", name)
        assert sealer.open(sealed, name) == f"token of {name}"
        assert b"token" not in sealed and sealed != sealer.seal(f"token of {name}", name)
        for changed in (sealed[:-1] + bytes([sealed[-1] ^ 1]), sealed[:20], b"", b"x" * 12):
            assert sealer.open(changed, name) is None
        assert sealer.open(sealed, "carol") is None
        rotated = Sealer(keys_in(key_file(tmp_path / "two", new, old)))
        assert rotated.open(sealed, name) == f"token of {name}"
        assert sealer.open(rotated.seal("x", name), name) is None
        assert Sealer().open(sealed, name) is None


@pytest.mark.parametrize("text", ["", "not base64!", "c2hvcnQ="])
def test_a_key_file_that_cannot_work(tmp_path, text):
    """The error names the file, and never its text."""
    path = tmp_path / "key"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(ConfigurationError, match="login_token_key_file") as caught:
        keys_in(path)
    assert not text or text not in str(caught.value)


async def test_what_is_handed_over(tmp_path, caplog):
    """Tokens are taken off the user, kept for that login alone, and forgotten at its end."""
    now = [1000.0]
    rows = SealedRows(tmp_path / "rows.sqlite3")
    source = HandedOver(Sealer(), rows, logging.getLogger("t"), clock=lambda: now[0])
    people = {name: record(name) for name in ("alice", "bob")}
    for name, each in people.items():
        user = SimpleNamespace(login_tokens={"access_token": f"token-of-{name}"})
        source.logged_in(user, each.key, each.principal)
        assert user.login_tokens is None
    source.logged_in(SimpleNamespace(), "other", "user:alice")
    source.logged_in(SimpleNamespace(login_tokens={"x": "c4n4ry"}), "other", "user:alice")
    assert "token response" in caplog.text and "c4n4ry" not in caplog.text
    for name, each in people.items():
        assert (await source.tokens(each)).access_token == Secret(f"token-of-{name}")
    crossed = record("bob", key=people["alice"].key)
    assert await source.tokens(crossed) is None
    await source.keep(people["alice"], LoginTokens(access_token=Secret("newer")))
    assert (await source.tokens(people["alice"])).access_token == Secret("newer")
    source.forget(people["alice"])
    assert await source.tokens(people["alice"]) is None
    assert await source.tokens(people["bob"]) is not None
    now[0] += 32 * 86_400
    assert await source.tokens(people["bob"]) is None
    source.close()
    HandedOver(Sealer(), SealedRows(tmp_path / "rows.sqlite3"), logging.getLogger("t")).close()


def test_rows_that_cannot_be_used(tmp_path):
    """A damaged file stops the server, with the fix."""
    path = tmp_path / "rows.sqlite3"
    path.write_text("no database " * 100)
    with pytest.raises(ConfigurationError, match="log in again"):
        SealedRows(path)


# ------------------------------------------------------------------------------- the header


class Requests:
    """The latest request of each login."""

    def __init__(self) -> None:
        self.found: dict[str, Any] = {}

    def get(self, key: str) -> Any:
        """Return a login."""
        return self.found.get(key)

    def sends(self, name: str, *values: tuple[str, str]) -> None:
        """Have a person's latest request show these headers."""
        headers = HTTPHeaders()
        for header, value in values:
            headers.add(header, value)
        each = record(name)
        login = SimpleNamespace(principal=each.principal, snapshot=SimpleNamespace(headers=headers))
        self.found[each.key] = login


async def test_the_header_of_the_latest_request(provider):
    """Each person's own header counts; two of them, or another spelling, give no token."""
    requests = Requests()
    source = HeaderTokens(HEADER, requests)  # type: ignore[arg-type]
    alice, bob = record("alice"), record("bob")
    assert await source.tokens(alice) is None
    requests.sends("alice", (HEADER, "hers"))
    requests.sends("bob", (HEADER.lower(), "Bearer his"))
    assert (await source.tokens(alice)).access_token == Secret("hers")
    assert (await source.tokens(bob)).access_token == Secret("his")
    requests.sends("alice", (HEADER, "newer"))
    assert (await source.tokens(alice)).access_token == Secret("newer")
    assert await source.tokens(record("bob", key=alice.key)) is None
    requests.sends("alice", ("X-Other", "x"))
    assert await source.tokens(alice) is None
    for pair in (((HEADER, "a"), (HEADER, "b")), ((HEADER, "a"), (HEADER.replace("-", "_"), "b"))):
        requests.sends("alice", *pair)
        with pytest.raises(AccessTokenUnavailable) as caught:
            await source.tokens(alice)
        assert caught.value.reason == "no_tokens"


async def test_an_ended_token_of_a_proxy(provider):
    """The proxy renews it, not the server: alice has to reload the page; bob's counts."""
    requests = Requests()
    provider.faults(lifetime=1)
    hers = provider.log_in("alice")["access_token"]
    provider.faults()
    requests.sends("alice", (HEADER, hers))
    requests.sends("bob", (HEADER, provider.log_in("bob")["access_token"]))
    source = HeaderTokens(HEADER, requests)  # type: ignore[arg-type]
    giver = AccessTokens(
        {"trino": client_of(provider)},
        source,
        lambda *_: True,
        lambda _: LoginPage("/login", "https://hub.example.org/login"),
        logging.getLogger("t"),
    )
    with pytest.raises(ConsentRequired, match="Reload the page") as caught:
        await giver.give(record("alice"), "trino", "k")
    assert caught.value.login_url == "https://hub.example.org/login"
    given = await giver.give(record("bob"), "trino", "k")
    assert claims_in(given["token"])["sub"] == "id-of-bob" and 0 < given["seconds"] <= 240
    giver.close()


# ------------------------------------------------------------------------------- the giver


async def test_a_changed_user_never_gets_the_token_of_the_one_before(provider):
    """The same login key with another user, as after a login over it, is another cache entry."""
    requests = Requests()
    for name in ("alice", "bob"):
        requests.sends(name, (HEADER, provider.log_in(name)["access_token"]))
    requests.found["same"] = requests.found["login of alice"]
    giver = AccessTokens(
        {"trino": client_of(provider)},
        HeaderTokens(HEADER, requests),  # type: ignore[arg-type]
        lambda *_: True,
        lambda _: LoginPage(),
        logging.getLogger("t"),
    )
    hers = await giver.give(record("alice", key="same"), "trino", "k")
    requests.found["same"] = requests.found["login of bob"]
    his = await giver.give(record("bob", key="same"), "trino", "k")
    assert claims_in(hers["token"])["sub"] == "id-of-alice"
    assert claims_in(his["token"])["sub"] == "id-of-bob"
    count = len(provider.seen()["requests"])
    await asyncio.gather(*(giver.give(record("bob", key="same"), "trino", "k") for _ in range(9)))
    assert len(provider.seen()["requests"]) == count
    giver.on_change("revoked", record("bob", key="same", state="revoked"))
    await giver.give(record("bob", key="same"), "trino", "k")
    assert len(provider.seen()["requests"]) == count + 1
    giver.close()


async def test_a_login_that_ends_during_an_exchange_leaves_nothing(provider, tmp_path):
    """Alice signs out while the provider answers with a new refresh token: it is kept nowhere."""
    rows = SealedRows(tmp_path / "rows.sqlite3")
    source = HandedOver(Sealer(), rows, logging.getLogger("t"))
    people = {name: record(name) for name in ("alice", "bob")}
    for name, each in people.items():
        user = SimpleNamespace(login_tokens=provider.log_in(name))
        source.logged_in(user, each.key, each.principal)
    client = client_of(provider, grant="refresh", scope="sql")
    log = logging.getLogger("t")
    giver = AccessTokens({"trino": client}, source, lambda *_: True, lambda _: LoginPage(), log)
    provider.faults(rotate=True, slow_s=0.5)
    asked = [asyncio.ensure_future(giver.give(each, "trino", "k")) for each in people.values()]
    await asyncio.sleep(0.25)
    giver.on_change("signed_out", record("alice", state="signed_out"))
    hers, his = await asyncio.gather(*asked, return_exceptions=True)
    assert isinstance(hers, SessionExpired)
    assert claims_in(his["token"])["sub"] == "id-of-bob"
    assert await source.tokens(people["alice"]) is None
    assert (await source.tokens(people["bob"])).refresh_token is not None
    giver.close()


def test_the_address_of_a_page():
    """It is the origin of the browser's own request; anything odd gives none.

    A page of another site can have the browser send a request, with its own origin.
    """

    def of(protocol: str = "https", **headers: str) -> str:
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        snapshot = SimpleNamespace(headers=HTTPHeaders(names), protocol=protocol)
        return url_of(snapshot, "/lab/login")

    behind_tls = of("http", Origin="https://hub.example.org:8443", Host="hub.example.org:8443")
    assert behind_tls == "https://hub.example.org:8443/lab/login"
    assert of(Host="jupyter.example.org", protocol="http") == "http://jupyter.example.org/lab/login"
    assert of(Origin="null", Host="[::1]:8888") == "https://[::1]:8888/lab/login"
    assert (
        of(Origin="https://evil.example", Host="j.example.org") == "https://j.example.org/lab/login"
    )
    assert of(Origin="javascript:x", Host="a b") == "" == of() == url_of(None, "/login")
