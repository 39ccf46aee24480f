"""Resolvers return the login data of a request, and nothing else.

The requests are real ones, to a server with an identity provider that knows alice and bob. The
resolvers are called by an extension of the tests (``resolver_probe``).
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator
from importlib.metadata import entry_points
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from local_server import LocalServer
from people import Person
from servers import DEMO, ROOT, log_after, own_server, people_on
from tornado.httputil import HTTPHeaders

from jupyter_session_user.core.lifecycle import Expiry
from jupyter_session_user.server.auth.resolvers.base import _BUILT_IN, GROUP, Resolution
from jupyter_session_user.server.auth.resolvers.jwt import JwtResolver

DAY = 86_400
LOGIN = {"iss": "https://idp.example", "sub": "a1"}

ENTRY_POINTS = f"""[{GROUP}]
theirs = resolver_probe:TheirResolver
broken = resolver_probe:broken
missing = no_such_module:factory
jwt = resolver_probe:broken
"""


def b64(data: bytes) -> str:
    """Return base64url without padding, as in a JWT (RFC 7515, 2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def jwt(claims: Any, header: Any = None) -> str:
    """Return a JWT with a signature that is not checked."""
    parts = (json.dumps(part).encode() for part in (header or {"alg": "RS256"}, claims))
    return ".".join((*map(b64, parts), "c2ln"))


@pytest.fixture(scope="module")
def probed(tmp_path_factory) -> Iterator[LocalServer]:
    """Run a server on which a package with resolvers of its own is installed."""
    folder = tmp_path_factory.mktemp("theirs")
    info = folder / "theirs-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(ENTRY_POINTS)
    path = os.pathsep.join((str(ROOT), str(ROOT / "tests" / "support"), str(folder)))
    with own_server(
        *DEMO,
        "--IdentityProvider.cookie_name=login",
        "--DemoIdentityProvider.token_visitors=True",
        "--IdentityProvider.token=t",
        extensions=("resolver_probe",),
        env={"PYTHONPATH": path},
    ) as running:
        yield running


async def ask(person: Person, *resolvers: str, **settings: Any) -> Any:
    """Return the result of these resolvers for a request of this user."""
    body = {"resolvers": resolvers, **settings}
    return await person.json("api/resolve", method="POST", body=body)


async def expiry(person: Person, *resolvers: str, **settings: Any) -> Any:
    """Return the end of the login, and its source."""
    return (await ask(person, *resolvers, **settings))["expiry"]


# ------------------------------------------------------------------------------ signed_cookie


def signed_at(person: Person) -> int:
    """Return when the user's login cookie was signed, from its third field."""
    return int(person.cookies["login"].strip('"').split("|")[2].partition(":")[2])


@pytest.mark.parametrize(
    ("options", "checks", "days"),
    [
        ({}, {}, 30),
        ({"expires_days": 40}, {}, 31),
        ({"expires_days": 1}, {}, 1),
        ({"expires_days": None}, {}, 31),
        ({"expires_days": None}, {"max_age_days": 0.5}, 0.5),
        ({"max_age": 3600}, {}, 1 / 24),
        ({"max_age": 3600, "expires_days": 0.001}, {}, 1 / 24),
        ({"max_age": "3600"}, {"max_age_days": 7}, 1 / 24),
        ({"httponly": True}, {"max_age_days": 7}, 7),
    ],
)
async def test_a_login_cookie_lasts_as_long_as_browser_and_server_take_it(
    probed, options, checks, days
):
    """The end is the time stamp plus the shorter lifetime; Max-Age counts before Expires."""
    provider = {"cookie_options": options, "get_secure_cookie_kwargs": checks}
    for person in await people_on(probed):
        said = await expiry(person, "signed_cookie", provider=provider)
        assert said == [pytest.approx(signed_at(person) + days * DAY), "estimated"]


async def test_a_cookie_that_the_server_does_not_accept_says_nothing(probed):
    """A forged time stamp and a cookie that is too old give no estimate."""
    alice, _ = await people_on(probed)
    old = {"get_secure_cookie_kwargs": {"max_age_days": -1}}
    assert await expiry(alice, "signed_cookie", provider=old) is None
    stamp = str(signed_at(alice))
    alice.cookies["login"] = alice.cookies["login"].replace(stamp, str(int(stamp) + DAY))
    assert (await alice.fetch("api/resolve", method="POST", body={})).code == 403
    token = Person(probed.url, {"Authorization": "token t"})
    token.cookies["login"] = alice.cookies.get("login", "2|forged")
    assert await expiry(token, "signed_cookie") is None


# ---------------------------------------------------------------------------------------- jwt


async def test_exp_of_a_cookie_or_header(probed):
    """Two users have a token each; the header counts before the cookie."""
    alice, bob = await people_on(probed)
    alice.cookies["id_token"] = jwt({"exp": 2_000_000_000})
    bob.cookies["id_token"] = jwt({"exp": 2_100_000_000.5})
    for person, at in ((alice, 2_000_000_000), (bob, 2_100_000_000.5)):
        assert await expiry(person, "jwt", jwt_cookie="id_token") == [at, "jwt"]
        assert await expiry(person, "jwt") is None
        assert await expiry(person, "jwt", jwt_cookie="other") is None
    both = {"jwt_cookie": "id_token", "jwt_header": "X-Forwarded-Access-Token"}
    for prefix in ("", "Bearer ", "bearer   "):
        alice.headers["x-forwarded-access-token"] = prefix + jwt({"exp": 1_900_000_000})
        assert await expiry(alice, "jwt", **both) == [1_900_000_000, "jwt"]
    alice.headers["x-forwarded-access-token"] = "Basic YTpi"
    assert await expiry(alice, "jwt", **both) == [2_000_000_000, "jwt"]


async def test_two_cookies_of_one_name_say_nothing(probed):
    """If two tokens came, the right one is unknown, so neither counts."""
    alice, _ = await people_on(probed)
    alice.cookies["id_token"] = f"{jwt({'exp': 1.9e9})}; id_token={jwt({'exp': 2e9})}"
    assert await expiry(alice, "jwt", jwt_cookie="id_token") is None


@pytest.mark.parametrize(
    ("exp", "at"),
    [
        (2_000_000_000, 2e9),
        (1, 1),
        (253_402_300_799, 253_402_300_799),
        (253_402_300_800, None),  # the year 10000
        (2_000_000_000_000, None),  # milliseconds
        (0, None),  # some issuers' value for "never"
        (-1, None),
        (10**400, None),
        (True, None),
        ("2000000000", None),
        (None, None),
        ([2_000_000_000], None),
        (float("nan"), None),
        (float("inf"), None),
    ],
)
def test_exp_that_is_no_time_says_nothing(exp, at):
    """RFC 7519 requires a number of seconds; other values are ignored."""
    said = said_by(jwt({"exp": exp}))
    assert (said.expiry if said else None) == (None if at is None else Expiry(at, "jwt"))


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ({"sid": "s1", "jti": "1", "iat": 1}, {"sid": "s1", "jti": "2", "iat": 2}, True),
        ({"sid": "s1", "auth_time": 5}, {"sid": "s1", "auth_time": 6}, True),
        ({"sid": "s1"}, {"sid": "s2"}, False),
        ({"sid": "s1"}, {"sid": "s1", "sub": "b2"}, False),
        ({"sid": "s1"}, {"sid": "s1", "iss": "https://other.example"}, False),
        ({"auth_time": 5, "jti": "1"}, {"auth_time": 5, "jti": "2"}, True),
        ({"auth_time": 5}, {"auth_time": 6}, False),
        ({"auth_time": 5}, {"sid": "5"}, False),
        ({"sid": "", "auth_time": 5}, {"auth_time": 5}, True),
    ],
)
def test_the_key_is_the_session_at_the_issuer(one, other, same):
    """A renewed token belongs to the same login; another session, user or issuer does not."""
    first, second = (said_by(jwt({**LOGIN, **claims})).key for claims in (one, other))
    assert first and second
    assert (first == second) is same


