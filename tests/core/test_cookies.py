"""Cookies are recorded as they came, read without guesses, and never shown by accident."""

from __future__ import annotations

import base64
import contextlib
import copy
import json
import pickle
import pprint
import re
import time
import timeit
import traceback
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from IPython.core.ultratb import VerboseTB
from IPython.lib.pretty import pretty
from tornado.httputil import parse_cookie

from jupyter_session_user.core.cookies import (
    CookieJar,
    CookieLimits,
    Cookies,
    RawCookie,
    cookies_from_wire,
    cookies_to_wire,
    parse_cookie_headers,
)
from jupyter_session_user.core.secret import Secret
from jupyter_session_user.errors import CookieError, CookieUnavailable, RemoteProtocolError

USER = {"user_id": "abcdefghij1234567890", "user_full_name": "Jane Doe"}
# The cookie of the report that started the project.
SEED = (
    "ewogICAgInVzZXJfaWQiOiAiYWJjZGVmZ2hpajEyMzQ1Njc4OTAiLAogICAgInVzZXJfZnVsbF9uYW1lIjogIkph"
    "bmUgRG9lIgp9"
)
CANARY = "canary5f1c"
# Header and claims of the example in RFC 7519, 3.1; the signature does not matter here.
JWT = (
    "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9"
    ".eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0"
    "cnVlfQ.c2ln"
)
WITHOUT_CAPS = CookieLimits(header_chars=10**9, cookies=10**9, value_chars=10**9)


def jar(*headers: str) -> CookieJar:
    """Return the cookies of a request with these Cookie headers, given as the browser's text."""
    return parse_cookie_headers([as_tornado_has_it(header) for header in headers])


def cookies(*headers: str) -> Cookies:
    """Return the cookies of a request with these Cookie headers."""
    return Cookies(jar(*headers))


def as_tornado_has_it(header: str) -> str:
    """Return the octets of the header, each as one character."""
    return header.encode("utf-8").decode("latin-1")


def pairs(parsed: CookieJar) -> list[tuple[str, str]]:
    """Return names and values, revealed."""
    return [(cookie.name, cookie.value.reveal()) for cookie in parsed.cookies]


def b64(text: str) -> str:
    """Return the text in base64, with padding."""
    return base64.b64encode(text.encode()).decode()


# Parsing


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("", []),
        (";;  ; ", []),
        ("a=1", [("a", "1")]),
        ("a=1; b=2", [("a", "1"), ("b", "2")]),
        ("a=1;b=2", [("a", "1"), ("b", "2")]),
        (" \ta = 1\t ", [("a", "1")]),
        ("a=1=2==", [("a", "1=2==")]),
        ("a=", [("a", "")]),
        ("novalue", [("", "novalue")]),
        ("=sid=evil", [("", "sid=evil")]),
        ("=", []),
        ("a=1; a=2", [("a", "1"), ("a", "2")]),
        ('a="x"', [("a", '"x"')]),
        # The quote does not protect the semicolon: browsers' rule, and Tornado's.
        ('sid=ok; x="a; sid=evil"', [("sid", "ok"), ("x", '"a'), ("sid", 'evil"')]),
        ("sid=ok; bad cookie; csrf=1", [("sid", "ok"), ("", "bad cookie"), ("csrf", "1")]),
        ("a=1,b=2", [("a", "1,b=2")]),
        ("$Version=1; a=1", [("$Version", "1"), ("a", "1")]),
    ],
)
def test_splitting(header: str, expected: list[tuple[str, str]]) -> None:
    """Names and raw values equal those in the browser."""
    assert pairs(jar(header)) == expected


def test_several_headers_are_one_list() -> None:
    """HTTP/2 may send each cookie in a header of its own (RFC 9113, 8.2.3)."""
    assert pairs(jar("a=1", "b=2; c=3")) == [("a", "1"), ("b", "2"), ("c", "3")]
    assert parse_cookie_headers([]) == CookieJar()


