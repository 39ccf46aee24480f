"""Parses the cookies of a request, and keeps them as the browser sent them.

Rules of this file:
- a name that occurs twice has no value. Paths and domains decide which of the two applies, the
  browser does not send these (RFC 6265bis, 5.8.3), and parsers choose differently;
- nothing is dropped silently: reading a cookie that a limit cut off raises an error;
- every frame that can raise holds values in a :class:`Secret`, and decoders report failure by a
  return value: a traceback shows local variables, and ``JSONDecodeError`` keeps the text;
- every step is linear in the size of the header. ``http.cookies`` is not (CVE-2024-7592).
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence, ValuesView
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final, NoReturn, TypeVar, overload
from urllib.parse import unquote

from jupyter_session_user.core.secret import Secret
from jupyter_session_user.errors import CookieError, CookieUnavailable, RemoteProtocolError

__all__ = [
    "DEFAULT_LIMITS",
    "CookieJar",
    "CookieLimits",
    "Cookies",
    "RawCookie",
    "cookies_from_wire",
    "cookies_to_wire",
    "parse_cookie_headers",
]

_T = TypeVar("_T")

# The ASCII characters that str.strip() removes, as Tornado does. str.strip() itself also removes
# U+00A0 and U+0085, which are bytes of UTF-8 here: "à" ends in one.
_BLANKS = " \t\n\v\f\r\x1c\x1d\x1e\x1f"

# Escapes in a quoted value, as Tornado and Python 3.13 read them. One pass of re.sub is linear.
_ESCAPE = re.compile(r"\\(?:([0-3][0-7][0-7])|(.))")

_SHOWN_NAMES = 10
_SHOWN_CHARS = 40

# Means "not decodable". None cannot mean that, since JSON has null.
_NOTHING: Final = object()

# Follow the cookie's name in an error message. The fix, if there is one, comes last.
_AMBIGUOUS = "came several times, and the browser does not say which is meant; see .pairs()"
_TOO_LARGE = "was too large to be kept; store less in it, or raise the server's limit"
_TOO_MANY = "may be among those that were cut off; delete some, or raise the server's limit"
_NO_JSON = "holds no JSON: neither plain, nor URL-encoded, nor in base64"
_NO_JWT = "holds no JWT in compact form"
_NO_SERVER = "cannot be verified here: there is no Jupyter server to ask"
_WITHHELD = (
    "is a login credential, which does not go to kernels; if a user's own kernel must have it, "
    "remove its pattern from c.JupyterSessionUser.credential_cookies, or if all kernels must, "
    "add it to c.JupyterSessionUser.share_cookies"
)
_NOT_SHARED = (
    "is not sent to this kernel, which belongs to another user, whether the browser has it or "
    "not; to send it to all kernels, for every user, add it to c.JupyterSessionUser.share_cookies"
)


@dataclass(frozen=True, slots=True)
class CookieLimits:
    """Limits on the cookies of one request.

    Attributes:
        header_chars: Length of all Cookie headers together, in octets (one character each). Tornado
            limits all headers of a request to 64 KiB, so more arrives only if the administrator
            raised that limit.
        cookies: Number of cookies. Browsers keep 180 or fewer for a site, and several sites can
            share a host's cookies through a parent domain.
        value_chars: Length of one value, in octets. Browsers drop values of 4096 octets or more
            (RFC 6265bis, 5.6); proxies and tests have no such limit.
    """

    header_chars: int = 64 * 1024
    cookies: int = 300
    value_chars: int = 8192


DEFAULT_LIMITS: Final = CookieLimits()


@dataclass(frozen=True, slots=True)
class RawCookie:
    """One name and value as the browser sent them, still quoted and encoded.

    Attributes:
        name: May be empty: a chunk without ``=`` is a value without a name.
        value: Empty if it was longer than the limit.
        too_large: Whether the value was dropped because it was longer than the limit.
    """

    name: str
    value: Secret
    too_large: bool = False


@dataclass(frozen=True, slots=True)
class CookieJar:
    """The cookies of one browser, reduced to those that this process may know.

    Attributes:
        cookies: In the order of the request; a name may occur twice.
        withheld: Names of the cookies that the policy keeps from kernels.
        shared: Whether the kernel belongs to another user. A cookie that is missing here may then
            exist in the browser.
        too_many: Whether a limit cut cookies off. A cookie that is missing here may then have been
            sent.
    """

    cookies: tuple[RawCookie, ...] = ()
    withheld: frozenset[str] = frozenset()
    shared: bool = False
    too_many: bool = False


def parse_cookie_headers(
    headers: Sequence[str], limits: CookieLimits = DEFAULT_LIMITS
) -> CookieJar:
    """Split Cookie headers into names and values; never raises.

    Several headers are one list joined by ``"; "`` (RFC 9113, 8.2.3). Chunks are split as in
    Tornado's ``parse_cookie``, so the names equal those of ``handler.get_cookie``.

    Args:
        headers: Values of all Cookie headers: octets decoded as latin-1, as in Tornado.
        limits: The limits. Headers that are too long together give an empty result: a part of them
            could hide the second cookie of a name.

    Returns:
        The cookies. Values that are too long are dropped and marked. ``too_many`` is set if cookies
        were cut off.
    """
    joined = "; ".join(headers)
    if len(joined) > limits.header_chars:
        return CookieJar(too_many=True)
    pairs = [pair for pair in map(_split, joined.split(";")) if pair != ("", "")]
    cookies = tuple(_record(name, value, limits.value_chars) for name, value in pairs)
    return CookieJar(_keep(cookies, limits.cookies), too_many=len(cookies) > limits.cookies)


def _split(chunk: str) -> tuple[str, str]:
    """Return name and value; the name is empty if there is no ``=``, as in browsers."""
    name, _, value = (chunk if "=" in chunk else f"={chunk}").partition("=")
    return name.strip(_BLANKS), value.strip(_BLANKS)


def _record(name: str, value: str, limit: int) -> RawCookie:
    """Return the cookie, without its value if that is longer than the limit."""
    too_large = len(value) > limit
    return RawCookie(_repair(name), Secret("" if too_large else _repair(value)), too_large)


def _repair(text: str) -> str:
    """Decode the octets as UTF-8; return the text unchanged if they are not UTF-8."""
    try:
        return text.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return text


def _keep(cookies: tuple[RawCookie, ...], limit: int) -> tuple[RawCookie, ...]:
    """Return the first cookies, and an empty marker for each name that occurs again after them.

    Without the markers, filling up the list would make a name look unambiguous.
    """
    kept, rest = cookies[:limit], cookies[limit:]
    again = {cookie.name for cookie in kept} & {cookie.name for cookie in rest}
    return kept + tuple(RawCookie(name, Secret(""), too_large=True) for name in sorted(again))


def cookies_to_wire(jar: CookieJar) -> dict[str, Any]:
    """Return the cookies as JSON, for the comm; values are in plain text."""
    return {
        "cookies": [
            [cookie.name, None if cookie.too_large else cookie.value.reveal()]
            for cookie in jar.cookies
        ],
        "withheld": sorted(jar.withheld),
        "shared": jar.shared,
        "too_many": jar.too_many,
    }


def cookies_from_wire(wire: object) -> CookieJar:
    """Read the output of :func:`cookies_to_wire`; unknown keys are ignored.

    Raises:
        RemoteProtocolError: ``wire`` is not such an object.
    """
    jar = _read_jar(wire)
    if jar is None:
        del wire  # a traceback shows local variables
        raise RemoteProtocolError("cookies: not an object of cookies, withheld, shared, too_many")
    return jar


def _read_jar(wire: object) -> CookieJar | None:
    """Return the cookies, or None if the object is malformed."""
    match wire:
        case {
            "cookies": list(pairs),
            "withheld": list(withheld),
            "shared": bool(shared),
            "too_many": bool(too_many),
        }:
            cookies = tuple(cookie for cookie in map(_read_cookie, pairs) if cookie is not None)
            names = frozenset(name for name in withheld if isinstance(name, str))
            if len(cookies) == len(pairs) and all(isinstance(name, str) for name in withheld):
                return CookieJar(cookies, names, shared, too_many)
    return None


def _read_cookie(pair: object) -> RawCookie | None:
    """Return the cookie, or None if it is malformed."""
    match pair:
        case [str(name), str() | None as value]:
            return RawCookie(name, Secret(value or ""), too_large=value is None)
    return None


class Cookies(Mapping[str, str]):
    """The cookies of the current user's browser, by name.

    Values equal those of Tornado's ``handler.get_cookie``: quotes and escapes are removed. If a
    cookie exists but cannot be given, reading it raises :class:`CookieError`, even by ``get`` with
    a default. Only a cookie that the browser did not send counts as missing. Iteration and ``in``
    use the names that are here, readable or not; :attr:`withheld` has the names that are not here.

    Only the accessors show a value: the repr, a pickle or a traceback never does.

    Args:
        jar: The cookies that this process may know.
        signed: Asks the server for the signed cookie of a name, with a maximum age in days; None if
            there is no server to ask.
    """

    __slots__ = ("_by_name", "_jar", "_signed")

    def __init__(
        self, jar: CookieJar, *, signed: Callable[[str, float], str | None] | None = None
    ) -> None:
        by_name: dict[str, list[RawCookie]] = {}
        for cookie in jar.cookies:
            by_name.setdefault(cookie.name, []).append(cookie)
        self._by_name = by_name
        self._jar = jar
        self._signed = signed

    @property
    def withheld(self) -> frozenset[str]:
        """Names of the cookies that the server's policy keeps from this kernel.

        Always empty in a kernel that belongs to another user.
        """
        return self._jar.withheld

    def __getitem__(self, name: str) -> str:
        """Return the value, decoded as in Tornado.

        Raises:
            CookieUnavailable: The policy withholds the cookie, or may do so. It is a KeyError.
            CookieError: The name occurs twice, the value was too large, or the cookie may have been
                cut off.
            KeyError: The browser did not send the cookie.
        """
        return _tornado_view(self._get(name))

    @overload
    def get(self, name: str, /) -> str | None: ...
    @overload
    def get(self, name: str, /, default: str | _T) -> str | _T: ...
    def get(self, name: str, /, default: object = None) -> object:
        """Return the value, decoded as in Tornado, or the default if the browser sent none.

        Raises:
            CookieUnavailable: The policy withholds the cookie, or may do so.
            CookieError: The name occurs twice, the value was too large, or the cookie may have been
                cut off.
        """
        found = self._find(name)
        return default if found is None else _tornado_view(found)

    def raw(self, name: str) -> str:
        """Return the value as the browser holds it, with its quotes and escapes.

        Raises:
            CookieUnavailable, CookieError, KeyError: As for ``cookies[name]``.
        """
        return self._get(name).reveal()

    def pairs(self) -> tuple[tuple[str, str], ...]:
        """Return all names and raw values, in the order of the request.

        A name that occurs twice is returned twice. Values that were too large are left out.
        """
        kept = (cookie for cookie in self._jar.cookies if not cookie.too_large)
        return tuple((cookie.name, cookie.value.reveal()) for cookie in kept)

    def is_ambiguous(self, name: str) -> bool:
        """Tell whether the name occurs more than once, so that reading it raises."""
        return len(self._by_name.get(name, ())) > 1

    def get_json(self, name: str) -> Any:
        """Return the decoded value of a cookie that holds JSON (RFC 8259).

        Accepts plain, URL-encoded and base64 JSON; base64 in both alphabets, with or without
        padding (RFC 4648). A number or a string counts only as plain JSON: almost any text is valid
        base64.

        Raises:
            CookieUnavailable, KeyError: As for ``cookies[name]``.
            CookieError: As for ``cookies[name]``; ``undecodable`` if it holds no JSON, or JSON
                that is nested too deeply.
        """
        value = _decode_json(self._get(name))
        if value is _NOTHING:
            raise _refusal(name, "undecodable", _NO_JSON)
        return value

    def get_jwt(self, name: str) -> dict[str, Any]:
        """Return the claims of a cookie that holds a JWT (RFC 7519), **not verified**.

        Neither the signature nor the expiry is checked. Any code that can set a cookie in this
        browser can write such claims: display them, but make no decision by them.

        Raises:
            CookieUnavailable, KeyError: As for ``cookies[name]``.
            CookieError: As for ``cookies[name]``; ``undecodable`` if it is no signed JWT in
                compact form (RFC 7515, 7.1); an encrypted one has no readable claims.
        """
        claims = _decode_jwt(self._get(name))
        if claims is None:
            raise _refusal(name, "undecodable", _NO_JWT)
        return claims

    def get_signed(self, name: str, max_age_days: float = 31.0) -> str | None:
        """Return the value of a cookie that the server signed, verified by the server.

        Args:
            name: Name of the cookie.
            max_age_days: Maximum age of the signature, in days. The default equals that of
                Tornado's ``get_signed_cookie``.

        Returns:
            The value; None if the browser sent none, or if its signature is wrong or too old.

        Raises:
            CookieUnavailable: The policy withholds the cookie, or may do so.
            CookieError: As for ``cookies[name]``; ``undecodable`` if there is no server to ask.
        """
        if self._find(name) is None:
            return None
        if self._signed is None:
            raise _refusal(name, "undecodable", _NO_SERVER)
        return self._signed(name, max_age_days)

    def values(self) -> ValuesView[str]:
        """Return a view of the values; iterating raises at a value that cannot be read."""
        return _Values(self)

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names, each once."""
        return iter(self._by_name)

    def __len__(self) -> int:
        """Return the number of names."""
        return len(self._by_name)

    def __contains__(self, name: object) -> bool:
        """Tell whether a cookie of this name is here, readable or not."""
        return name in self._by_name

    def __repr__(self) -> str:
        """Return the names, escaped, shortened and limited in number: they may be hostile."""
        plural = "" if len(self) == 1 else "s"
        shown = [_name_for_display(name) for name in islice(self, _SHOWN_NAMES)]
        shown += ["…"] * (len(self) > _SHOWN_NAMES)
        names = f" ({', '.join(shown)})" if shown else ""
        withheld = f", {len(self.withheld)} withheld" if self.withheld else ""
        cut = ", others cut off" if self._jar.too_many else ""
        shared = ", only those shared with other users' kernels" if self._jar.shared else ""
        return f"<Cookies: {len(self)} cookie{plural}{names}{withheld}{cut}{shared}, values hidden>"

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        """Refuse to be copied or pickled, which writes the values into a file.

        Raises:
            TypeError: Always.
        """
        raise TypeError("Cookies cannot be copied or pickled; take the values that are needed")

    def _get(self, name: str) -> Secret:
        """Return the raw value, hidden; raises as ``cookies[name]``."""
        found = self._find(name)
        if found is None:
            raise KeyError(name)
        return found

    def _find(self, name: str) -> Secret | None:
        """Return the raw value, hidden, or None if the browser sent none."""
        found = self._by_name.get(name, [])
        if not found:
            self._refuse_to_deny(name)
            return None
        if len(found) > 1:
            raise _refusal(name, "ambiguous", _AMBIGUOUS)
        if found[0].too_large:
            raise _refusal(name, "too_large", _TOO_LARGE)
        return found[0].value

    def _refuse_to_deny(self, name: str) -> None:
        """Raise unless it is certain that the browser did not send this name."""
        if name in self._jar.withheld:
            raise _refusal(name, "withheld", _WITHHELD)
        if self._jar.too_many:
            raise _refusal(name, "too_many", _TOO_MANY)
        if self._jar.shared:
            raise _refusal(name, "withheld", _NOT_SHARED)


