"""The user of a proxy's headers, or of its assertion: one candidate, or nobody."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_session_user.core.proxy_headers import (
    LEEWAY_S,
    Expected,
    RequestRefused,
    alike,
    one_value,
    user_of_claims,
    user_of_headers,
)
from jupyter_session_user.core.proxy_presets import PRESETS

USER = "X-Forwarded-User"
PLAIN = {"user": USER, "name": "X-Name", "email": "X-Email", "groups": "X-Groups"}
EXPECTED = Expected("https://team.example.org", "jupyter")
NOW = 1_800_000_000.0
CLAIMS = {
    "iss": EXPECTED.issuer,
    "aud": ["jupyter", "other"],
    "sub": "alice",
    "iat": NOW - 10,
    "nbf": NOW - 10,
    "exp": NOW + 60,
}


def who(*headers: tuple[str, str]) -> str | None:
    """Return the user of these headers; None for nobody."""
    user = user_of_headers(headers, **PLAIN)
    return None if user is None else user.username


def test_both_users():
    """Each header's user is named, with all that the proxy says of them."""
    for name in ("alice", "bob"):
        user = user_of_headers(
            [
                (USER.lower(), name),
                ("X-Name", f"{name.title()} Ådams".encode().decode("latin-1")),
                ("X-Email", f"{name}@example.org"),
                ("X-Groups", "finance, board,,"),
            ],
            **PLAIN,
        )
        assert (user.username, user.name) == (name, f"{name.title()} Ådams")
        assert (user.email, user.groups) == (f"{name}@example.org", ("finance", "board"))
    assert who() is None
    assert who(("X-Name", "Alice")) is None


def test_the_key_tells_users_apart():
    """Two names never have one key, and the key does not show the name."""
    keys = {user_of_headers([(USER, name)], **PLAIN).key for name in ("alice", "bob", "alice")}
    assert len(keys) == 2
    assert not any("alice" in key or "bob" in key for key in keys)


@given(
    st.permutations([("X-Forwarded-User", "alice"), ("X_Forwarded.User", "mallory")]),
    st.sampled_from("-_. ~"),
)
def test_two_spellings_are_nobody(headers, separator):
    """In whatever order they come, and with whatever separator."""
    headers = [(name.replace("_", separator), value) for name, value in headers]
    with pytest.raises(RequestRefused, match=r"another spelling|more than once"):
        who(*headers)


@pytest.mark.parametrize(
    "value",
    ["", " ", "alice,bob", "alice\nbob", "a\x00b", "\xff", "a\u202eb".encode().decode("latin-1")],
)
def test_no_username(value):
    """A value that is no single plain name is refused, and the reason does not repeat it."""
    with pytest.raises(RequestRefused) as refused:
        who((USER, value))
    assert "alice" not in str(refused.value)


def test_two_addresses_in_one_header():
    """A proxy may join two headers into one, so a comma is a second value."""
    with pytest.raises(RequestRefused, match="more than one value"):
        who((USER, "alice"), ("X-Email", "alice@example.org,bob@example.org"))


@given(st.lists(st.tuples(st.sampled_from([USER, "X-Other", "x_forwarded_user"]), st.text())))
def test_any_headers_name_one_user_or_nobody(headers):
    """What is named was sent, once, under the exact name."""
    try:
        username = who(*headers)
    except RequestRefused:
        return
    sent = [value for name, value in headers if alike(name) == alike(USER)]
    assert sent == [] if username is None else len(sent) == 1


@given(st.text(), st.text())
def test_alike_is_an_equivalence(one, other):
    """Case and separators make no difference, and the result is its own."""
    assert alike(alike(one)) == alike(one) == alike(one.lower())
    assert (alike(one) == alike(other)) == (alike(other) == alike(one))


def test_one_value():
    """A header is found in any case, without the spaces around it; a missing one is None."""
    assert one_value([("x-a", " b\t")], "X-A") == "b"
    assert one_value([("X-B", "b")], "X-A") is None