@pytest.mark.parametrize("value", ["é", "Jané à", "日本", "🙂", "à", "\u00a0x\u00a0", "\u0085"])
def test_utf8_is_repaired(value: str) -> None:
    """Tornado returns UTF-8 as latin-1; the text comes back, its last octet included."""
    assert cookies(f"a={value}").raw("a") == value
    assert cookies(f"{value}=1").raw(value) == "1"


def test_text_that_is_not_utf8_stays_latin1() -> None:
    """A value in another encoding stays unchanged, and affects no other value."""
    header = "a=\xe9; b=" + as_tornado_has_it("é")
    assert pairs(parse_cookie_headers([header])) == [("a", "\xe9"), ("b", "é")]


def test_text_that_cannot_be_octets_stays() -> None:
    """A header that the caller has decoded already loses nothing."""
    assert pairs(parse_cookie_headers(["a=日"])) == [("a", "日")]


@given(st.lists(st.text()))
@example(["\ud800=1"])
@example(["=;=" * 1000])
def test_parsing_never_raises(headers: list[str]) -> None:
    """Any header can be parsed, and the cookies survive the transport to the kernel."""
    parsed = parse_cookie_headers(headers, WITHOUT_CAPS)
    assert cookies_from_wire(json.loads(json.dumps(cookies_to_wire(parsed)))) == parsed


ASCII = st.text(st.characters(max_codepoint=127))
COOKIE_LIKE = st.text(st.sampled_from('ab=;"\\0123 \t,'))


@given(ASCII | COOKIE_LIKE)
def test_names_and_values_are_tornados(header: str) -> None:
    """If no name occurs twice, the mapping equals Tornado's, for any ASCII header."""
    ours = Cookies(parse_cookie_headers([header], WITHOUT_CAPS))
    theirs = parse_cookie(header)
    assert set(ours) == set(theirs)
    assert {name: ours[name] for name in ours if not ours.is_ambiguous(name)} == {
        name: theirs[name] for name in ours if not ours.is_ambiguous(name)
    }


# Caps


def test_a_value_over_the_cap_is_dropped_and_marked() -> None:
    """A value at the limit is kept; a longer value is dropped, but its name is kept."""
    limits = CookieLimits(value_chars=3)
    parsed = parse_cookie_headers(["a=123; b=1234; c=1"], limits)
    assert [(c.name, c.value.reveal(), c.too_large) for c in parsed.cookies] == [
        ("a", "123", False),
        ("b", "", True),
        ("c", "1", False),
    ]
    assert not parsed.too_many


def test_cookies_over_the_cap_are_flagged() -> None:
    """The first cookies are kept; reading another one says that it may have been cut off."""
    parsed = parse_cookie_headers(["a=1; b=2; c=3"], CookieLimits(cookies=2))
    assert pairs(parsed) == [("a", "1"), ("b", "2")]
    assert parsed.too_many
    assert not parse_cookie_headers(["a=1; b=2"], CookieLimits(cookies=2)).too_many
    view = Cookies(parsed)
    assert view["a"] == "1"
    for read in (view.__getitem__, view.get, view.raw, view.get_json, view.get_signed):
        with pytest.raises(CookieError, match="limit") as caught:
            read("c")
        assert caught.value.reason == "too_many"
        assert not isinstance(caught.value, KeyError)


def test_filling_up_the_list_does_not_hide_a_duplicate() -> None:
    """A name with a second cookie beyond the limit is still ambiguous."""
    parsed = parse_cookie_headers(["sid=evil; x=1; sid=ok; sid=ok; y=1"], CookieLimits(cookies=2))
    assert [c.name for c in parsed.cookies] == ["sid", "x", "sid"]
    assert Cookies(parsed).is_ambiguous("sid")


