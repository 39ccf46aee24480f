"""JWTs with known keys of the issuer: a token that none of them has signed has no effect."""

from __future__ import annotations

import base64
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from local_server import LocalServer
from people import Person
from servers import identity, own_server
from signed_jwts import FOREIGN, KEYS, hmac_signed, signed, unsigned, write_keys
from tornado.httputil import HTTPHeaders

from jupyter_session_user.core.lifecycle import Expiry
from jupyter_session_user.errors import ConfigurationError
from jupyter_session_user.server.auth.resolvers.base import Resolution
from jupyter_session_user.server.auth.resolvers.jwks import KeyFile
from jupyter_session_user.server.auth.resolvers.jwt import JwtResolver


@pytest.fixture(scope="module")
def keys(tmp_path_factory) -> Path:
    """Write the issuer's keys."""
    return write_keys(tmp_path_factory.mktemp("keys") / "jwks.json")


def said(keys: Path, *cookies: str, headers: tuple[str, ...] = (), **settings: str) -> Any:
    """Return the resolver's result for a request with these tokens."""
    names = {"jwt_cookie": "t", "jwt_header": "X-Token", "jwt_issuer": "", "jwt_audience": ""}
    options: Any = SimpleNamespace(jwt_jwks=str(keys), **{**names, **settings})
    sent = HTTPHeaders({"Cookie": "; ".join(f"t={token}" for token in cookies)})
    for value in headers:
        sent.add("X-Token", value)
    handler: Any = SimpleNamespace(request=SimpleNamespace(headers=sent))
    return JwtResolver(options).resolve(handler, SimpleNamespace(username="alice"))


@pytest.mark.parametrize("alg", KEYS)
def test_what_the_issuer_signed_counts(keys, alg):
    """Each algorithm works; an end in the past is returned as well."""
    for sub, end in (("alice", 2e9), ("bob", 1e9)):
        token = signed({"sub": sub, "exp": end, "sid": sub}, alg)
        found = said(keys, token)
        assert found.expiry == Expiry(end, "jwt")
        assert sub in found.key
        assert said(keys, headers=(f"Bearer {token}",)) == found


CLAIMS = {"sub": "alice", "sid": "s1", "exp": 2e9}
FORGED = {
    "none": unsigned(CLAIMS),
    "None": unsigned(CLAIMS, "None"),
    "no signature": unsigned(CLAIMS, "RS256"),
    "another signature": unsigned(CLAIMS, "RS256", "c2ln"),
    "another key": signed(CLAIMS, key=FOREIGN),
    "a public key as an HMAC secret": hmac_signed(CLAIMS, KEYS["RS256"].as_pem(private=False)),
    "claims changed": signed(CLAIMS)[:40] + "A" + signed(CLAIMS)[41:],
    "not a token": "x",
    "deeply nested": f"{base64.urlsafe_b64encode(b'[' * 9000).decode()}.e30.x",
}


@pytest.mark.parametrize("token", FORGED.values(), ids=FORGED)
def test_what_the_issuer_did_not_sign_says_nothing(keys, token):
    """Alone, a forged token has no effect; beside a signed token it does not hide that one."""
    assert said(keys, token) is None
    assert said(keys, headers=(token,)) is None
    for sub, end in (("alice", 1.9e9), ("bob", 1.8e9)):
        good = signed({"sub": sub, "sid": sub, "exp": end})
        expected = said(keys, good)
        assert expected == Resolution(Expiry(end, "jwt"), expected.key)
        for both in ((token, good), (good, token)):
            assert said(keys, *both) == expected
            assert said(keys, headers=both) == expected
        assert said(keys, good, headers=(token,)) == expected


def test_of_several_that_are_signed_the_first_end_counts(keys):
    """A second token, perhaps an old one of the same user, does not prolong the login."""
    tokens = [signed({"sub": "alice", "sid": "s", "exp": end}) for end in (2e9, 1.9e9)]
    for order in (tokens, tokens[::-1]):
        found = said(keys, *order)
        assert found.expiry == Expiry(1.9e9, "jwt")
        assert "s" in found.key
    other = signed({"sub": "bob", "sid": "s2", "exp": 2e9})
    assert said(keys, tokens[0], other).key is None


