"""The cookies of a request, recorded as they came and read without guessing.

Rules of this file:
- a name that came twice has no value: which of the two is meant depends on paths and domains
  that the browser does not send (RFC 6265bis, 5.8.3), and parsers choose differently;
- nothing is lost in silence: what a cap cut off raises when it is asked for;
- values are in a :class:`Secret` in every frame that can raise, and decoders report failure by
  a return value: a traceback shows local variables, and ``JSONDecodeError`` keeps the text;
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

# What str.strip() removes of ASCII, and so what Tornado does. Not str.strip() itself, which
# also takes U+00A0 and U+0085: these are bytes of UTF-8 here, "à" ends in one.
_BLANKS = " \t\n\v\f\r\x1c\x1d\x1e\x1f"

# Escapes in a quoted value, as Tornado and Python 3.13 read them. One pass of re.sub is linear.
_ESCAPE = re.compile(r"\\(?:([0-3][0-7][0-7])|(.))")

_SHOWN_NAMES = 10
_SHOWN_CHARS = 40

# Stands for "not decodable", where None is a value that JSON can have.
_NOTHING: Final = object()

# What is wrong with a cookie, after its name. Where there is a fix, it stands last.
_AMBIGUOUS = "came several times, and the browser does not say which is meant; see .pairs()"
_TOO_LARGE = "was too large to be kept; store less in it, or raise the server's limit"
_TOO_MANY = "may be among those that were cut off; delete some, or raise the server's limit"
_NO_JSON = "holds no JSON: neither plain, nor URL-encoded, nor in base64"
_NO_JWT = "holds no JWT in compact form"
_NO_SERVER = "cannot be verified here: there is no Jupyter server to ask"
_WITHHELD = (
    "is a login credential, which does not go to kernels; if a person's own kernel must have it, "
    "remove its pattern from c.JupyterSessionUser.credential_cookies, or if all kernels must, "
    "add it to c.JupyterSessionUser.share_cookies"
)
_NOT_SHARED = (
    "is not sent to this kernel, which belongs to somebody else, whether the browser has it or "
    "not; if everybody's may go to all kernels, add it to c.JupyterSessionUser.share_cookies"
)


@dataclass(frozen=True, slots=True)
class CookieLimits:
    """How much of a request's cookies is kept.

    Attributes:
        header_chars: Length of all Cookie headers together, in octets (one character each).
            Tornado takes 64 KiB for all headers of a request, so more comes only where the
            administrator raised that.
        cookies: How many. Browsers keep 180 or fewer for a site, and several sites can share
            a host's cookies through a parent domain.
        value_chars: Length of one value, in octets. RFC 6265bis, 5.6, has browsers drop 4096
            and more; proxies and tests send what they want.
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
        value: Empty if it was too large.
        too_large: Whether the value was longer than the limit and is gone.
    """

    name: str
    value: Secret
    too_large: bool = False


@dataclass(frozen=True, slots=True)
class CookieJar:
    """The cookies of one browser, as far as one side may know them.

    Attributes:
        cookies: In the order in which they came, with names that came twice.
        withheld: Names of those that the policy keeps from kernels.
        shared: Whether the kernel belongs to somebody else, so that a cookie that is missing
            may exist in the browser.
        too_many: Whether a limit cut cookies off, so that one that is missing may have come.
    """

    cookies: tuple[RawCookie, ...] = ()
    withheld: frozenset[str] = frozenset()
    shared: bool = False
    too_many: bool = False


def parse_cookie_headers(
    headers: Sequence[str], limits: CookieLimits = DEFAULT_LIMITS
) -> CookieJar:
    """Split Cookie headers into names and values; never raises.

    Several headers are one list joined by ``"; "`` (RFC 9113, 8.2.3). Chunks are split as by
    Tornado's ``parse_cookie``, so that names are those of ``handler.get_cookie``.

    Args:
        headers: Values of all Cookie headers: octets decoded as latin-1, as Tornado has them.
        limits: What is too much. Headers that are too long together give an empty jar: a part
            of them could hide the second cookie of a name.

    Returns:
        The cookies, with values that are too long dropped and marked; the flag ``too_many``
        where not all were kept.
    """
    joined = "; ".join(headers)
    if len(joined) > limits.header_chars:
        return CookieJar(too_many=True)
    pairs = [pair for pair in map(_split, joined.split(";")) if pair != ("", "")]
    cookies = tuple(_record(name, value, limits.value_chars) for name, value in pairs)
    return CookieJar(_keep(cookies, limits.cookies), too_many=len(cookies) > limits.cookies)


def _split(chunk: str) -> tuple[str, str]:
    """Return name and value; the name is empty where there is no ``=``, as browsers do."""
    name, _, value = (chunk if "=" in chunk else f"={chunk}").partition("=")
    return name.strip(_BLANKS), value.strip(_BLANKS)


def _record(name: str, value: str, limit: int) -> RawCookie:
    """Return the cookie, without its value where that is longer than the limit."""
    too_large = len(value) > limit
    return RawCookie(_repair(name), Secret("" if too_large else _repair(value)), too_large)


def _repair(text: str) -> str:
    """Return the UTF-8 that the octets spell, or the text as it is."""
    try:
        return text.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return text


def _keep(cookies: tuple[RawCookie, ...], limit: int) -> tuple[RawCookie, ...]:
    """Return the first cookies, and one empty mark for each name that came again later.

    Without the marks, filling up the list would make a name look unambiguous.
    """
    kept, rest = cookies[:limit], cookies[limit:]
    again = {cookie.name for cookie in kept} & {cookie.name for cookie in rest}
    return kept + tuple(RawCookie(name, Secret(""), too_large=True) for name in sorted(again))


def cookies_to_wire(jar: CookieJar) -> dict[str, Any]:
    """Return the jar as JSON, for the comm; it holds the values in clear."""
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
    """Read what :func:`cookies_to_wire` wrote; keys that it does not know are ignored.

    Raises:
        RemoteProtocolError: ``wire`` is not such an object.
    """
    jar = _read_jar(wire)
    if jar is None:
        del wire  # a traceback shows local variables
        raise RemoteProtocolError("cookies: not an object of cookies, withheld, shared, too_many")
    return jar


def _read_jar(wire: object) -> CookieJar | None:
    """Return the jar, or None if it is malformed."""
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

    A value is what Tornado's ``handler.get_cookie`` gives: quotes and escapes are undone. A
    cookie that is there and cannot be given raises :class:`CookieError`, from ``get`` and its
    default too; only one that the browser did not send counts as missing. Iteration and ``in``
    go by the names that are here, readable or not; :attr:`withheld` has those that are not.

    Nothing but the accessors shows a value: not the repr, not a pickle, not a traceback.

    Args:
        jar: What this process may know.
        signed: Asks the server for the signed cookie of this name, not older than so many
            days; None where there is no server to ask.
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

        Always empty in a kernel that belongs to somebody else.
        """
        return self._jar.withheld

    def __getitem__(self, name: str) -> str:
        """Return the value, as Tornado reads it.

        Raises:
            CookieUnavailable: The policy keeps it back, or may do so. It is a KeyError.
            CookieError: It came twice, or was too large, or may have been cut off.
            KeyError: The browser did not send it.
        """
        return _tornado_view(self._get(name))

    @overload
    def get(self, name: str, /) -> str | None: ...
    @overload
    def get(self, name: str, /, default: str | _T) -> str | _T: ...
    def get(self, name: str, /, default: object = None) -> object:
        """Return the value, as Tornado reads it, or the default if the browser sent none.

        Raises:
            CookieUnavailable: The policy keeps it back, or may do so.
            CookieError: It came twice, or was too large, or may have been cut off.
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
        """Return all names and raw values in the order in which they came.

        Names that came twice are there twice. Values that were too large are not there.
        """
        kept = (cookie for cookie in self._jar.cookies if not cookie.too_large)
        return tuple((cookie.name, cookie.value.reveal()) for cookie in kept)

    def is_ambiguous(self, name: str) -> bool:
        """Tell whether the name came more than once, so that reading it raises."""
        return len(self._by_name.get(name, ())) > 1

    def get_json(self, name: str) -> Any:
        """Return the decoded value of a cookie that holds JSON (RFC 8259).

        Plain, URL-encoded and base64 JSON are understood, the latter in both alphabets, with
        or without padding (RFC 4648). A number or a string counts only if it is plain JSON:
        almost any text is base64 of something.

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

        Neither signature nor expiry is looked at. Whoever can set a cookie in this browser can
        write such claims: show them, and decide nothing by them.

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
            name: Of the cookie.
            max_age_days: How long ago it may have been signed, in days. The default is that of
                Tornado's ``get_signed_cookie``.

        Returns:
            The value; None if the browser sent none, or its signature is wrong or too old.

        Raises:
            CookieUnavailable: The policy keeps it back, or may do so.
            CookieError: As for ``cookies[name]``; ``undecodable`` if there is no server to ask.
        """
        if self._find(name) is None:
            return None
        if self._signed is None:
            raise _refusal(name, "undecodable", _NO_SERVER)
        return self._signed(name, max_age_days)

    def values(self) -> ValuesView[str]:
        """Return a view of the values; going through it raises at one that cannot be read."""
        return _Values(self)

    def __iter__(self) -> Iterator[str]:
        """Go through the names, each once."""
        return iter(self._by_name)

    def __len__(self) -> int:
        """Return how many names there are."""
        return len(self._by_name)

    def __contains__(self, name: object) -> bool:
        """Tell whether such a cookie is here, readable or not."""
        return name in self._by_name

    def __repr__(self) -> str:
        """Return the names, which may be hostile: escaped, short and few."""
        plural = "" if len(self) == 1 else "s"
        shown = [_shown(name) for name in islice(self, _SHOWN_NAMES)]
        shown += ["…"] * (len(self) > _SHOWN_NAMES)
        names = f" ({', '.join(shown)})" if shown else ""
        withheld = f", {len(self.withheld)} withheld" if self.withheld else ""
        cut = ", others cut off" if self._jar.too_many else ""
        shared = ", only those shared with other people's kernels" if self._jar.shared else ""
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
    """A view whose ``in`` keeps no value in a frame while it reads the next one."""

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
    # A quoted text is JSON as it stands: the quotes are then the string's own.
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
    """Return the JSON value that is left after decoding, or ``_NOTHING``; cannot raise."""
    try:
        for decode in decoders:
            text = decode(text)
        return json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        return _NOTHING


def _refuse_constant(name: str) -> NoReturn:
    """Refuse NaN and Infinity, which Python adds to JSON."""
    raise ValueError(name)


def _percent(text: str) -> str:
    """Undo percent-encoding; a ValueError if that does not give UTF-8."""
    return unquote(text, errors="strict")


def _base64(text: str) -> str:
    """Undo base64 in either alphabet; a ValueError if it is none, or not of UTF-8."""
    digits = text.replace("-", "+").replace("_", "/").rstrip("=")
    return base64.b64decode(digits + "=" * (-len(digits) % 4), validate=True).decode("utf-8")


def _shown(name: str) -> str:
    """Return the name for a person: escaped, and not longer than a line can take."""
    return repr(name if len(name) <= _SHOWN_CHARS else name[: _SHOWN_CHARS - 1] + "…")


def _refusal(name: str, reason: str, text: str) -> CookieError:
    """Return the error that says what is wrong with the cookie of this name."""
    error = CookieUnavailable if reason == "withheld" else CookieError
    return error(f"the cookie {_shown(name)} {text}", reason=reason)