def test_headers_over_the_cap_give_nothing() -> None:
    """A header that is too long is not split: a part could hide a second cookie of a name."""
    limits = CookieLimits(header_chars=8)
    assert pairs(parse_cookie_headers(["a=1", "b=2"], limits)) == [("a", "1"), ("b", "2")]
    assert parse_cookie_headers(["a=1", "b=22"], limits) == CookieJar(too_many=True)


def test_the_default_caps_pass_what_browsers_send() -> None:
    """180 cookies of 4096 octets do not fit in Tornado's 64 KiB; all that fit are kept."""
    parsed = jar("; ".join(f"n{i}=" + "v" * 300 for i in range(180)))
    assert len(parsed.cookies) == 180
    assert not parsed.too_many


# Linear time


def best_seconds(work: Callable[[], object], rounds: int = 5) -> float:
    """Return the shortest processor time of several, in seconds: noise only ever adds.

    Without garbage collection, which grows with everything else in the process.
    """
    return min(timeit.repeat(work, timer=time.thread_time, number=1, repeat=rounds))


def read_everything(header: str) -> None:
    """Parse a header and put each value through each view."""
    view = Cookies(parse_cookie_headers([header], WITHOUT_CAPS))
    for name in view:
        for read in (view.get, view.get_json, view.get_jwt):
            with contextlib.suppress(CookieError):
                read(name)


@pytest.mark.parametrize(
    "hostile",
    [
        pytest.param(lambda n: 'a="' + '\\"' * n + '"', id="escaped quotes (CVE-2024-7592)"),
        pytest.param(lambda n: 'a="' + "\\1" * n + '"', id="broken octal escapes"),
        pytest.param(lambda n: "a=" + "%" * n, id="percent signs"),
        pytest.param(lambda n: "a=" + "%41" * n, id="percent-encoding"),
        pytest.param(lambda n: "a=" + "=" * n, id="equals signs"),
        pytest.param(lambda n: "a=" + "-_" * n, id="base64"),
        pytest.param(lambda n: "a=" + "[" * n, id="open brackets"),
        pytest.param(lambda n: "a=" + "." * n, id="dots"),
        pytest.param(lambda n: ";" * n, id="semicolons"),
        pytest.param(lambda n: " " * n, id="blanks"),
        pytest.param(lambda n: "a=1;" * n, id="one name"),
        pytest.param(lambda n: ";".join(f"a{i}=1" for i in range(n // 10)), id="many names"),
    ],
)
def test_time_is_linear_in_the_header(hostile: Callable[[int], str]) -> None:
    """Twice the input takes less than three times as long; quadratic code takes four times."""
    size = 50_000
    small, large = hostile(size), hostile(2 * size)
    ratios = (
        best_seconds(lambda: read_everything(large)) / best_seconds(lambda: read_everything(small))
        for _ in range(12)
    )
    assert any(ratio < 3 for ratio in ratios)


# The way to the kernel


def test_the_wire_is_json_with_everything() -> None:
    """All data for the kernel are in plain JSON."""
    original = CookieJar(
        (RawCookie("a", Secret("é")), RawCookie("b", Secret(""), too_large=True)),
        frozenset({"y", "x"}),
        shared=True,
        too_many=True,
    )
    wire = cookies_to_wire(original)
    assert wire == {
        "cookies": [["a", "é"], ["b", None]],
        "withheld": ["x", "y"],
        "shared": True,
        "too_many": True,
    }
    assert cookies_from_wire(json.loads(json.dumps(wire))) == original


def test_unknown_keys_are_ignored() -> None:
    """A newer server may send more fields."""
    wire = {**cookies_to_wire(jar("a=1")), "revision": 7}
    assert cookies_from_wire(wire) == jar("a=1")


GOOD: dict[str, Any] = {"cookies": [], "withheld": [], "shared": False, "too_many": False}


@pytest.mark.parametrize(
    "wire",
    [
        None,
        [],
        "x",
        {},
        *({key: value for key, value in GOOD.items() if key != left_out} for left_out in GOOD),
        {**GOOD, "cookies": {}},
        {**GOOD, "cookies": [None]},
        {**GOOD, "cookies": ["ab"]},
        {**GOOD, "cookies": [["a"]]},
        {**GOOD, "cookies": [["a", "1", "2"]]},
        {**GOOD, "cookies": [[1, "1"]]},
        {**GOOD, "cookies": [["a", 1]]},
        {**GOOD, "cookies": [["a", "1"], 5]},
        {**GOOD, "withheld": "ab"},
        {**GOOD, "withheld": [1]},
        {**GOOD, "withheld": ["a", ["b"]]},
        {**GOOD, "shared": 1},
        {**GOOD, "too_many": None},
    ],
)
def test_a_malformed_wire_is_refused(wire: object) -> None:
    """Each malformed object raises the documented error."""
    with pytest.raises(RemoteProtocolError, match="cookies"):
        cookies_from_wire(wire)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["cookies", "withheld", "shared", "too_many", "x"]), inner, max_size=5
        )
    ),
    max_leaves=20,
)
ALMOST_RIGHT = st.fixed_dictionaries(
    {
        "cookies": st.lists(st.tuples(st.text(), st.none() | st.text()).map(list) | JSON),
        "withheld": st.lists(st.text()) | JSON,
        "shared": st.booleans() | JSON,
        "too_many": st.booleans() | JSON,
    }
)


