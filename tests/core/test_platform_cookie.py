"""A platform's cookie names one user or none; it never breaks a request."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_session_user.core.cookies import CookieJar, parse_cookie_headers
from jupyter_session_user.core.platform_cookie import PlatformCookie
from jupyter_session_user.core.session import Session
from jupyter_session_user.core.stamp import session_stamp
from jupyter_session_user.core.user import User
from jupyter_session_user.errors import ConfigurationError

#: As in the platform's documentation: JSON with line breaks, in base64 with padding.
SEED = (
    "ewogICAgInVzZXJfaWQiOiAiYWJjZGVmZ2hpajEyMzQ1Njc4OTAiLAog"
    "ICAgInVzZXJfZnVsbF9uYW1lIjogIkphbmUgRG9lIgp9"
)
CONFIG = {"cookie": "numerous_user_info", "username": "user_id", "name": "user_full_name"}
NUMEROUS = PlatformCookie.from_config(CONFIG)
JWT = PlatformCookie.from_config({"cookie": "jwt", "username": "sub", "decode": "jwt"})

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=300)
FIELDS = st.sampled_from(["user_id", "user_full_name", "", "sub", "other"])
CLAIMS = st.dictionaries(FIELDS, SCALARS | st.lists(SCALARS, max_size=2), max_size=4) | SCALARS
HEADERS = st.text(st.characters(max_codepoint=255), max_size=60)


def b64(value: object) -> str:
    """Return base64 of the JSON."""
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode()


def read(*headers: str, reader: PlatformCookie = NUMEROUS) -> User | None:
    """Return the user that the cookie headers name."""
    return reader.user(parse_cookie_headers(headers))


@pytest.mark.parametrize(
    "value", [SEED, SEED.rstrip("="), f'"{SEED}"', quote(base64.b64decode(SEED)), quote(SEED)]
)
def test_the_seeds_cookie_names_jane_doe(value):
    """Base64 with or without padding, quoted and URL-encoded values give the same user."""
    jane = read(f"a=1; numerous_user_info={value}; b=2")
    assert jane == User("abcdefghij1234567890", "Jane Doe")
    assert not jane.is_anonymous and not jane.admin and jane.groups == ()


def test_two_people_are_two_users():
    """The cookies of each browser name their own user."""
    users = [
        read(f"numerous_user_info={b64({'user_id': n, 'user_full_name': n.title()})}")
        for n in ("jane", "john")
    ]
    assert [(u.username, u.name) for u in users if u] == [("jane", "Jane"), ("john", "John")]


@given(claims=CLAIMS, plain=st.booleans(), before=HEADERS, after=HEADERS)
def test_any_content_gives_a_user_or_nobody(claims, plain, before, after):
    """No JSON value raises an error; a user from it can be stamped and has a name."""
    value = quote(json.dumps(claims)) if plain else b64(claims)
    for reader, cookie in (
        (NUMEROUS, f"numerous_user_info={value}"),
        (JWT, f"jwt={b64({'alg': 'none'})}.{value}.x"),
    ):
        user = read(f"{before}; {cookie}; {after}", reader=reader)
        if user is not None:
            assert user.username == claims[reader.username]
            session_stamp(Session("id", user, "platform_cookie", verified=False))


@given(st.lists(HEADERS | HEADERS.map("numerous_user_info={}".format), max_size=4))
def test_any_header_gives_a_user_or_nobody(headers):
    """No octets raise an error."""
    for reader in (NUMEROUS, JWT):
        assert read(*headers, reader=reader) is None or isinstance(
            read(*headers, reader=reader), User
        )


JANE = f"numerous_user_info={b64({'user_id': 'jane'})}"


@pytest.mark.parametrize(
    "headers",
    [
        (),
        ("numerous_user_info=",),
        ("numerous_user_info=no JSON",),
        (f"{JANE}; {JANE}",),
        (JANE, "numerous_user_info=x"),
        (JANE + "; a=1" * 400 + "; numerous_user_info=x",),
        ("a=" + "x" * 70_000, JANE),
        (JANE + " " * 4 + "A" * 9000,),
        *(
            (f"numerous_user_info={b64(claims)}",)
            for claims in (
                [],
                "jane",
                {},
                {"user_id": ""},
                {"user_id": 17},
                {"user_id": True},
                {"user_id": ["jane"]},
                {"user_id": "j" * 257},
                {"user_full_name": "Jane Doe"},
            )
        ),
    ],
)
def test_what_does_not_clearly_name_one_person_names_nobody(headers):
    """A missing, unreadable, ambiguous or too large cookie, or no text, gives no user."""
    assert read(*headers) is None


@pytest.mark.parametrize(
    "sign", ["\r", "\n", "\0", "\x1b", "\x85", "\u2028", "\u202e", "\u2066", "\ud800"]
)
def test_a_username_with_controls_is_none(sign):
    """A username with such characters gives no user; a display name with them is left out."""
    for person in ("jane", "john"):
        assert read(f"numerous_user_info={b64({'user_id': f'{person}{sign}'})}") is None
        fields = {"user_id": person, "user_full_name": f"Dr.{sign}Doe"}
        assert read(f"numerous_user_info={b64(fields)}") == User(person)


def test_a_name_that_is_no_text_is_left_out():
    """The username then replaces the name; without a configured field, no field is read."""
    assert read(f"numerous_user_info={b64({'user_id': 'j', 'user_full_name': 7})}") == User("j")
    nameless = PlatformCookie.from_config({"cookie": "c", "username": "u"})
    assert read(f"c={b64({'u': 'j', '': 'planted'})}", reader=nameless) == User("j")


def test_a_jwt_is_read_only_where_that_is_configured():
    """The payload of a signed JWT is read, not verified; as JSON the cookie is invalid."""
    token = f"{b64({'alg': 'HS256'})}.{b64({'sub': 'jane'})}.c2ln"
    assert read(f"jwt={token}", reader=JWT) == User("jane")
    as_json = PlatformCookie.from_config({"cookie": "jwt", "username": "sub"})
    assert read(f"jwt={token}", reader=as_json) is None


@pytest.mark.parametrize(
    "config",
    [
        {"cookie": "c"},
        {"username": "u"},
        {"cookie": "", "username": "u"},
        {**CONFIG, "user": "typo"},
    ],
)
def test_a_missing_or_unknown_field_is_an_error_with_an_example(config):
    """The message lists the fields, and ends with a valid configuration."""
    with pytest.raises(ConfigurationError) as caught:
        PlatformCookie.from_config(config)
    assert str(sorted(config)) in str(caught.value)
    assert str(caught.value).endswith(
        "{'cookie': 'numerous_user_info', 'username': 'user_id', 'name': 'user_full_name'}"
    )


def test_an_unknown_decoder_is_an_error_that_names_those_there_are():
    """The message ends with a valid value."""
    with pytest.raises(ConfigurationError, match=r"'base64'; write 'json' or 'jwt'$"):
        PlatformCookie.from_config({**CONFIG, "decode": "base64"})


def test_an_empty_jar_names_nobody():
    """Without cookies there is no user."""
    assert NUMEROUS.user(CookieJar()) is None
