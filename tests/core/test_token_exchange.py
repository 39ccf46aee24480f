"""The rules of token exchange: settings, requests, and answers about the right user alone."""

from __future__ import annotations

import base64
import json
import math
from typing import Any

import pytest

from jupyter_session_user import AccessTokenUnavailable, ConfigurationError, ConsentRequired
from jupyter_session_user.core.exchange_terms import (
    EXCHANGE,
    REFRESH,
    ExchangeTerms,
    is_secure_url,
    terms_of,
)
from jupyter_session_user.core.login_tokens import LoginTokens, claims_in, is_token
from jupyter_session_user.core.secret import Secret
from jupyter_session_user.core.token_exchange import (
    Issued,
    Reply,
    basic,
    grant_of,
    kept_for,
    read_answer,
    request_of,
)

NOW = 1_800_000_000.0
ISSUER = "https://login.example.org/realms/research"
GOOD = {"issuer": ISSUER, "client_id": "jupyter"}
CANARY = "c4n4ry-0f-th3-cl13nt"


def part(value: Any) -> str:
    """Return a part of a JWT."""
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def token(**claims: Any) -> str:
    """Return a JWT with these claims."""
    return f"{part({'alg': 'RS256'})}.{part(claims)}.c2ln"


def login_of(name: str) -> LoginTokens:
    """Return the tokens of a login."""
    found = LoginTokens.read(
        {
            "access_token": token(sub=f"id-of-{name}", aud="provider"),
            "refresh_token": f"refresh-of-{name}",
            "id_token": token(sub=f"id-of-{name}", aud="jupyter"),
            "expires_in": 300,
        },
        NOW,
    )
    assert found is not None
    return found


def answer(name: str, **more: Any) -> dict[str, Any]:
    """Return the provider's answer about a user; None removes a member."""
    claims = {"sub": f"id-of-{name}", "aud": "trino", "iat": NOW, "exp": NOW + 300}
    claims |= more.pop("claims", {})
    usual = {"access_token": token(**claims), "token_type": "Bearer", "expires_in": 300, **more}
    return {key: value for key, value in usual.items() if value is not None}


def issued(name: str, said: object, status: int = 200, **terms: Any) -> Issued:
    """Return the result for a user's login."""
    wanted = terms_of("trino", {**GOOD, **terms})
    return read(wanted, login_of(name), said, status)


def read(terms: ExchangeTerms, sent: LoginTokens, said: object, status: int = 200) -> Issued:
    """Return the result of an exchange."""
    return read_answer(terms, terms.targets(EXCHANGE), sent, Reply(status, said), NOW)


# ------------------------------------------------------------------------------- settings


def test_the_example_of_the_documentation():
    """Issuer, client and scope are enough; the name is then the audience."""
    terms = terms_of("trino", {**GOOD, "scope": "sql"})
    assert (terms.audience, terms.scope, terms.grant) == ("", "sql", "")
    assert terms.targets(EXCHANGE) == {"trino"} and terms.targets(REFRESH) == frozenset()
    assert not terms.has_secret and not terms.shared_kernels
    assert terms_of("r", {**GOOD, "resource": "https://r"}).targets(EXCHANGE) == {"https://r"}
    assert terms_of("r", {**GOOD, "audience": "a"}).targets(REFRESH) == {"a"}
    assert terms_of("r", {**GOOD, "client_secret_env": "X"}).has_secret