@given(JSON | ALMOST_RIGHT)
def test_the_wire_is_accepted_or_refused(wire: object) -> None:
    """Any JSON gives cookies that serialise to the same JSON, or the documented error."""
    try:
        read = cookies_from_wire(wire)
    except RemoteProtocolError:
        return
    assert isinstance(wire, dict)
    written = cookies_to_wire(read)
    assert written["cookies"] == wire["cookies"]
    assert set(written["withheld"]) == set(wire["withheld"])
    assert (read.shared, read.too_many) == (wire["shared"], wire["too_many"])


# Reading by name


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("plain", "plain"),
        ('"quoted"', "quoted"),
        ('""', ""),
        ('"', '"'),
        ('"open', '"open'),
        ('close"', 'close"'),
        (r'"a\"b"', 'a"b'),
        (r'"a\\b"', r"a\b"),
        (r'"\054\073"', ",;"),
        (r'"\400"', "400"),
        (r'"\08"', "08"),
        (r'"end\"', "end\\"),
        (r"a\054b", r"a\054b"),
        ("a b", "a b"),
        ("%20+", "%20+"),
    ],
)
def test_a_value_is_what_tornado_gives(value: str, expected: str) -> None:
    """Quotes and escapes are removed as in ``handler.get_cookie``, and nothing else is."""
    assert parse_cookie(f"a={value}") == {"a": expected}
    view = cookies(f"a={value}")
    assert view["a"] == view.get("a") == expected
    assert view.raw("a") == value


def test_it_is_a_mapping() -> None:
    """Names, length, containment, items and values are those of the cookies that came."""
    view = cookies("b=1; a=2; é=3")
    assert list(view) == ["b", "a", "é"]
    assert len(view) == 3
    assert "a" in view
    assert "z" not in view
    assert dict(view) == {"b": "1", "a": "2", "é": "3"} == dict(view.items())
    assert view == {"b": "1", "a": "2", "é": "3"}
    assert list(view.values()) == ["1", "2", "3"]
    assert "2" in view.values()
    assert "9" not in view.values()
    assert 5 not in view
    assert not cookies("")


def test_a_missing_cookie_is_a_plain_key_error() -> None:
    """If the browser sent no cookie, the default is returned, and the error is KeyError itself."""
    view = cookies("a=1")
    for read in (view.__getitem__, view.raw, view.get_json, view.get_jwt):
        with pytest.raises(KeyError) as caught:
            read("z")
        assert type(caught.value) is KeyError
        assert caught.value.args == ("z",)
    assert view.get("z") is None
    assert view.get("z", "x") == "x"
    assert view.get("z", default=5) == 5
    assert view.get_signed("z") is None