class _Values(ValuesView[str]):
    """A view with an ``in`` that leaves no value in a frame while it reads the next one."""

    __slots__ = ()

    def __contains__(self, value: object) -> bool:
        return value in list(self)


def _tornado_view(secret: Secret) -> str:
    """Return the value as Tornado reads it; cannot raise."""
    text = secret.reveal()
    if len(text) > 1 and text[0] == text[-1] == '"':
        return _ESCAPE.sub(lambda hit: chr(int(hit[1], 8)) if hit[1] else hit[2], text[1:-1])
    return text


def _decode_json(secret: Secret) -> object:
    """Return the JSON value, or ``_NOTHING``; cannot raise."""
    view = _tornado_view(secret)
    for decoders in ((), (_percent,), (_base64,), (_percent, _base64)):
        value = _load_json(view, *decoders)
        if isinstance(value, dict | list):
            return value
    # A quoted text is JSON itself: the quotes then belong to the string.
    value = _load_json(secret.reveal())
    return _load_json(view) if value is _NOTHING else value


def _decode_jwt(secret: Secret) -> dict[str, Any] | None:
    """Return the claims, or None; cannot raise."""
    match _tornado_view(secret).split("."):
        case [header, payload, _signature]:  # an encrypted JWT (RFC 7516) has five parts
            claims = _load_json(payload, _base64)
            if isinstance(claims, dict) and isinstance(_load_json(header, _base64), dict):
                return claims
    return None