@pytest.mark.parametrize(
    ("name", "wanted", "text"),
    [
        ("", GOOD, "name"),
        ("a b", GOOD, "name"),
        (7, GOOD, "name"),
        ("a", "x", "no dictionary"),
        ("a", {**GOOD, "client_secret": CANARY}, "client_secret_file"),
        ("a", {**GOOD, "secret": CANARY}, "the members are"),
        ("a", {**GOOD, 7: CANARY}, "'7'"),
        ("a", {**GOOD, "scope": ["x"]}, "no text"),
        ("a", {**GOOD, "scope": "x\ny"}, "no text"),
        ("a", {**GOOD, "shared_kernels": "yes"}, "True nor False"),
        ("a", {"client_id": "x"}, "issuer"),
        ("a", {**GOOD, "issuer": "http://login.example.org"}, "https"),
        ("a", {**GOOD, "issuer": "https://["}, "https"),
        ("a", {**GOOD, "issuer": "https://u:p@h/"}, "https"),
        ("a", {**GOOD, "issuer": "https://h/?x=1"}, "https"),
        ("a", {"issuer": ISSUER}, "client_id"),
        ("a", {**GOOD, "client_secret_env": "X", "client_secret_file": "y"}, "remove one"),
        ("a", {**GOOD, "grant": "password"}, "token-exchange"),
        ("a", {**GOOD, "grant": "refresh"}, "login's own token"),
        ("a", {**GOOD, "subject_token": "refresh_token"}, "access_token"),
        ("a", {**GOOD, "subject_claim": ""}, "sub"),
        ("a", {**GOOD, "login_url": "javascript:alert(1)"}, "whole address"),
    ],
)
def test_a_setting_that_cannot_work(name, wanted, text):
    """The error names the fix, and quotes no value that could be a secret."""
    with pytest.raises(ConfigurationError, match="token_exchange: ") as caught:
        terms_of(name, wanted)
    assert text in str(caught.value)
    assert CANARY not in str(caught.value)


def test_which_addresses_are_secure():
    """https, and http on this machine alone."""
    assert is_secure_url("https://h/x") and is_secure_url("http://127.0.0.1:8000")
    assert is_secure_url("http://[::1]:8000/") and is_secure_url("http://localhost")
    for wrong in ("", "http://h", "https://", "ftp://h", "https://h#f", "https://h:x", "//h"):
        assert not is_secure_url(wrong)


# ------------------------------------------------------------------------------- requests


def test_the_grant_is_what_the_provider_has():
    """The metadata decides, unless the setting does; a refresh needs a scope."""
    terms = terms_of("trino", {**GOOD, "scope": "sql"})
    assert grant_of(terms, ["authorization_code", EXCHANGE]) == EXCHANGE
    assert grant_of(terms, ["refresh_token"]) == grant_of(terms, None) == REFRESH
    assert grant_of(terms_of("t", {**GOOD, "grant": "token-exchange"}), []) == EXCHANGE
    with pytest.raises(AccessTokenUnavailable) as caught:
        grant_of(terms_of("trino", GOOD), [])
    assert caught.value.reason == "refused"


def test_the_requests():
    """RFC 8693, section 2.1; RFC 6749, section 6: with the tokens of that user alone."""
    terms = terms_of("trino", {**GOOD, "scope": "sql"})
    for name in ("alice", "bob"):
        tokens = login_of(name)
        form = request_of(terms, EXCHANGE, tokens)
        assert form is not None
        assert claims_in(form["subject_token"]) == {"sub": f"id-of-{name}", "aud": "provider"}
        assert form["subject_token_type"] == "urn:ietf:params:oauth:token-type:access_token"
        assert (form["audience"], form["scope"], "resource" in form) == ("trino", "sql", False)
        refresh = request_of(terms, REFRESH, tokens)
        assert refresh == {
            "grant_type": "refresh_token",
            "refresh_token": f"refresh-of-{name}",
            "scope": "sql",
        }
    at = request_of(terms_of("r", {**GOOD, "resource": "https://r"}), EXCHANGE, tokens)
    assert at is not None and at["resource"] == "https://r" and "audience" not in at
    by_id = request_of(terms_of("t", {**GOOD, "subject_token": "id_token"}), EXCHANGE, tokens)
    assert by_id is not None and claims_in(by_id["subject_token"])["aud"] == "jupyter"
    assert by_id["subject_token_type"].endswith(":id_token")
    only = LoginTokens(access_token=Secret("a"))
    assert request_of(terms, REFRESH, only) is None
    assert basic("a b", "c:%") == ("a+b", "c%3A%25")


# ------------------------------------------------------------------------------- answers