READERS = ["__getitem__", "get", "raw", "get_json", "get_jwt", "get_signed"]


@pytest.mark.parametrize("reader", READERS)
def test_a_name_that_came_twice_has_no_value(reader: str) -> None:
    """No accessor chooses between two cookies, even if they are equal; ``pairs`` has both."""
    view = cookies("a=1; sid=x; sid=y", "same=1; same=1")
    for name in ("sid", "same"):
        with pytest.raises(CookieError, match=r"several times.*\.pairs\(\)") as caught:
            getattr(view, reader)(name)
        assert caught.value.reason == "ambiguous"
        assert view.is_ambiguous(name)
    assert not view.is_ambiguous("a")
    assert not view.is_ambiguous("z")
    assert view.pairs() == (("a", "1"), ("sid", "x"), ("sid", "y"), ("same", "1"), ("same", "1"))
    assert list(view) == ["a", "sid", "same"]


@pytest.mark.parametrize("reader", READERS)
def test_a_value_that_was_too_large_is_not_missing(reader: str) -> None:
    """A dropped value raises its own error, with a default too; ``pairs`` leaves it out."""
    view = Cookies(parse_cookie_headers(["a=1; big=1234"], CookieLimits(value_chars=3)))
    with pytest.raises(CookieError, match="too large") as caught:
        getattr(view, reader)("big")
    assert caught.value.reason == "too_large"
    assert not isinstance(caught.value, KeyError)
    assert view.pairs() == (("a", "1"),)
    assert "big" in view


@pytest.mark.parametrize("reader", READERS)
def test_a_withheld_cookie_says_how_to_get_it(reader: str) -> None:
    """A cookie that the policy withholds is never a silent None; the message ends with the fix."""
    view = Cookies(CookieJar(withheld=frozenset({"_xsrf"})))
    with pytest.raises(CookieUnavailable, match="'_xsrf' is a login credential") as caught:
        getattr(view, reader)("_xsrf")
    assert "c.JupyterSessionUser.credential_cookies" in str(caught.value)
    assert str(caught.value).endswith("add it to c.JupyterSessionUser.share_cookies")
    assert caught.value.reason == "withheld"
    assert isinstance(caught.value, KeyError)
    assert view.withheld == {"_xsrf"}
    assert "_xsrf" not in view
    assert view.get("other") is None


@pytest.mark.parametrize("reader", READERS)
def test_somebody_elses_kernel_does_not_say_what_is_missing(reader: str) -> None:
    """On another user's kernel, any missing name raises: the browser may have the cookie."""
    view = Cookies(CookieJar(jar("a=1").cookies, shared=True))
    assert view["a"] == "1"
    with pytest.raises(CookieUnavailable, match="belongs to another user") as caught:
        getattr(view, reader)("z")
    assert str(caught.value).endswith("add it to c.JupyterSessionUser.share_cookies")
    assert caught.value.reason == "withheld"


# Decoders


TEXT = json.dumps(USER)


@pytest.mark.parametrize(
    "value",
    [
        TEXT,
        SEED,
        quote(TEXT),
        quote(TEXT, safe=""),
        b64(TEXT),
        b64(TEXT).rstrip("="),
        quote(b64(TEXT + " "), safe=""),
        f'"{SEED}"',
        f'"{b64(TEXT)}"',
        f'"{quote(TEXT)}"',
        '"' + TEXT.replace('"', '\\"') + '"',
        '"' + TEXT.replace('"', "\\042").replace(",", "\\054") + '"',
    ],
)
def test_json_is_found_in_each_wrapping(value: str) -> None:
    """Plain, URL-encoded and base64 JSON, each quoted or not, give the same object."""
    assert cookies(f"u={value}").get_json("u") == USER


