"""Shared by the ASGI and WSGI middleware: the user of a request, and the request's lifetime."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from contextvars import ContextVar
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Any

from jupyter_session_user.core.user import User
from jupyter_session_user.core.usernames import is_username
from jupyter_session_user.errors import ConfigurationError, IdentityUnavailable
from jupyter_session_user.hosts.base import HostRequest, HostSession, Visitor
from jupyter_session_user.kernel import message_context
from jupyter_session_user.kernel.diagnose import unavailable
from jupyter_session_user.kernel.made_up import SOURCE

__all__ = [
    "META",
    "Served",
    "TrustedHeader",
    "as_user",
    "named_in_meta",
    "read_user",
    "serving",
    "user_of_framework",
    "visitor_of",
]

#: The key of ``scope["meta"]`` under which the ASGI middleware leaves the current user, for a
#: mounted app that runs its code elsewhere: marimo passes "meta" on to its kernels. A client cannot
#: write there.
META = "jupyter_session_user"

_ANY_PEER = "*"


class Served:
    """One request. It counts only while it is being served.

    A ContextVar is copied into every task and thread that begins meanwhile, and lives on there.

    Args:
        source: The host's name.
        named: Returns the request's user, and whether the name was checked. It may be called again
            as long as it returns no user.
        request: Makes the cookies and headers, on first use.
        anonymous_key: Tells anonymous visitors apart; empty to give each request its own visitor.
        authenticates: Tells whether the app may name this visitor; it may be called again, because
            an inner middleware may do so later. Otherwise the environment may make up a user.

    Attributes:
        live: Whether the request is still being served.
    """

    __slots__ = (
        *(
            "_authenticates",
            "_open",
            "_named",
            "_process",
            "_request",
            "_source",
            "_anonymous_key",
            "_user",
            "_visitor",
        ),
        "live",
    )

    def __init__(
        self,
        source: str,
        named: Callable[[], tuple[User | None, bool]],
        request: Callable[[], HostRequest],
        *,
        anonymous_key: str = "",
        authenticates: Callable[[], bool] = lambda: True,
    ) -> None:
        self._anonymous_key = anonymous_key
        self._authenticates = authenticates
        self._open = False
        self.live = True
        self._process = message_context.process
        self._source = source
        self._named = named
        self._request: Callable[[], HostRequest] | HostRequest = request
        self._user: User | None = None
        self._visitor: Visitor | None = None

    def session(self) -> HostSession | None:
        """Return the session of the request's user; None once the request is over.

        Raises:
            IdentityUnavailable: This is a forked child of the process that serves the request.
        """
        if not self.live:
            return None
        if self._process is not message_context.process:
            raise unavailable("forked_process")
        if self._user is None:
            self._ask()
        return None if self._visitor is None else self._visitor.session()

    def forget(self) -> None:
        """Discard the cached user: the request names another user now."""
        self._user = self._visitor = None

    def _ask(self) -> None:
        try:
            user, verified = self._named()
        except IdentityUnavailable:
            if self._visitor is None:
                raise
            return  # anonymous until now, and no other source exists
        is_open = not self._authenticates()
        if self._visitor is not None and user is None and is_open is self._open:
            return
        self._open = is_open
        if not isinstance(self._request, HostRequest):
            self._request = self._request()
        self._user = user
        self._visitor = visitor_of(
            self._source,
            user,
            self._request,
            verified=verified,
            anonymous_key=self._anonymous_key,
            authenticates=not is_open,
        )


def serving(
    variable: ContextVar[Served | None], served: Served | None
) -> AbstractContextManager[None]:
    """Attach this code to a request, or to none, for the block.

    The innermost request wins: a kernel's message or an explicit binding outside does not apply
    inside, and a binding that the app leaves open does not apply outside.
    """
    none = [(other, None) for other in message_context.of_kernel]
    return message_context.holding([*none, (variable, served)])


def visitor_of(
    source: str,
    user: User | None,
    request: HostRequest,
    *,
    verified: bool,
    anonymous_key: str = "",
    authenticates: bool = True,
) -> Visitor:
    """Return the visitor of a host that has no sessions of its own, but only requests.

    A named user has the same session in all requests. Anonymous visitors are never merged, even if
    their browsers send the same cookies.

    Args:
        source: The host's name.
        user: The user that the host named; None for an anonymous visitor.
        request: The cookies and headers of the request.
        verified: Whether the host authenticated that user.
        anonymous_key: Tells anonymous visitors apart; empty to give each request its own visitor.
        authenticates: Whether the app may name its visitors; see :class:`Visitor`.
    """
    fields: dict[str, Any] = {"request": request, "authenticates": authenticates}
    visitor = Visitor(source, user, verified=verified, key="named", **fields)
    session = visitor.session()
    if user is None and (session.user.is_anonymous or session.source == SOURCE):
        visitor = Visitor(source, None, verified=False, key=anonymous_key, **fields)
    return visitor


def as_user(answer: object) -> User | None:
    """Return the user of an app's own function: from a username, a User, or None.

    Raises:
        ConfigurationError: The value has another type.
    """
    if answer is None or answer == "":
        return None
    if isinstance(answer, User):
        return answer
    if isinstance(answer, str):
        return User(answer)
    raise ConfigurationError(
        f"user= of the middleware returned a {type(answer).__name__}; let it return a username, "
        "a User, or None"
    )


def named_in_meta(meta: Mapping[str, Any] | None) -> tuple[User | None, bool] | None:
    """Return the user that our ASGI middleware left in ``scope["meta"]``; None without it.

    The user is None for an anonymous visitor; the flag says whether the name was checked.
    """
    ours = (meta or {}).get(META)
    if ours is None:
        return None
    return None if ours["user"] is None else User.from_wire(ours["user"]), ours["verified"] is True


def user_of_framework(found: object) -> User | None:
    """Return the user that an authentication middleware of the framework has set.

    The name is ``username``, else ``identity``, as in Starlette, Django and marimo; a dict also
    works.

    Raises:
        IdentityUnavailable: The user is authenticated, but has no name.
    """
    if found is None or isinstance(found, User):
        return found
    if not read_user(found, "is_authenticated"):
        return None
    name = next(filter(None, (read_user(found, key) for key in ("username", "identity"))), None)
    if not isinstance(name, str):
        raise IdentityUnavailable(
            f"The request is authenticated, but its user, a {type(found).__name__}, has neither "
            "username nor identity. Pass user= to SessionUserMiddleware.",
            reason="unsupported_host",
        )
    shown = read_user(found, "display_name")
    return User(name, shown if isinstance(shown, str) else "")


def read_user(found: Any, key: str) -> Any:
    """Return a field of a framework's user, which is an object or a dict; None without it."""
    if isinstance(found, dict):
        return found.get(key)
    with suppress(NotImplementedError):  # Starlette's BaseUser raises it for a missing attribute
        return getattr(found, key, None)
    return None