@pytest.mark.parametrize(
    ("claims", "counts"),
    [
        ({"iss": "https://a", "aud": "jupyter"}, True),
        ({"iss": "https://a", "aud": ["other", "jupyter"]}, True),
        ({"iss": "https://b", "aud": "jupyter"}, False),
        ({"iss": "https://a", "aud": "jupyter-not"}, False),
        ({"iss": ["https://a"], "aud": {"jupyter": 1}}, False),
        ({"aud": "jupyter"}, False),
        ({"iss": "https://a"}, False),
    ],
)
def test_a_token_for_others_says_nothing(keys, claims, counts):
    """Tokens of the issuer for other applications have no effect."""
    wanted = {"jwt_issuer": "https://a", "jwt_audience": "jupyter"}
    for sub in ("alice", "bob"):
        found = said(keys, signed({"sub": sub, "exp": 2e9, **claims}), **wanted)
        assert (found is not None) is counts


def test_new_keys_are_read_and_old_ones_are_forgotten(tmp_path):
    """A changed file is read within a second; a broken file changes nothing."""
    now = [0.0]
    path = write_keys(tmp_path / "jwks.json", KEYS["RS256"])
    file = KeyFile(str(path), monotonic=lambda: now[0])
    old, new = (signed(CLAIMS, alg) for alg in ("RS256", "ES256"))

    def counts() -> list[bool]:
        now[0] += 1
        return [file.claims(token) is not None for token in (old, new)]

    assert counts() == [True, False]
    path.write_text("{")
    assert counts() == [True, False]
    path.unlink()
    assert counts() == [True, False]
    write_keys(path, KEYS["ES256"])
    assert counts() == [False, True]


@pytest.mark.parametrize(
    "text", [None, "", "{}", "[]", '{"keys": []}', '{"keys": [{"kty": "oct"}]}']
)
def test_a_file_without_public_keys_ends_the_start(tmp_path, text):
    """The error names the path and the content to write there."""
    path = tmp_path / "jwks.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ConfigurationError, match=r"jwt_jwks: .*jwks\.json.*write the issuer's"):
        said(path)


def test_keys_without_a_token_are_an_error(keys):
    """Without a cookie or a header, the keys would verify nothing."""
    with pytest.raises(ConfigurationError, match="jwt_cookie"):
        said(keys, jwt_cookie="", jwt_header="")


@pytest.fixture(scope="module")
def server(keys: Path) -> Iterator[LocalServer]:
    """Run a server that knows the issuer's keys."""
    options = ("--JupyterSessionUser.jwt_cookie=t", f"--JupyterSessionUser.jwt_jwks={keys}")
    with own_server(*identity("HeaderIdentityProvider"), *options) as running:
        yield running


async def test_no_forged_token_moves_an_end_or_evades_a_revocation(server):
    """On a real server, alice's login stays revoked, and bob's end does not move."""
    end = int(time.time()) + 3600
    good = {name: signed({"sub": name, "sid": name, "exp": end}) for name in ("alice", "bob")}
    alice, bob = (Person(server.url, {"X-User": name}) for name in good)
    for person, name in ((alice, "alice"), (bob, "bob")):
        person.cookies["t"] = good[name]
        me = await person.json("api/session-user/me")
        for forged in (
            unsigned({"sub": name, "sid": "x", "exp": end + 9999}),
            FORGED["another key"],
        ):
            for both in (f"{forged}; t={good[name]}", f"{good[name]}; t={forged}"):
                person.cookies["t"] = both
                again = await person.json("api/session-user/me")
                assert (again["id"], again["expires_at"]) == (me["id"], me["expires_at"])
        person.cookies["t"] = good[name]
    mine = (await alice.json("api/session-user/me"))["id"]
    assert (await alice.fetch(f"api/session-user/sessions/{mine}", method="DELETE")).code < 300
    alice.cookies["t"] = f"{good['alice']}; t={unsigned({'sub': 'alice', 'sid': 'new'})}"
    assert (await alice.fetch("api/me")).code == 403
    assert (await bob.json("api/session-user/me"))["state"] == "active"


async def test_a_token_that_is_not_verified_is_said_so_once_at_the_start(tmp_path):
    """Without keys, the server logs one warning at its start, which names ``jwt_jwks``."""
    options = ("--JupyterSessionUser.jwt_cookie=t",)
    with own_server(*identity("HeaderIdentityProvider"), *options) as running:
        for name in ("alice", "bob"):
            person = Person(running.url, {"X-User": name})
            person.cookies["t"] = unsigned({"sub": name})
            await person.json("api/session-user/me")
        log = running.log_text()
    assert log.count("is not verified here") == 1
    assert "jwt_jwks" in log