def test_both_base64_alphabets_are_read() -> None:
    """Plus and slash, or minus and underscore (RFC 4648, 4 and 5), padded or not."""
    payload = {"k": "\u00bf\u00ff~~~???>>>"}
    text = json.dumps(payload, ensure_ascii=False).encode()
    plain, url_safe = base64.b64encode(text).decode(), base64.urlsafe_b64encode(text).decode()
    assert set("+/") & set(plain)
    for value in (plain, url_safe, plain.rstrip("="), url_safe.rstrip("=")):
        assert cookies(f"u={value}").get_json("u") == payload


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("5", 5),
        ("1234", 1234),
        ("true", True),
        ("null", None),
        ("-1.5e3", -1500.0),
        ('"text"', "text"),
        ('"5"', "5"),
        (r'"\061"', 1),  # no JSON escape, so that only Tornado's view is JSON
        ("[1,2]", [1, 2]),
        (b64("[1, 2]"), [1, 2]),
        ("%5B%5D", []),
        ("%22x%22", "undecodable"),
        (b64("5"), "undecodable"),
        (b64('"text"'), "undecodable"),
        ("null5", "undecodable"),
        ("", "undecodable"),
        ("hello", "undecodable"),
        ("NaN", "undecodable"),
        ("[Infinity]", "undecodable"),
        ("{'a': 1}", "undecodable"),
        ("%5B%ff%5D", "undecodable"),
        (base64.b64encode(b'{"a": "\xff"}').decode(), "undecodable"),
        ("W", "undecodable"),
        ("W===1", "undecodable"),
        ("é", "undecodable"),
        ("2|1:0|10:1600000000|4:user|8:ImpvZSI=|0a", "undecodable"),
    ],
)
def test_scalars_count_only_as_plain_json(value: str, expected: object) -> None:
    """Almost any text is valid base64, so only objects and arrays count there."""
    view = cookies(f"u={value}" if value else "u=")
    if expected == "undecodable":
        with pytest.raises(CookieError, match="holds no JSON") as caught:
            view.get_json("u")
        assert caught.value.reason == "undecodable"
    else:
        assert view.get_json("u") == expected


@pytest.mark.parametrize("encode", [str, quote, b64])
def test_json_that_is_too_deep_is_undecodable(encode: Callable[[str], str]) -> None:
    """A RecursionError of the parser is an undecodable cookie, not a crash."""
    deep = encode("[" * 300_000 + "]" * 300_000)
    view = Cookies(CookieJar((RawCookie("u", Secret(deep)),)))
    with pytest.raises(CookieError) as caught:
        view.get_json("u")
    assert caught.value.reason == "undecodable"


@given(st.text())
def test_decoding_any_value_is_typed(value: str) -> None:
    """Any value is decoded or raises the typed error."""
    view = Cookies(CookieJar((RawCookie("u", Secret(value)),)))
    for read in (view.get_json, view.get_jwt):
        with contextlib.suppress(CookieError):
            read("u")


@given(st.dictionaries(st.text(), st.integers() | st.text()))
def test_any_object_survives_base64(payload: dict[str, object]) -> None:
    """The result of JavaScript's ``btoa(JSON.stringify(…))`` can be read."""
    assert cookies(f"u={b64(json.dumps(payload))}").get_json("u") == payload


@pytest.mark.parametrize("value", [JWT, f'"{JWT}"', JWT.rpartition(".")[0] + "."])
def test_the_claims_of_a_jwt(value: str) -> None:
    """The example of RFC 7519 gives its claims, with any signature."""
    claims = cookies(f"t={value}").get_jwt("t")
    assert claims == {"iss": "joe", "exp": 1300819380, "http://example.com/is_root": True}


