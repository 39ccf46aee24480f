"""The rules for logout tokens and security event tokens, as tables."""

from __future__ import annotations

import base64
import json
import string

import pytest

from jupyter_session_user.core.logout_token import (
    LEEWAY_S,
    LOGOUT,
    SECURITY_EVENT,
    TokenRefused,
    parse,
    read,
)
from jupyter_session_user.core.subject import Target

ALGORITHMS = ("RS256", "ES256")
OP, CLIENT, NOW = "https://op.example.org", "jupyter", 1_000_000.0

HEADER = {"alg": "RS256", "typ": "logout+jwt"}
CLAIMS = {
    "iss": OP,
    "aud": CLIENT,
    "iat": NOW,
    "exp": NOW + 120,
    "jti": "j",
    "sub": "alice",
    "events": {LOGOUT.event: {}},
}
SET = {
    "iss": OP,
    "aud": CLIENT,
    "iat": NOW,
    "jti": "j",
    "sub_id": {"format": "opaque", "id": "s1"},
    "events": {SECURITY_EVENT.event: {}},
}
DROP = object()


def part(value):
    """Return a part of a JWS."""
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def changed(claims, changes):
    """Return claims with changes."""
    return {name: one for name, one in {**claims, **changes}.items() if one is not DROP}


def reading(claims, kind=LOGOUT, now=NOW):
    """Return the notice of claims."""
    return read(claims, kind, OP, CLIENT, now)


# ------------------------------------------------------------------------------ the header


@pytest.mark.parametrize(
    ("header", "kind", "accepted"),
    [
        ({}, LOGOUT, True),
        ({"typ": "application/LOGOUT+JWT"}, LOGOUT, True),
        ({"typ": "JWT"}, LOGOUT, True),
        ({"typ": DROP}, LOGOUT, True),
        ({"typ": "at+jwt"}, LOGOUT, False),
        ({"typ": "secevent+jwt"}, LOGOUT, False),
        ({"typ": 1}, LOGOUT, False),
        ({"typ": None}, LOGOUT, False),
        ({"typ": "secevent+jwt"}, SECURITY_EVENT, True),
        ({"typ": "application/secevent+jwt"}, SECURITY_EVENT, True),
        ({"typ": "JWT"}, SECURITY_EVENT, False),
        ({"typ": DROP}, SECURITY_EVENT, False),
        ({"typ": "logout+jwt"}, SECURITY_EVENT, False),
        ({"alg": "ES256"}, LOGOUT, True),
        ({"alg": "none"}, LOGOUT, False),
        ({"alg": "None"}, LOGOUT, False),
        ({"alg": "HS256"}, LOGOUT, False),
        ({"alg": "rs256"}, LOGOUT, False),
        ({"alg": ["RS256"]}, LOGOUT, False),
        ({"alg": DROP}, LOGOUT, False),
        ({"crit": ["b64"], "b64": False}, LOGOUT, False),
        ({"crit": []}, LOGOUT, False),
        ({"jku": "https://evil.example.org", "kid": "x"}, LOGOUT, True),  # never fetched
    ],
)
def test_the_header(header, kind, accepted):
    """Only the permitted algorithms and types count; unknown members have no effect."""
    token = f"{part(changed(HEADER, header))}.{part(CLAIMS)}.c2ln"
    if accepted:
        found = parse(token, kind, ALGORITHMS)
        assert (found.header, found.claims) == (changed(HEADER, header), CLAIMS)
    else:
        with pytest.raises(TokenRefused):
            parse(token, kind, ALGORITHMS)


@pytest.mark.parametrize(
    "token",
    [
        "",
        ".",
        "..",
        "e30.e30",
        "e30.e30.",
        "e30.e30.c2ln.x",
        "e30.e30.c2ln.x.x",
        f"{part(HEADER)}.{part(CLAIMS)}.",
        f"{part(HEADER)}={'.'}{part(CLAIMS)}.c2ln",
        f" {part(HEADER)}.{part(CLAIMS)}.c2ln",
        f"{part(HEADER)}.{part(CLAIMS)}.c2ln\n",
        f"{part(HEADER)}.{part([1])}.c2ln",
        f"{part(HEADER)}.{part(b'[' * 5000)}.c2ln",
        f"{part(HEADER)}.{part(b'x')}.c2ln",
        f"{part(HEADER)}.A.c2ln",
        f"{part(HEADER)}.{part(bytes([255]))}.c2ln",
        *(
            f"{part(HEADER)}.{part(text)}.c2ln"
            for text in (
                b'{"a": NaN}',
                b'{"a": 1, "a": 1}',
                b'{"a": {"b": 1, "b": 2}}',
                b'{"a": ' + b"9" * 5000 + b"}",
            )
        ),
        part(b'{"alg": "RS256", "alg": "none", "typ": "JWT"}') + f".{part(CLAIMS)}.c2ln",
    ],
)
def test_what_is_no_token_is_refused(token):
    """Nothing but the error of the rules is raised, and its text has no part of the token."""
    with pytest.raises(TokenRefused) as error:
        parse(token, LOGOUT, ALGORITHMS)
    assert all(piece not in str(error.value) for piece in token.split(".") if len(piece) > 3)