class TrustedHeader:
    """A header in which a proxy names the user.

    Args:
        name: The name of the header.
        proxies: Addresses or networks of the proxies; ``*`` if only the proxy can connect.

    Raises:
        ConfigurationError: The list is empty, or an entry is not a network.
    """

    def __init__(self, name: str, proxies: Sequence[str]) -> None:
        if not proxies or isinstance(proxies, str):
            raise ConfigurationError(
                f"trusted_header={name!r} needs trusted_proxies: list the addresses of the proxies "
                "that set the header and take a visitor's own out, such as ['10.0.0.0/8'], or "
                "['*'] if no other client can connect"
            )
        self.name = name.lower()
        self._any = _ANY_PEER in proxies
        self._networks = [_network(proxy) for proxy in proxies if proxy != _ANY_PEER]

    def user(self, peer: str | None, values: Iterable[str]) -> User | None:
        """Return the user that the header names; None if it came twice, or from another peer.

        Args:
            peer: The address that the request came from; None without one.
            values: Of all headers of this name, each character a byte (PEP 3333).
        """
        found = list(values)
        if len(found) != 1 or not self.trusts(peer):
            return None
        try:
            name = found[0].encode("latin-1").decode("utf-8").strip()  # the encoding of proxies
        except UnicodeError:
            return None
        return User(name) if is_username(name) else None

    def trusts(self, peer: str | None) -> bool:
        """Return whether a header from this address counts."""
        if self._any:
            return True
        try:
            address = ip_address(peer or "")
        except ValueError:  # a Unix socket has no address
            return False
        return any(address in network for network in self._networks)


def _network(text: str) -> IPv4Network | IPv6Network:
    try:
        return ip_network(text)
    except ValueError:
        raise ConfigurationError(
            f"trusted_proxies: {text!r} is no address and no network; write '10.0.0.0/8' or '*'"
        ) from None