@pytest.mark.parametrize("name", ["alice", "bob"])
def test_a_good_answer(name):
    """The token is about the user of the login, and counts for the shorter stated time."""
    result = issued(name, answer(name))
    assert claims_in(result.token.reveal())["sub"] == f"id-of-{name}"
    assert result.seconds == 300
    assert issued(name, answer(name, expires_in=100)).seconds == 100
    assert issued(name, answer(name, expires_in=None, claims={"exp": NOW + 50})).seconds == 50
    opaque = issued(name, answer(name, access_token="opaque", expires_in=None))
    assert opaque.seconds == 60
    assert issued(name, answer(name, claims={"aud": ["x", "trino"]})).seconds == 300
    assert issued(name, answer(name, refresh_token="new")).tokens.refresh_token == Secret("new")


def test_a_token_about_another_user_is_kept_back():
    """The obvious reading takes any token: here bob's answer to alice's request names bob."""
    for said in (
        answer("bob"),
        answer("alice", id_token=token(sub="id-of-bob")),
        answer("alice", claims={"sub": 7}),
        answer("alice", claims={"sub": ["id-of-alice"]}),
    ):
        with pytest.raises(AccessTokenUnavailable) as caught:
            issued("alice", said)
        assert caught.value.reason == "other_user"
    assert issued("bob", answer("bob")).seconds == 300


def test_the_claim_that_names_a_user_is_the_administrators():
    """``sub`` may differ for each client (Entra ID): another claim then names the user."""
    login = LoginTokens(id_token=Secret(token(sub="pair-1", oid="alice")))
    terms = terms_of("trino", {**GOOD, "subject_claim": "oid"})
    said = answer("x", claims={"sub": "pair-2", "oid": "alice"})
    assert read(terms, login, said).seconds == 300
    with pytest.raises(AccessTokenUnavailable, match="'oid'"):
        read(terms, login, answer("x", claims={"sub": "pair-1", "oid": "bob"}))


def test_a_user_that_cannot_be_compared():
    """The login's tokens name no user, and the answer does: nothing says that it is the same."""
    login, terms = LoginTokens(access_token=Secret("opaque")), terms_of("trino", GOOD)
    with pytest.raises(AccessTokenUnavailable, match="to compare") as caught:
        read(terms, login, answer("bob"))
    assert caught.value.reason == "answer"
    said = answer("bob", access_token="another")
    assert read(terms, login, said).seconds == 300


def test_the_logins_own_token_never_leaves():
    """A provider that returns the token that it was sent gives nothing."""
    tokens, terms = login_of("alice"), terms_of("trino", GOOD)
    for secret in (tokens.access_token, tokens.id_token):
        assert secret is not None
        said = {"access_token": secret.reveal(), "token_type": "bearer"}
        with pytest.raises(AccessTokenUnavailable, match="own token") as caught:
            read(terms, tokens, said)
        assert caught.value.reason == "answer"


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (None, "answer"),
        ([], "answer"),
        ({"token_type": "Bearer"}, "answer"),
        (answer("alice", token_type=None), "answer"),
        (answer("alice", token_type="DPoP"), "answer"),
        (answer("alice", access_token="a b"), "answer"),
        (answer("alice", access_token="a" * 40_000), "answer"),
        (answer("alice", claims={"aud": "account"}), "answer"),
        (answer("alice", claims={"aud": {}}), "answer"),
        (answer("alice", expires_in="300"), "answer"),
        (answer("alice", expires_in=math.nan), "answer"),
        (answer("alice", claims={"exp": True}), "answer"),
        (answer("alice", expires_in=0), "clock"),
        (answer("alice", claims={"exp": NOW - 300, "iat": NOW - 600}), "clock"),
        (answer("alice", claims={"iat": NOW + 600, "exp": NOW + 900}), "clock"),
        (answer("alice", claims={"nbf": NOW + 600}), "clock"),
    ],
)
def test_an_answer_that_does_not_count(said, reason):
    """There is an error with a true reason, without a part of the answer."""
    with pytest.raises(AccessTokenUnavailable) as caught:
        issued("alice", said)
    assert caught.value.reason == reason
    assert "eyJ" not in str(caught.value)