def test_the_alphabet_is_that_of_urls():
    """A part is base64url (RFC 7515 section 2); the other alphabet, and a line break, are none."""
    header, claims = {**HEADER, "kid": "?>?>"}, {**CLAIMS, "sub": "~~~???"}
    parts = [part(header), part(claims)]
    assert "-" in parts[0] + parts[1] and "_" in parts[0] + parts[1]
    found = parse(f"{parts[0]}.{parts[1]}.c2ln", LOGOUT, ALGORITHMS)
    assert (found.header, found.claims) == (header, claims)
    other = [one.replace("-", "+").replace("_", "/") for one in parts]
    broken = [f"{one[:8]}\n{one[8:]}" for one in parts]
    for first, second in ((other[0], parts[1]), (parts[0], other[1]), (*broken,)):
        with pytest.raises(TokenRefused):
            parse(f"{first}.{second}.c2ln", LOGOUT, ALGORITHMS)


# ------------------------------------------------------------------------------ the claims


@pytest.mark.parametrize(
    ("changes", "target"),
    [
        ({}, Target(OP, "alice")),
        ({"sid": "s1"}, Target(OP, "alice", "s1")),
        ({"sub": DROP, "sid": "s1"}, Target(OP, sid="s1")),
        ({"aud": ["other", CLIENT]}, Target(OP, "alice")),
        ({"iat": NOW + LEEWAY_S}, Target(OP, "alice")),
        ({"iat": NOW - LOGOUT.max_age}, Target(OP, "alice")),
        ({"exp": NOW - LEEWAY_S + 1}, Target(OP, "alice")),
        ({"nbf": NOW}, Target(OP, "alice")),
        ({"unknown": {"a": 1}}, Target(OP, "alice")),
        ({"events": {LOGOUT.event: {"more": 1}, "other": {}}}, Target(OP, "alice")),
    ],
)
def test_logout_tokens_that_count(changes, target):
    """The claims of OpenID Connect Back-Channel Logout 1.0; what is unknown is ignored."""
    notice = reading(changed(CLAIMS, changes))
    assert (notice.target, notice.state) == (target, "signed_out")
    assert notice.before == min(changes.get("iat", NOW), NOW)


REFUSED = [
    ({"iss": DROP}, "invalid_issuer"),
    ({"iss": OP + "/"}, "invalid_issuer"),
    ({"iss": [OP]}, "invalid_issuer"),
    ({"aud": DROP}, "invalid_audience"),
    ({"aud": "jupyter2"}, "invalid_audience"),
    ({"aud": []}, "invalid_audience"),
    ({"aud": {CLIENT: 1}}, "invalid_audience"),
    ({"aud": [[CLIENT]]}, "invalid_audience"),
    ({"iat": DROP}, "invalid_request"),
    ({"iat": str(NOW)}, "invalid_request"),
    ({"iat": True}, "invalid_request"),
    ({"iat": float("nan")}, "invalid_request"),
    ({"iat": float("inf")}, "invalid_request"),
    ({"iat": NOW + LEEWAY_S + 1}, "invalid_request"),
    ({"iat": NOW - LOGOUT.max_age - LEEWAY_S - 1}, "invalid_request"),
    ({"exp": NOW - LEEWAY_S}, "invalid_request"),
    ({"exp": None}, "invalid_request"),
    ({"nbf": NOW + LEEWAY_S + 1}, "invalid_request"),
    ({"jti": DROP}, "invalid_request"),
    ({"jti": ""}, "invalid_request"),
    ({"jti": 1}, "invalid_request"),
    ({"events": DROP}, "invalid_request"),
    ({"events": {}}, "invalid_request"),
    ({"events": []}, "invalid_request"),
]
REFUSED_LOGOUT = [
    *REFUSED,
    ({"exp": DROP}, "invalid_request"),
    ({"nonce": "n"}, "invalid_request"),
    ({"nonce": None}, "invalid_request"),
    ({"sub": DROP}, "invalid_request"),
    ({"sub": ""}, "invalid_request"),
    ({"sub": 1}, "invalid_request"),
    ({"sid": ["s1"]}, "invalid_request"),
    ({"events": {"other": {}}}, "invalid_request"),
    ({"events": {LOGOUT.event: None}}, "invalid_request"),
    ({"events": {LOGOUT.event: []}}, "invalid_request"),
    ({"events": {SECURITY_EVENT.event: {}}}, "invalid_request"),
]