@pytest.mark.parametrize(
    "value",
    [
        "",
        "abc",
        "a.b",
        "a.b.c",
        SEED,
        f"{SEED}.{SEED}",
        f"{SEED}.{SEED}.c.d.e",
        f"{b64('[]')}.{SEED}.c",
        f"{SEED}.{b64('[]')}.c",
        f"{SEED}.{b64('5')}.c",
        f"{SEED}..c",
    ],
)
def test_what_is_no_signed_jwt_is_undecodable(value: str) -> None:
    """Three parts are needed, of which two are JSON objects."""
    with pytest.raises(CookieError, match="holds no JWT") as caught:
        cookies(f"t={value}").get_jwt("t")
    assert caught.value.reason == "undecodable"


def test_a_signed_cookie_is_asked_of_the_server() -> None:
    """The server gets name and age, and the value is its answer."""
    asked = []

    def server(name: str, max_age_days: float) -> str | None:
        asked.append((name, max_age_days))
        return "joe" if name == "user" else None

    view = Cookies(jar("user=2|x; forged=2|y"), signed=server)
    assert view.get_signed("user") == "joe"
    assert view.get_signed("forged", max_age_days=1.5) is None
    assert view.get_signed("missing") is None
    assert asked == [("user", 31.0), ("forged", 1.5)]


def test_a_signed_cookie_needs_a_server() -> None:
    """Without a server, reading a signed cookie raises an error."""
    with pytest.raises(CookieError, match="no Jupyter server to ask") as caught:
        cookies("user=2|x").get_signed("user")
    assert caught.value.reason == "undecodable"


# Nothing leaks


def test_the_repr_has_names_only() -> None:
    """Each text form shows only the number of cookies and their names."""
    view = cookies(f"a={CANARY}; b={CANARY}; c={CANARY}; {CANARY}"[: -len(CANARY) - 2])
    expected = "<Cookies: 3 cookies ('a', 'b', 'c'), values hidden>"
    for show in (repr, str, pretty, pprint.pformat, "{}".format, "{!r}".format):
        assert show(view) == expected
    assert repr(cookies("a=1")) == "<Cookies: 1 cookie ('a'), values hidden>"
    assert repr(cookies("")) == "<Cookies: 0 cookies, values hidden>"
    assert CANARY not in repr([view, view.items(), view.values(), jar(f"x={CANARY}")])


def test_the_repr_says_what_is_not_there() -> None:
    """Withheld names are counted, and a cut is mentioned."""
    view = Cookies(CookieJar(jar("a=1").cookies, frozenset({"x", "y"}), too_many=True))
    assert repr(view) == ("<Cookies: 1 cookie ('a'), 2 withheld, others cut off, values hidden>")


def test_hostile_names_are_escaped_and_short() -> None:
    """A name cannot forge lines or text direction, or fill the screen."""
    view = Cookies(
        CookieJar(
            tuple(
                RawCookie(name, Secret(""))
                for name in ("a\n\x1b[31m\u202e", "n" * 10_000, *map(str, range(1000)))
            )
        )
    )
    shown = repr(view)
    assert shown.isprintable()
    assert len(shown) < 200
    assert shown.startswith("<Cookies: 1002 cookies (")
    assert shown.endswith(", …), values hidden>")


def test_a_name_without_equals_sign_is_not_shown() -> None:
    """A value without a name is hidden like every value."""
    assert repr(cookies(CANARY)) == "<Cookies: 1 cookie (''), values hidden>"


@pytest.mark.parametrize(
    "store", [copy.copy, copy.deepcopy, pickle.dumps, lambda view: pickle.dumps(view, 0)]
)
def test_copies_and_pickles_are_refused(store: Callable[[Cookies], object]) -> None:
    """A Cookies object is not stored by accident."""
    with pytest.raises(TypeError, match="cannot be copied or pickled"):
        store(cookies("a=1"))


def test_json_and_vars_are_refused() -> None:
    """Serialisers that look at types or attributes find nothing."""
    with pytest.raises(TypeError, match="Cookies is not JSON serializable"):
        json.dumps(cookies("a=1"))
    with pytest.raises(TypeError):
        vars(cookies("a=1"))