@pytest.mark.parametrize(
    "claims", [{}, {"jti": "1", "iat": 5}, {"sid": 5e300}, {"sid": ["s"]}, {"auth_time": "now"}]
)
def test_without_a_session_there_is_no_key(claims):
    """``jti`` and ``iat`` change with each renewal, so they identify no login."""
    assert said_by(jwt({**LOGIN, "exp": 2e9, **claims})) == Resolution(Expiry(2e9, "jwt"))


def said_by(token: str, *more: str) -> Resolution | None:
    """Return the resolver's result for this header; it must not raise."""
    headers = HTTPHeaders()
    for value in (token, *more):
        headers.add("X-Token", value)
    settings: Any = SimpleNamespace(jwt_cookie="", jwt_header="X-Token", jwt_jwks="")
    handler: Any = SimpleNamespace(request=SimpleNamespace(headers=headers))
    return JwtResolver(settings).resolve(handler, SimpleNamespace(username="alice"))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
claims_of_sorts = st.dictionaries(
    st.sampled_from(["exp", "sid", "auth_time", "iss", "sub"]) | st.text(max_size=3), json_values
)
segments = (
    st.text(alphabet="abcXYZ019-_=. ", max_size=20)
    | st.binary(max_size=40).map(b64)
    | json_values.map(lambda value: b64(json.dumps(value).encode()))
)