@pytest.mark.parametrize(("changes", "code"), REFUSED_LOGOUT)
def test_logout_tokens_that_are_refused(changes, code):
    """Each with a code of RFC 8935, and a text without the token's values."""
    with pytest.raises(TokenRefused) as error:
        reading(changed(CLAIMS, changes))
    assert error.value.code == code
    assert not {"alice", "jupyter2"} & set(
        str(error.value).translate(str.maketrans("", "", string.punctuation)).split()
    )


OTHER = "https://other.example.org"
USER = {"format": "iss_sub", "iss": OP, "sub": "alice"}
SESSION = {"format": "opaque", "id": "s1"}
DEVICE = {"format": "opaque", "id": "laptop"}
SUBJECTS = [
    (SESSION, Target(OP, sid="s1")),
    (USER, Target(OP, "alice")),
    ({**USER, "iss": OTHER}, None),
    ({"format": "email", "email": "alice@example.org"}, None),
    ({"format": "complex", "user": USER}, Target(OP, "alice")),
    ({"format": "complex", "session": SESSION}, Target(OP, sid="s1")),
    ({"format": "complex", "user": USER, "session": SESSION}, Target(OP, "alice", "s1")),
    ({"format": "complex", "user": {**USER, "iss": OTHER}, "session": SESSION}, None),
    # A login does not show its device: all logins of the user end.
    ({"format": "complex", "user": USER, "device": DEVICE}, Target(OP, "alice")),
    ({"format": "complex", "device": DEVICE}, None),
    ({"format": "complex", "user": {"format": "opaque", "id": "s1"}}, None),
    ({"format": "complex"}, None),
]


@pytest.mark.parametrize(("subject", "target"), SUBJECTS)
def test_subjects_of_session_revoked(subject, target):
    """RFC 9493; a user of another issuer, or of an unknown format, is no user of ours."""
    notice = reading(changed(SET, {"sub_id": subject}), SECURITY_EVENT)
    assert (notice.target, notice.state) == (target, "revoked")


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        *((change, code) for change, code in REFUSED if change != {"exp": None}),
        ({"sub_id": DROP}, "invalid_request"),
        ({"sub_id": "s1"}, "invalid_request"),
        ({"sub_id": {"id": "s1"}}, "invalid_request"),
        ({"sub_id": {"format": "opaque"}}, "invalid_request"),
        ({"sub_id": {"format": "iss_sub", "sub": "alice"}}, "invalid_request"),
        ({"sub_id": {"format": "complex", "user": "alice"}}, "invalid_request"),
        ({"events": {SECURITY_EVENT.event: True}}, "invalid_request"),
        ({"iat": NOW - SECURITY_EVENT.max_age - LEEWAY_S - 1}, "invalid_request"),
    ],
)
def test_security_events_that_are_refused(changes, code):
    """The claims of RFC 8417 and the subject."""
    if changes == {"iat": NOW - LOGOUT.max_age - LEEWAY_S - 1}:
        assert reading(changed(SET, changes), SECURITY_EVENT).target  # still in time
        return
    with pytest.raises(TokenRefused) as error:
        reading(changed(SET, changes), SECURITY_EVENT)
    assert error.value.code == code


@pytest.mark.parametrize(
    ("event", "before"),
    [
        ({}, NOW),
        ({"event_timestamp": NOW - 50}, NOW - 50),
        ({"event_timestamp": NOW + 50}, NOW),
        ({"event_timestamp": NOW * 1000}, NOW),  # some transmitters write milliseconds
    ],
)
def test_the_time_of_an_event(event, before):
    """Logins until the event end: later ones are not those that were revoked."""
    claims = changed(SET, {"events": {SECURITY_EVENT.event: event}})
    assert reading(claims, SECURITY_EVENT).before == before


def test_another_event_ends_nothing():
    """It is valid: a stream may carry other events."""
    assert reading(changed(SET, {"events": {"other": {}}}), SECURITY_EVENT).target is None


@pytest.mark.parametrize(("kind", "claims"), [(LOGOUT, CLAIMS), (SECURITY_EVENT, SET)])
def test_a_used_token_is_remembered_until_it_is_too_old(kind, claims):
    """At that time the token itself is refused; ids of different issuers do not mix."""
    for issued in (NOW - kind.max_age, NOW, NOW + LEEWAY_S):
        told = changed(claims, {"iat": issued, "exp": NOW + 1e6})
        notice = reading(told, kind)
        with pytest.raises(TokenRefused):
            reading(told, kind, now=notice.counts_until + 1)
        other = read({**told, "iss": OTHER}, kind, OTHER, CLIENT, NOW)
        assert len({notice.id, other.id, reading({**told, "jti": "k"}, kind).id}) == 3