def test_the_claims_of_both_users():
    """The subject is the user, and its key has the issuer as well."""
    alice, bob = (user_of_claims({**CLAIMS, "sub": n}, EXPECTED, NOW) for n in ("alice", "bob"))
    assert (alice.username, bob.username) == ("alice", "bob")
    elsewhere = Expected("https://else.example.org", "jupyter")
    same = user_of_claims({**CLAIMS, "iss": elsewhere.issuer}, elsewhere, NOW)
    assert len({alice.key, bob.key, same.key}) == 3
    more = {"name": "Alice", "email": "a@example.org", "groups": ["finance", 5, ""]}
    user = user_of_claims({**CLAIMS, **more}, EXPECTED, NOW)
    assert (user.name, user.email, user.groups) == ("Alice", "a@example.org", ("finance",))
    odd = user_of_claims({**CLAIMS, "name": 5, "groups": "finance"}, EXPECTED, NOW)
    assert (odd.name, odd.groups) == ("", ())


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"iss": "https://else.example.org"}, "another issuer"),
        ({"iss": None}, "another issuer"),
        ({"aud": "other"}, "another audience"),
        ({"aud": ["other"]}, "another audience"),
        ({"aud": None}, "another audience"),
        ({"exp": NOW - LEEWAY_S}, "has expired"),
        ({"exp": None}, "valid exp"),
        ({"exp": 0}, "valid exp"),
        ({"exp": True}, "valid exp"),
        ({"exp": "never"}, "valid exp"),
        ({"exp": NOW * 1000}, "valid exp"),
        ({"nbf": NOW + LEEWAY_S + 1}, "of the future"),
        ({"iat": NOW + LEEWAY_S + 1}, "of the future"),
        ({"iat": "now"}, "valid exp"),
        ({"sub": ""}, "without a subject"),
        ({"sub": 5}, "without a subject"),
        ({"sub": "a\nb"}, "without a username"),
    ],
)
def test_claims_that_name_nobody(changes, reason):
    """Another issuer or audience, a wrong time, or no subject."""
    with pytest.raises(RequestRefused, match=reason):
        user_of_claims({**CLAIMS, **changes}, EXPECTED, NOW)


def test_clocks_may_differ():
    """By less than half a minute, in both directions."""
    late = {**CLAIMS, "exp": NOW - LEEWAY_S + 1}
    early = {**CLAIMS, "iat": NOW + LEEWAY_S, "nbf": NOW + LEEWAY_S}
    for claims in (late, early):
        assert user_of_claims(claims, EXPECTED, NOW).username == "alice"


def test_the_signer():
    """Another load balancer of the same region is another proxy."""
    expected = Expected(EXPECTED.issuer, EXPECTED.audience, signer="ours")
    assert user_of_claims({**CLAIMS, "signer": "ours"}, expected, NOW).username == "alice"
    for signer in ("theirs", None):
        with pytest.raises(RequestRefused, match="another signer"):
            user_of_claims({**CLAIMS, "signer": signer}, expected, NOW)


@pytest.mark.parametrize("verified", [False, "false", None, 0])
def test_an_address_that_is_not_verified(verified):
    """It is no username; as a mere address it does no harm."""
    claims = {**CLAIMS, "email": "bob@example.org", "email_verified": verified}
    by_email = Expected(EXPECTED.issuer, EXPECTED.audience, "email")
    with pytest.raises(RequestRefused, match="not verified"):
        user_of_claims(claims, by_email, NOW)
    assert user_of_claims(claims, EXPECTED, NOW).username == "alice"
    claims["email_verified"] = "true"
    assert user_of_claims(claims, by_email, NOW).username == "bob@example.org"


def test_each_product_names_the_user_in_one_header():
    """Either in a plain header or in an assertion; never in both."""
    for name, preset in PRESETS.items():
        assert bool(preset.user) + bool(preset.assertion) == (name != "")