@given(st.lists(segments, max_size=6).map(".".join).map(str.strip) | claims_of_sorts.map(jwt))
def test_no_token_makes_it_raise(token):
    """For any input: the result is nothing, or a time within the calendar and a text."""
    said = said_by(token)
    if said is not None and said.expiry is not None:
        assert said.expiry.source == "jwt" and 0 < said.expiry.at < 253_402_300_800
    assert said is None or said.key is None or isinstance(said.key, str)


def test_a_deeply_nested_or_huge_token_says_nothing():
    """Deep nesting and a number of 100,000 digits raise no error."""
    for payload in (b"[" * 50_000, b'{"exp":' + b"9" * 100_000 + b"}", b'{"exp":1e999}'):
        said = said_by(f"{b64(b'{}')}.{b64(payload)}.sig")
        assert said is None or said == Resolution()


def test_a_header_that_came_twice_says_nothing():
    """One of the two tokens may be the visitor's own."""
    assert said_by(jwt({"exp": 2e9}), jwt({"exp": 1.9e9})) is None


# ------------------------------------------------------------------------------------- custom


@pytest.mark.parametrize("name", ["resolver_probe.answer", "resolver_probe:answer"])
async def test_a_function_of_the_administrators(probed, name):
    """The function may return seconds, an aware time or a Resolution for its user."""
    custom = {"session_resolver": name}
    for person, username in zip(await people_on(probed), ("alice", "bob"), strict=True):
        for say in ("seconds", "integer", "aware"):
            person.headers["X-Say"] = say
            said = await ask(person, "custom", **custom)
            assert said["expiry"] == ([2e9, "custom"] if username == "alice" else None)
            assert said["key"] is None
        person.headers["X-Say"] = "resolution"
        said = await ask(person, "custom", **custom)
        if username == "alice":
            assert (said["expiry"], said["key"]) == ([2e9, "somebody"], "their key")
            assert "their key" not in said["repr"]
        else:
            assert (said["expiry"], said["key"]) == (None, None)