@pytest.mark.parametrize(
    ("status", "said", "code"),
    [
        (400, {"error": "invalid_grant"}, "consent_required"),
        (400, {"error": "interaction_required"}, "consent_required"),
        (403, {"error": "consent_required"}, "consent_required"),
        (400, {"error": "invalid_target"}, "access_token_unavailable.refused"),
        (401, {"error": "invalid_client"}, "access_token_unavailable.refused"),
        (400, {"error": f"<b>{CANARY}"}, "access_token_unavailable.refused"),
        (400, {"error": ["invalid_grant"]}, "access_token_unavailable.refused"),
        (302, None, "access_token_unavailable.refused"),
        (201, answer("alice"), "access_token_unavailable.refused"),
        (500, None, "access_token_unavailable.unreachable"),
        (429, {"error": "slow_down"}, "access_token_unavailable.unreachable"),
    ],
)
def test_a_refusal(status, said, code):
    """The error has its code, and the provider's if it is one; never its description."""
    with pytest.raises((AccessTokenUnavailable, ConsentRequired)) as caught:
        issued("alice", {**said, "error_description": CANARY} if said else said, status)
    assert caught.value.code == code
    assert CANARY not in str(caught.value)


# ------------------------------------------------------------------------------- tokens


def test_how_long_a_token_is_kept():
    """Until shortly before its end: a minute, or a fifth of a short life."""
    assert (kept_for(3600), kept_for(300), kept_for(100), kept_for(1)) == (3540, 240, 80, 0)


def test_reading_and_keeping():
    """What is kept is read again as it was; what is no token is left out."""
    tokens = login_of("alice")
    assert LoginTokens.read(tokens.to_keep(), NOW + 1000) == tokens
    assert tokens.ends_at == NOW + 300
    assert not tokens.has_ended(NOW) and tokens.has_ended(NOW + 295)
    for nothing in (None, "x", {}, {"access_token": ""}, {"access_token": 7, "id_token": "a\n"}):
        assert LoginTokens.read(nothing, NOW) is None
    odd = LoginTokens.read({"refresh_token": "r", "expires_in": True, "expires_at": -1}, NOW)
    assert odd is not None and odd.ends_at is None and not odd.has_ended(NOW)
    assert odd.to_keep() == {"refresh_token": "r"} and odd.subject("sub") is None
    said = LoginTokens.read({"access_token": token(exp=NOW + 5), "expires_in": 300}, NOW)
    assert said is not None and said.ends_at == NOW + 5 and said.has_ended(NOW)


def test_a_refresh_keeps_what_the_answer_leaves_out():
    """RFC 6749, section 6: without a new refresh token, the former one counts."""
    before = login_of("alice")
    after = before.updated(LoginTokens(access_token=Secret("n"), ends_at=NOW + 9))
    assert after.access_token == Secret("n") and after.refresh_token == before.refresh_token
    assert after.id_token == before.id_token and after.ends_at == NOW + 9
    rotated = before.updated(LoginTokens(Secret("n"), Secret("r2"), Secret("i2")))
    assert (rotated.refresh_token, rotated.id_token) == (Secret("r2"), Secret("i2"))


def test_tokens_do_not_print():
    """Neither the tokens nor what an answer becomes shows a token in its repr."""
    result = issued("alice", answer("alice", refresh_token=CANARY))
    assert "eyJ" not in repr((login_of("alice"), result)) and CANARY not in repr(result)


def test_what_is_a_token():
    """Visible ASCII alone: nothing that could add a header or a member to a request."""
    assert is_token("abc-._~+/=")
    for wrong in ("", "a b", "a\r\nb", "ü", "a\x7f", None, 7):
        assert not is_token(wrong)
    assert claims_in("opaque") == claims_in("a.b.c") == claims_in(f"x.{part([1])}.y") == {}


def test_terms_show_no_secret():
    """A repr of the terms names the place of the secret alone."""
    assert "secret" in repr(ExchangeTerms("a", ISSUER, "c", client_secret_env="PLACE"))
