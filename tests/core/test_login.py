"""The login of a request: two users never have the same one."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_session_user.core.login import (
    KINDS,
    Login,
    begins_anew,
    blocks_the_next,
    cookie_key,
    follows,
    identify,
    is_refused,
    token_principal,
)
from jupyter_session_user.core.session import OVER
from jupyter_session_user.core.user import User

NOON = datetime(2026, 1, 1, 12, tzinfo=timezone.utc)

#: Few letters, and the separators that the ids contain: collisions would be frequent.
names = st.text("ab:\0\n", min_size=1, max_size=4)
users = st.builds(User, names, is_anonymous=st.booleans())
shown = st.text("ab:", max_size=3)


def login(user: User, cookie: str = "", token: str = "") -> Login:
    """Return the login of a request at a server with logins."""
    return identify(user, verified=True, cookie=cookie, token=token)


@given(users, users, st.tuples(shown, shown), st.tuples(shown, shown))
def test_two_users_have_neither_a_login_nor_a_principal_in_common(one, other, hers, his):
    """The exception: two anonymous users with the same token, who cannot be distinguished."""
    first, second = login(one, *hers), login(other, *his)
    same = (one.username, one.is_anonymous) == (other.username, other.is_anonymous)
    shares_token = first.principal.startswith("token:") and first.principal == second.principal
    if shares_token:
        assert hers[1] == his[1]
        assert one.is_anonymous and other.is_anonymous
    else:
        assert (first.principal == second.principal) <= same
        assert (first.key == second.key) <= same


@given(users, shown, shown)
def test_a_cookie_counts_more_than_a_token(user, cookie, token):
    """The kind of the credential decides; only a cookie has a key that a response can set."""
    found = login(user, cookie, token)
    assert found.credential == ("cookie" if cookie else "token" if token else "")
    assert found.credential in KINDS
    if cookie:
        assert found.key == cookie_key(user, cookie) == login(user, cookie).key
    assert found.principal == (
        token_principal(token)
        if user.is_anonymous and token and not cookie
        else f"{'anonymous' if user.is_anonymous else 'user'}:{user.username}"
    )


@given(users, shown, shown)
def test_only_an_anonymous_user_is_given_a_login_with_its_cookie(user, cookie, token):
    """A named user that gets a cookie has been known before."""
    made = identify(user, verified=True, cookie=cookie, token=token, given=True)
    assert made.given == bool(cookie and user.is_anonymous)


@given(users, shown, shown, st.none() | shown, st.none() | shown)
def test_the_hub_and_a_signed_cookie_count_more_than_an_unverified_token(
    user, cookie, token, hub, key
):
    """A key from such a token only distinguishes logins that nothing else distinguishes."""
    before = login(user, cookie, token)
    after = before.resolved(hub, key)
    assert after.principal == before.principal
    assert (after.key == before.key) == (after.credential == before.credential)
    if hub is not None:
        assert after.credential == "hub"
    elif cookie or key is None:
        assert after == before
    else:
        assert after.credential == "resolver"


@given(users, users, names)
def test_a_name_in_a_platforms_cookie_is_no_account(one, other, name):
    """From a trusted proxy it is one user; otherwise it is tied to the client's own login."""
    first, second = login(one, "c"), login(other, "d")
    named = User(name)
    for proxied in (True, False):
        hers, his = (each.named_by_platform(named, proxied=proxied) for each in (first, second))
        assert (hers.principal == his.principal) == (proxied or first.principal == second.principal)
        assert hers.key != his.key
        assert hers.verified == his.verified == proxied
        assert hers.principal not in {first.principal, second.principal, f"user:{name}"}


@given(users, users)
def test_a_kernel_compares_users_by_an_opaque_id(one, other):
    """The id contains no other data, and differs between servers' runs and authorities."""
    first, second = login(one, "c"), login(other, "d")
    opaque = first.opaque_principal(b"one run")
    assert (opaque == second.opaque_principal(b"one run")) == (first.principal == second.principal)
    assert opaque != first.opaque_principal(b"another run")
    unverified = identify(one, verified=False, cookie="c", token="")
    assert opaque != unverified.opaque_principal(b"one run")
    assert len(opaque) == 32


def test_the_kinds_of_credentials():
    """Each credential has one row; only a bare header makes two logins look the same."""
    assert [kind for kind, row in KINDS.items() if not row.distinct] == [""]
    assert {kind for kind, row in KINDS.items() if not row.personal} == {
        *("open", "token", "agent")
    }
    # An agent's evidence is its person's latest request, which may have been of these kinds.
    assert {kind for kind, row in KINDS.items() if row.asserted} == {"", "resolver", "agent"}
    assert {kind for kind, row in KINDS.items() if row.own_form} == {"cookie", "token"}


# -------------------------------------------------------------------- refused logins


@pytest.mark.parametrize("credential", KINDS)
@pytest.mark.parametrize("navigation", [True, False])
@pytest.mark.parametrize("ended", [None, *sorted(OVER)])
@pytest.mark.parametrize("stays_over", [True, False])
def test_what_is_refused(credential, navigation, ended, stays_over):
    """Ended logins are refused, except if opening a page begins a new one; revoked ones always."""
    anew = begins_anew(credential, navigation=navigation)
    refused = is_refused(ended, anew=anew, stays_over=stays_over)
    if ended == "revoked":
        assert refused
    elif credential == "" and navigation:
        assert not refused
    else:
        assert refused == (ended is not None or stays_over)


@pytest.mark.parametrize("credential", KINDS)
def test_only_a_revoked_login_that_looks_like_the_next_one_is_refused_for_a_while(credential):
    """All others are refused for as long as a browser may keep the cookie."""
    blocked = {state for state in OVER if blocks_the_next(state, credential)}
    assert blocked == ({"revoked"} if credential == "" else set())


# ------------------------------------------------------------------- continued logins


@given(
    st.sampled_from(sorted(KINDS)),
    st.none() | st.integers(-3, 3),
    st.lists(st.none() | st.integers(-3, 3), max_size=4),
)
def test_a_login_continues_an_earlier_one(credential, began, earlier):
    """A later login continues it; one that began later or at an unknown time is not continued."""
    hours = [None if each is None else NOON + timedelta(hours=each) for each in earlier]
    start = None if began is None else NOON + timedelta(hours=began)
    found = follows(credential, start, hours)
    assert found == (
        credential not in {"open", "token", "agent"}
        and began is not None
        and any(each is not None and each <= began for each in earlier)
    )
