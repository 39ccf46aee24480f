"""The token exchange of the tests' provider is no rubber stamp: what it gives, and what it refuses.

``tests/flow/test_oidc_provider.py`` relies on that. RFC 8693, section 2.2.2, has the error codes.
"""

from __future__ import annotations

import time

import httpx
import pytest
from node_oidc import ACCESS_TOKEN, CLIENT_SECRETS, EXCHANGE, REPORTS, NodeProvider, node_provider

PEOPLE = ("id-of-alice", "id-of-bob")


@pytest.fixture(scope="module")
def logins(npm_provider: NodeProvider) -> dict[str, dict[str, str]]:
    """Return the token responses of alice and bob, who have logged in."""
    return {account: npm_provider.log_in(account) for account in PEOPLE}


def refusal(response: httpx.Response) -> str:
    """Return the code of a refusal, which has no token."""
    assert response.status_code in (400, 401), response.text
    assert "access_token" not in response.json()
    return response.json()["error"]


def test_each_gets_the_own_token(npm_provider, logins):
    """A JWT about the account of the subject token, for one service, with a short life."""
    assert EXCHANGE in npm_provider.metadata()["grant_types_supported"]
    for account in PEOPLE:
        for asked, audience, scope in (
            ({}, "trino", "sql"),
            ({"scope": "sql"}, "trino", "sql"),
            ({"audience": None, "resource": REPORTS}, REPORTS, "reports"),
        ):
            answer = npm_provider.exchange(logins[account]["access_token"], **asked).json()
            assert answer["issued_token_type"] == ACCESS_TOKEN
            assert (answer["token_type"], answer["scope"]) == ("Bearer", scope)
            assert 0 < answer["expires_in"] <= 120
            said = npm_provider.verified(answer["access_token"])
            assert (said["sub"], said["aud"], said["scope"]) == (account, audience, scope)
            assert said["exp"] - said["iat"] == answer["expires_in"]
            assert "refresh_token" not in answer


@pytest.mark.parametrize(
    "kind", ["garbage", "empty", "refresh_token", "id_token", "service", "jti"]
)
def test_texts_that_are_no_access_token_of_a_login(npm_provider, logins, kind):
    """Neither other tokens of the login, nor a service's token, which is for no onward exchange."""
    for account in PEOPLE:
        login = logins[account]
        service = npm_provider.exchange(login["access_token"]).json()["access_token"]
        text = {
            "garbage": login["access_token"][::-1],
            "empty": "",
            "service": service,
            "jti": npm_provider.verified(service)["jti"],
            **login,
        }[kind]
        assert refusal(npm_provider.exchange(text)) == "invalid_request"


@pytest.mark.parametrize(
    ("asked", "error"),
    [
        ({"audience": "payroll"}, "invalid_target"),
        ({"audience": "nothing"}, "invalid_target"),
        ({"audience": None}, "invalid_target"),
        ({"resource": REPORTS}, "invalid_target"),  # and trino: one token for two services
        ({"scope": "reports"}, "invalid_scope"),
        ({"scope": "sql salaries"}, "invalid_scope"),
        ({"actor_token": "x", "actor_token_type": ACCESS_TOKEN}, "invalid_request"),
        ({"subject_token_type": ACCESS_TOKEN.replace("access", "id")}, "invalid_request"),
        ({"requested_token_type": ACCESS_TOKEN.replace("access", "refresh")}, "invalid_request"),
        ({"client": "other"}, "invalid_request"),  # it may not exchange
        ({"secret": CLIENT_SECRETS["other"]}, "invalid_client"),
    ],
    ids=str,
)
def test_requests_that_are_refused(npm_provider, logins, asked, error):
    """What a client may not ask for, with a token that counts."""
    for account in PEOPLE:
        assert refusal(npm_provider.exchange(logins[account]["access_token"], **asked)) == error


def test_a_token_of_another_client(npm_provider, logins):
    """A person's token that another client got is worth nothing at this one."""
    del logins
    for account in PEOPLE:
        foreign = npm_provider.log_in(account, "other")["access_token"]
        response = npm_provider.exchange(foreign)
        assert refusal(response) == "invalid_request"
        assert "another client" in response.json()["error_description"]


def test_what_a_user_has_taken_back(npm_provider, logins):
    """After alice has revoked her refresh token, her access token counts no more; bob's does."""
    login = npm_provider.log_in("id-of-alice")
    npm_provider.revoke(login["refresh_token"])
    assert refusal(npm_provider.exchange(login["access_token"])) == "invalid_request"
    assert npm_provider.exchange(logins["id-of-bob"]["access_token"]).status_code == 200


def test_a_token_that_has_ended(npm_provider):
    """It counts until its end, and not a moment longer."""
    with node_provider(login_s=2) as provider:
        tokens = [provider.log_in(account)["access_token"] for account in PEOPLE]
        assert provider.exchange(tokens[1]).status_code == 200
        time.sleep(3)
        for token in tokens:
            assert refusal(provider.exchange(token)) == "invalid_request"


def test_a_login_without_pkce(npm_provider):
    """The provider itself refuses a login without PKCE (RFC 7636)."""
    query = {"client_id": "jupyter", "response_type": "code", "scope": "openid"}
    uri = "http://127.0.0.1:1/oauth_callback"
    back = httpx.get(f"{npm_provider.url}/auth", params={**query, "redirect_uri": uri})
    assert "error=invalid_request" in back.headers["location"]
    assert "requires+PKCE" in back.headers["location"]