def everything_shown(error: BaseException) -> str:
    """Return all that a debugger shows of an error: texts, causes and local variables."""
    shown = traceback.TracebackException.from_exception(error, capture_locals=True)
    chain: list[object] = []
    link: BaseException | None = error
    while link is not None:
        chain += [repr(link), str(link), link.args, vars(link)]
        assert link.__context__ is None or link.__cause__ is None
        link = link.__cause__ or link.__context__
    return "\n".join(shown.format(chain=True)) + repr(chain)


def as_ipython_shows_it(error: BaseException) -> str:
    """Return the traceback of ``%xmode Verbose``, without colours."""
    shown = VerboseTB().text(type(error), error, error.__traceback__)
    return re.sub(r"\x1b\[[0-9;]*m", "", shown)


def server_that_fails(name: str, max_age_days: float) -> str | None:
    """A comm with a server that does not answer."""
    raise TimeoutError(f"no answer for {name} within {max_age_days} days")


def with_canaries() -> Cookies:
    """Return cookies of each troublesome kind, with the canary in all values."""
    value = f"{CANARY}-" * 20
    fine = parse_cookie_headers(
        [f"bad={value}; twice={value}; twice={value}; json=[{value}; jwt={value}.{value}.{value}"]
    )
    big = RawCookie("big", Secret(""), too_large=True)
    return Cookies(
        CookieJar((*fine.cookies, big), frozenset({"kept"}), too_many=True),
        signed=server_that_fails,
    )


FAILING: list[Callable[[Cookies], object]] = [
    lambda view: view["twice"],
    lambda view: view["big"],
    lambda view: view["kept"],
    lambda view: view["cut"],
    lambda view: view.get("twice"),
    lambda view: view.get("big"),
    lambda view: view.get("kept", "default"),
    lambda view: view.get("cut"),
    lambda view: view.raw("twice"),
    lambda view: view.raw("big"),
    lambda view: view.get_json("bad"),
    lambda view: view.get_json("json"),
    lambda view: view.get_json("twice"),
    lambda view: view.get_jwt("bad"),
    lambda view: view.get_jwt("jwt"),
    lambda view: view.get_signed("bad"),
    lambda view: view.get_signed("twice"),
    lambda view: Cookies(view._jar).get_signed("bad"),
    lambda view: Cookies(CookieJar(view._jar.cookies))["missing"],
    lambda view: Cookies(CookieJar(view._jar.cookies, shared=True))["missing"],
    dict,
    lambda view: list(view.values()),
    lambda view: "x" in view.values(),
    lambda view: list(view.items()),
    lambda view: view == {"bad": "x"},
    lambda view: {**view},
    pickle.dumps,
    json.dumps,
    lambda view: hash(view._jar),
    lambda view: cookies_from_wire({**cookies_to_wire(view._jar), "shared": "x"}),
    lambda view: cookies_from_wire([cookies_to_wire(view._jar)]),
]


@pytest.mark.parametrize("fail", FAILING)
def test_no_value_in_a_traceback(fail: Callable[[Cookies], object]) -> None:
    """An error shows no value in its text, its causes or a frame's local variables.

    Neither in IPython's ``%xmode Verbose``, which also evaluates expressions of each frame.
    """
    view = with_canaries()
    with pytest.raises(Exception) as caught:  # noqa: PT011  (any error: none may leak)
        fail(view)
    assert CANARY not in everything_shown(caught.value)
    assert CANARY not in as_ipython_shows_it(caught.value)


def test_the_canary_test_can_fail() -> None:
    """The check finds a value that a frame holds."""

    def leaking() -> None:
        leak = with_canaries().raw("bad")
        raise ValueError(len(leak))

    with pytest.raises(ValueError, match="2") as caught:
        leaking()
    assert CANARY in everything_shown(caught.value)
    assert CANARY in as_ipython_shows_it(caught.value)