@pytest.mark.parametrize(
    ("say", "error"),
    [
        ("naive", "ValueError"),
        ("true", "TypeError"),
        ("text", "TypeError"),
        ("not a number", "ValueError"),
        ("infinite", "ValueError"),
        ("milliseconds", "ValueError"),
        ("negative", "ValueError"),
        ("bad key", "TypeError"),
        ("raises", "ValueError"),
    ],
)
async def test_a_resolver_that_fails_counts_as_silent(probed, say, error):
    """If a resolver fails, the next one is called; the log names the type of the error once."""
    alice, bob = await people_on(probed)
    alice.headers["X-Say"] = bob.headers["X-Say"] = say
    fresh = {"session_resolver": "resolver_probe.answer", "jwt_cookie": say.replace(" ", "-")}
    with log_after(probed) as log:
        for _ in range(2):
            said = await ask(alice, "custom", "theirs", **fresh)
            assert said["expiry"] == [3e9, "theirs"]
        await ask(bob, "custom", **fresh)
    assert log[0].count(f"the session resolver custom failed: {error}\n") == 1
    assert "s3cret" not in log[0] and "Traceback" not in log[0]


# ----------------------------------------------------------------------------------- together


async def test_the_first_that_says_something_wins_each_field(probed):
    """Expiry from one, key from another, in the order of the setting."""
    alice, bob = await people_on(probed)
    for person, name in ((alice, "alice"), (bob, "bob")):
        person.cookies["id_token"] = jwt({"exp": 2e9})
        settings = {"jwt_cookie": "id_token"}
        said = await ask(person, "jwt", "signed_cookie", "theirs", **settings)
        assert (said["expiry"], said["key"]) == ([2e9, "jwt"], f"{name} id_token")
        said = await ask(person, "signed_cookie", "jwt", **settings)
        assert (said["expiry"][1], said["key"]) == ("estimated", None)
        said = await ask(person, "theirs", "jwt", **settings)
        assert said["expiry"] == [3e9, "theirs"]
        assert await ask(person) == {
            "expiry": None,
            "key": None,
            "repr": "Resolution(expiry=None, key=None)",
        }


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (
            {"resolvers": ["nobodys"]},
            (
                "'nobodys' is not installed",
                "take of these: broken, custom, jwt, missing, signed_cookie, theirs",
            ),
        ),
        ({"resolvers": ["broken"]}, ("'broken'", "ZeroDivisionError", "fix or upgrade")),
        ({"resolvers": ["missing"]}, ("'missing'", "ModuleNotFoundError", "or remove it from")),
        ({"resolvers": ["custom"]}, ("no function", "set c.JupyterSessionUser.session_resolver")),
        (
            {"resolvers": ["jwt"], "session_resolver": "resolver_probe.answer"},
            ("no resolver calls it", "add 'custom'"),
        ),
        *(
            ({"resolvers": ["custom"], "session_resolver": f"{name}"}, (name, fix))
            for name, fix in (
                ("no_such_module.answer", "see that it is on the server's PYTHONPATH"),
                ("resolver_probe.nothing", "write package.module.function"),
                ("resolver_probe.NO_FUNCTION", "write def function(handler, user)"),
                ("resolver_probe.slow", "write def function(handler, user)"),
            )
        ),
    ],
)
async def test_a_setting_that_cannot_work_says_what_to_mend(probed, settings, words):
    """An unknown name, a broken package or a wrong function is an error with the fix."""
    alice, _ = await people_on(probed)
    error = (await ask(alice, **settings))["error"]
    assert all(word in error for word in words), error


async def test_a_built_in_name_is_ours(probed):
    """A package's resolver with the name ``jwt`` does not replace the built-in one."""
    alice, bob = await people_on(probed)
    for person in (alice, bob):
        person.cookies["id_token"] = jwt({"exp": 2e9})
        assert await expiry(person, "jwt", jwt_cookie="id_token") == [2e9, "jwt"]


def test_the_built_in_names_are_entry_points():
    """The package's metadata list the resolvers, so that tools find them."""
    text = (ROOT / "pyproject.toml").read_text()
    for entry in _BUILT_IN.values():
        assert f'{entry.name} = "{entry.value}"' in text
        assert entry.load()
    assert all(entry.load() for entry in entry_points(group=GROUP))