def _load_json(text: str, *decoders: Callable[[str], str]) -> object:
    """Return the JSON value after decoding, or ``_NOTHING``; cannot raise."""
    try:
        for decode in decoders:
            text = decode(text)
        return json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        return _NOTHING


def _refuse_constant(name: str) -> NoReturn:
    """Refuse NaN and Infinity, which Python accepts but JSON does not have."""
    raise ValueError(name)


def _percent(text: str) -> str:
    """Decode percent-encoding; raise ValueError if the result is not UTF-8."""
    return unquote(text, errors="strict")


def _base64(text: str) -> str:
    """Decode base64 in either alphabet; raise ValueError if it is not base64 of UTF-8."""
    digits = text.replace("-", "+").replace("_", "/").rstrip("=")
    return base64.b64decode(digits + "=" * (-len(digits) % 4), validate=True).decode("utf-8")


def _name_for_display(name: str) -> str:
    """Return the name for display: escaped, and short enough for one line."""
    return repr(name if len(name) <= _SHOWN_CHARS else name[: _SHOWN_CHARS - 1] + "…")


def _refusal(name: str, reason: str, text: str) -> CookieError:
    """Return the error for the cookie of this name."""
    error = CookieUnavailable if reason == "withheld" else CookieError
    return error(f"the cookie {_name_for_display(name)} {text}", reason=reason)
