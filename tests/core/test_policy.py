"""A cookie goes to a kernel only where the administrator's rule lets it."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_session_user.core.cookies import RawCookie
from jupyter_session_user.core.policy import DEFAULT_CREDENTIAL_COOKIES, CookiePolicy, Visible
from jupyter_session_user.core.secret import Secret


def raw(*names: str) -> tuple[RawCookie, ...]:
    """Return one cookie for each name, with distinct values."""
    return tuple(RawCookie(name, Secret(str(index))) for index, name in enumerate(names))


def given_names(visible: Visible) -> list[str]:
    """Return the names that go to the kernel, in order."""
    return [cookie.name for cookie in visible.cookies]


@pytest.mark.parametrize(
    "name",
    [
        "username-localhost-8888",
        "username-my-host-example-org",
        "_xsrf",
        "__Host-_xsrf",
        "jupyterhub-session-id",
        "jupyterhub-hub-login",
        "jupyterhub-user-alice",
        "jupyterhub-user-alice-oauth-state",
        "__Host-jupyterhub-hub-login",
        "service-voila",
        "oauthenticator-state",
        "_oauth2_proxy",
        "_oauth2_proxy_0",
        "_oauth2_proxy_csrf",
        "__Host-_oauth2_proxy",
        "__Secure-_oauth2_proxy",
        "mod_auth_openidc_session",
        "mod_auth_openidc_session_0",
        "mod_auth_openidc_state_abc",
        "mellon-cookie",
        "_shibsession_64656661756c74",
        "_shibstate_1700000000_1",
        "_shibsealed_64656661756c74",
        "CF_Authorization",
        "CF_AppSession",
        "AWSELBAuthSessionCookie-0",
        "AWSALBAuthNonce",
        "GCP_IAAP_AUTH_TOKEN_0123",
        "__Host-GCP_IAP_AUTH_TOKEN_0123",
        "GCP_IAP_UID",
        "AppServiceAuthSession",
        "AppServiceAuthSession1",
        "_pomerium",
        "_pomerium_csrf",
        "authelia_session",
        "authentik_session",
        "authentik_proxy_0123",
        "KEYCLOAK_IDENTITY",
        "KEYCLOAK_SESSION_LEGACY",
        "AUTH_SESSION_ID",
        "kc-access",
        "_forward_auth",
        "_forward_auth_csrf_0123",
    ],
)
def test_the_common_login_cookies_go_to_no_kernel(name: str) -> None:
    """With the defaults, no known login cookie leaves the server; it is listed as withheld."""
    visible = CookiePolicy().visible(raw("theme", name), own_kernel=True)
    assert given_names(visible) == ["theme"]
    assert visible.withheld == {name}
    assert given_names(CookiePolicy().visible(raw(name), own_kernel=False)) == []


@pytest.mark.parametrize(
    "name",
    ["user_info", "theme", "sessionid", "USERNAME-localhost", "_XSRF", "my_oauth2_proxy", ""],
)
def test_other_cookies_go_to_the_own_kernel(name: str) -> None:
    """Cookies that match no pattern, letter case included, go to the visitor's own kernel."""
    visible = CookiePolicy().visible(raw(name), own_kernel=True)
    assert given_names(visible) == [name]
    assert visible.withheld == frozenset()


def test_a_renamed_login_cookie_is_kept_back() -> None:
    """The login cookie's exact name is withheld, even if no pattern matches it."""
    policy = CookiePolicy(credential=())
    visible = policy.visible(raw("my-login", "theme"), own_kernel=True, login_cookie="my-login")
    assert given_names(visible) == ["theme"]
    assert visible.withheld == {"my-login"}


def test_an_emptied_list_gives_everything_to_the_own_kernel() -> None:
    """The administrator can switch the patterns off."""
    visible = CookiePolicy(credential=()).visible(raw("_xsrf", "a"), own_kernel=True)
    assert given_names(visible) == ["_xsrf", "a"]


def test_a_foreign_kernel_gets_nothing_by_default() -> None:
    """Without ``share``, another user's kernel gets no cookie and no name."""
    visible = CookiePolicy().visible(raw("theme", "_xsrf"), own_kernel=False)
    assert visible == Visible(cookies=(), withheld=frozenset())


def test_a_foreign_kernel_gets_exact_names_alone() -> None:
    """``share`` holds names, not patterns: an asterisk matches only an asterisk."""
    policy = CookiePolicy(share=("theme", "a*"))
    visible = policy.visible(raw("theme", "themes", "ab", "a*", "Theme"), own_kernel=False)
    assert given_names(visible) == ["theme", "a*"]
    assert visible.withheld == frozenset()


@pytest.mark.parametrize("own_kernel", [True, False])
def test_an_explicit_share_beats_the_patterns(own_kernel: bool) -> None:
    """A credential that the administrator shares by its exact name goes to every kernel."""
    policy = CookiePolicy(share=("_xsrf", "my-login"))
    cookies = raw("_xsrf", "my-login")
    visible = policy.visible(cookies, own_kernel=own_kernel, login_cookie="my-login")
    assert given_names(visible) == ["_xsrf", "my-login"]
    assert visible.withheld == frozenset()


def test_duplicates_go_or_stay_together() -> None:
    """Both cookies of a name are given, so that the kernel detects the ambiguity."""
    cookies = raw("a", "_xsrf", "a", "_xsrf")
    visible = CookiePolicy().visible(cookies, own_kernel=True)
    assert visible.cookies == (cookies[0], cookies[2])
    assert visible.withheld == {"_xsrf"}


def test_any_iterable_will_do() -> None:
    """An iterator, which can be read only once, gives the same result."""
    visible = CookiePolicy().visible(iter(raw("a", "_xsrf")), own_kernel=True)
    assert given_names(visible) == ["a"]
    assert visible.withheld == {"_xsrf"}


NAMES = st.sampled_from(["a", "b", "_xsrf", "username-x", "login", ""])


@given(st.lists(NAMES), st.lists(NAMES), st.none() | NAMES)
def test_the_shared_part_is_part_of_the_own_part(
    names: Sequence[str], share: Sequence[str], login_cookie: str | None
) -> None:
    """Filtering for the user's own kernel first does not change the result for others."""
    policy = CookiePolicy(share=tuple(share))
    cookies = raw(*names)
    own = policy.visible(cookies, own_kernel=True, login_cookie=login_cookie)
    shared = policy.visible(cookies, own_kernel=False, login_cookie=login_cookie)
    assert policy.visible(own.cookies, own_kernel=False) == shared
    assert set(given_names(own)) | own.withheld == set(names)
    assert not set(given_names(own)) & own.withheld


def test_the_defaults_are_patterns_without_repetition() -> None:
    """Each default occurs once and does not match every name."""
    assert len(set(DEFAULT_CREDENTIAL_COOKIES)) == len(DEFAULT_CREDENTIAL_COOKIES)
    visible = CookiePolicy().visible(raw("x", "session", "token"), own_kernel=True)
    assert given_names(visible) == ["x", "session", "token"]
