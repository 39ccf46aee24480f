"""The user: the fields that the server's identity provider gave for the logged-in user.

The field names equal those of ``jupyter_server.auth.User``, plus groups, admin and claims. The
source of the identity and its expiry are in ``session``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

from jupyter_session_user.errors import RemoteProtocolError

__all__ = ["MAX_CLAIMS_CHARS", "User", "trim_claims"]

#: Every message carries the claims; 8 KiB of JSON is far above what a Hub or OIDC provider sends.
MAX_CLAIMS_CHARS = 8 * 1024  # characters of JSON text

_TEXT = ("name", "display_name")
_OPTIONAL_TEXT = ("initials", "avatar_url", "color")

#: Addresses on the page's own server, or with TLS. ``//`` and ``/\\`` start another host, and so
#: does ``/<tab>/``, since browsers drop tabs and line breaks (URL Standard, 4.4).
_PICTURE = re.compile(r"(?:https://[^/?#\s\\]|/(?![/\\]))[^\s\\\x00-\x1f\x7f]*", re.IGNORECASE)


class _Claims(dict[str, Any]):
    """A dict that refuses changes.

    ``dataclasses.asdict`` and ``json.dumps`` take it, and a ``MappingProxyType`` they do not.
    """

    __slots__ = ()

    def _refuse(self, *args: object, **kwargs: object) -> NoReturn:
        """Refuse a change.

        Raises:
            TypeError: Always.
        """
        del args, kwargs
        raise TypeError("claims are read-only: change a copy, dict(user.claims)")

    __setitem__ = __delitem__ = __ior__ = _refuse
    clear = pop = popitem = setdefault = update = _refuse

    def __reduce__(self) -> tuple[Any, ...]:
        """Copy and pickle by value; the default would add one item after the other."""
        return _Claims, (dict(self),)


_NO_CLAIMS: Mapping[str, Any] = _Claims()


@dataclass(frozen=True, slots=True, repr=False)
class User:
    """One user, as the server knows them.

    Attributes:
        username: Unique name of the account; never empty.
        name: The user's full name; the username if the provider gave none.
        display_name: Shorter name for display; ``name`` if the provider gave none.
        initials: A few letters for a round badge, or None.
        avatar_url: Address of a picture, or None.
        color: A CSS colour, or None.
        groups: Names of the user's groups, according to the provider.
        admin: Whether the server treats this user as an administrator.
        is_anonymous: True if Jupyter generated the username (token, password, no login).
        claims: All other fields of the provider's user, JSON values only, read-only.
    """

    username: str
    name: str = ""
    display_name: str = ""
    initials: str | None = None
    avatar_url: str | None = None
    color: str | None = None
    groups: tuple[str, ...] = ()
    admin: bool = False
    is_anonymous: bool = False
    claims: Mapping[str, Any] = field(default_factory=lambda: _NO_CLAIMS, compare=False)

    def __post_init__(self) -> None:
        """Derive missing names, as ``jupyter_server.auth.User`` does."""
        if not self.username:
            raise ValueError("username must not be empty")
        object.__setattr__(self, "name", self.name or self.username)
        object.__setattr__(self, "display_name", self.display_name or self.name)
        if self.claims is not _NO_CLAIMS:
            object.__setattr__(self, "claims", _Claims(self.claims))

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle by value, in the format of :meth:`to_wire`."""
        return User.from_wire, (self.to_wire(),)

    def __repr__(self) -> str:
        """Return all fields without defaults, except claims, which may be long."""
        shown = {k: v for k, v in self.to_wire().items() if k != "claims"}
        return f"User({', '.join(f'{key}={value!r}' for key, value in shown.items())})"

    def __str__(self) -> str:
        """Return the name for display."""
        return self.display_name

    def to_wire(self) -> dict[str, Any]:
        """Return a JSON object without the fields that have their default."""
        wire: dict[str, Any] = {"username": self.username}
        if self.name != self.username:
            wire["name"] = self.name
        if self.display_name != self.name:
            wire["display_name"] = self.display_name
        for key in (*_OPTIONAL_TEXT, "admin", "is_anonymous"):
            if value := getattr(self, key):
                wire[key] = value
        if self.groups:
            wire["groups"] = list(self.groups)
        if self.claims:
            wire["claims"] = dict(self.claims)
        return wire

    @classmethod
    def from_wire(cls, wire: object) -> User:
        """Read the output of :meth:`to_wire`.

        Raises:
            RemoteProtocolError: ``wire`` is not such an object.
        """
        username = wire.get("username") if isinstance(wire, dict) else None
        if not isinstance(wire, dict) or not isinstance(username, str) or not username:
            raise RemoteProtocolError("user: no username")
        _check(all(isinstance(wire.get(key, ""), str) for key in _TEXT), "names")
        _check(all(isinstance(wire.get(key), str | None) for key in _OPTIONAL_TEXT), "badge")
        groups = wire.get("groups", [])
        _check(isinstance(groups, list) and all(isinstance(g, str) for g in groups), "groups")
        claims = wire.get("claims", {})
        _check(isinstance(claims, dict), "claims")
        return cls(
            username=username,
            groups=tuple(groups),
            admin=wire.get("admin") is True,
            is_anonymous=wire.get("is_anonymous") is True,
            claims=claims or _NO_CLAIMS,
            name=wire.get("name", ""),
            display_name=wire.get("display_name", ""),
            initials=wire.get("initials"),
            avatar_url=wire.get("avatar_url"),
            color=wire.get("color"),
        )

    def to_dict(self) -> dict[str, Any]:
        """Return every field, with the claims: JSON values only, for ``json.dumps``.

        >>> User("alice", groups=("finance",)).to_dict()["groups"]
        ['finance']
        """
        return {**self.public_model(), "claims": dict(self.claims)}

    def public_model(self) -> dict[str, Any]:
        """Return every field except the claims, for REST replies."""
        return {
            "username": self.username,
            "name": self.name,
            "display_name": self.display_name,
            "initials": self.initials,
            "avatar_url": self.avatar_url,
            "color": self.color,
            "groups": list(self.groups),
            "admin": self.admin,
            "is_anonymous": self.is_anonymous,
        }

    def badge_letters(self) -> str:
        """Return the initials, or up to two letters of the display name."""
        if self.initials:
            return self.initials[:3]
        words = self.display_name.split() or ["?"]
        picked = words[0][0] if len(words) == 1 else words[0][0] + words[-1][0]
        return picked.upper()[:2]  # one letter may have two capitals

    def _repr_html_(self) -> str:
        """Return a badge and the name, escaped, and readable in light and dark themes."""
        from html import escape  # noqa: PLC0415 - only a picture needs it

        note = " · anonymous" if self.is_anonymous else ""
        groups = f" · {', '.join(self.groups)}" if self.groups else ""
        small = escape(f"{self.username}{groups}{note}")
        return (
            '<span style="display:inline-flex;align-items:center;gap:.6em;padding-left:5px">'
            f"{self._badge_html()}<span><b>{escape(self.display_name)}</b><br>"
            f'<span style="opacity:.75;font-size:90%">{small}</span></span></span>'
        )

    def _badge_html(self) -> str:
        from html import escape  # noqa: PLC0415 - only a picture needs it

        from jupyter_session_user.core.colors import color_of, letters_on  # noqa: PLC0415 - the same

        color = color_of(self.username, self.color)
        disc = "width:2.4em;height:2.4em;border-radius:50%;flex:none;"
        if self.avatar_url and _PICTURE.fullmatch(self.avatar_url):
            return (  # another host should not learn the address of this notebook
                f'<img alt="" referrerpolicy="no-referrer" src="{escape(self.avatar_url)}" '
                f'style="{disc}object-fit:cover">'
            )
        return (
            f'<span aria-hidden="true" style="{disc}display:inline-flex;align-items:center;'
            f"justify-content:center;color:{letters_on(color)};font-weight:600;"
            f'background:{color}">{escape(self.badge_letters())}</span>'
        )


def trim_claims(claims: Mapping[str, object]) -> dict[str, Any]:
    """Return the ``claims`` that are JSON values, up to the size limit.

    Args:
        claims: Additional fields of the provider's user, of any type.

    Returns:
        A JSON object of at most :data:`MAX_CLAIMS_CHARS` characters.
    """
    kept: dict[str, Any] = {}
    budget = MAX_CLAIMS_CHARS
    for key, value in claims.items():
        text = _as_json({key: value})  # its braces stand for the comma and the space
        if text is not None and len(text) <= budget:
            kept.update(json.loads(text))
            budget -= len(text)
    return kept


def _as_json(value: object) -> str | None:
    try:
        return json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return None


def _check(holds: object, what: str) -> None:
    if not holds:
        raise RemoteProtocolError(f"user: malformed {what}")
