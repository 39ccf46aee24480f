"""What the ASGI and the WSGI middleware share: whom a request names, and for how long it counts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Any

from jupyter_session_user.core.user import User
from jupyter_session_user.errors import ConfigurationError, IdentityUnavailable
from jupyter_session_user.hosts.base import HostRequest, HostSession, Visitor
from jupyter_session_user.kernel import parent

__all__ = [
    "Served",
    "TrustedHeader",
    "as_user",
    "read_user",
    "serving",
    "user_of_framework",
    "visitor_of",
]

_ANY_PEER = "*"
_MAX_USERNAME = 256  # characters; a longer one is no account's name


class Served:
    """One request that is being served. It counts until it is over, and no longer.

    A ContextVar is copied into every task and thread that begins meanwhile, and lives on there.

    Args:
        source: The host's name.
        named: Tells whom the request names, and whether somebody checked that; it may answer
            anew as long as it names nobody.
        request: Makes what came with it, once somebody asks.

    Attributes:
        live: Whether the request is still being served.
    """

    __slots__ = ("_named", "_request", "_source", "_user", "_visitor", "live")

    def __init__(
        self,
        source: str,
        named: Callable[[], tuple[User | None, bool]],
        request: Callable[[], HostRequest],
    ) -> None:
        self.live = True
        self._source = source
        self._named = named
        self._request: Callable[[], HostRequest] | HostRequest = request
        self._user: User | None = None
        self._visitor: Visitor | None = None

    def session(self) -> HostSession | None:
        """Return the session of whoever made the request; None once it is over."""
        if not self.live:
            return None
        if self._user is None:
            self._ask()
        return None if self._visitor is None else self._visitor.session()

    def _ask(self) -> None:
        user, verified = self._named()
        if self._visitor is not None and user is None:
            return
        if not isinstance(self._request, HostRequest):
            self._request = self._request()
        self._user = user
        self._visitor = visitor_of(self._source, user, self._request, verified=verified)


@contextmanager
def serving(variable: ContextVar[Served | None], served: Served | None) -> Iterator[None]:
    """Let this code belong to a request, or to none, for the block.

    Explicit bindings that are open outside do not reach in, nor out those that the app forgets.
    """
    tokens = [(variable, variable.set(served)), (parent.binding, parent.binding.set(None))]
    try:
        yield
    finally:
        for changed, token in tokens:
            with suppress(ValueError):  # a server may end a request in another context
                changed.reset(token)


def visitor_of(
    source: str, user: User | None, request: HostRequest, *, verified: bool, stranger: str = ""
) -> Visitor:
    """Return the visitor of a host that has no sessions of its own, but only requests.

    The session of somebody with a name is the same one in all requests. Strangers are never
    taken for one another, even if their browsers send the same cookies.

    Args:
        source: The host's name.
        user: Whom the host named; None if nobody.
        request: What came with the request.
        verified: Whether the host authenticated that person.
        stranger: What tells somebody without a name from others; empty for each request its own.
    """
    visitor = Visitor(source, user, verified=verified, request=request, key="named")
    if visitor.session().user.is_anonymous and user is None:
        visitor = Visitor(source, None, verified=False, request=request, key=stranger)
    return visitor


def as_user(answer: object) -> User | None:
    """Return whom an app's own function named: a username, a User, or nobody.

    Raises:
        ConfigurationError: It is something else.
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


def user_of_framework(found: object) -> User | None:
    """Return the person that an authentication middleware of the framework has put there.

    ``username``, else ``identity``, as Starlette, Django and marimo have them; a dict will do.

    Raises:
        IdentityUnavailable: Somebody is authenticated, and there is no name to call them by.
    """
    if found is None or isinstance(found, User):
        return found
    if not read_user(found, "is_authenticated"):
        return None
    name = next(filter(None, (read_user(found, key) for key in ("username", "identity"))), None)
    if not isinstance(name, str):
        raise IdentityUnavailable(
            f"Somebody is authenticated, and the {type(found).__name__} that says so has neither "
            "username nor identity. Pass user= to SessionUserMiddleware.",
            reason="unsupported_host",
        )
    shown = read_user(found, "display_name")
    return User(name, shown if isinstance(shown, str) else "")


def read_user(found: Any, key: str) -> Any:
    """Return what a framework's user, an object or a dict, says of something; None if nothing."""
    if isinstance(found, dict):
        return found.get(key)
    with suppress(NotImplementedError):  # what Starlette's BaseUser raises for what is not there
        return getattr(found, key, None)
    return None


class TrustedHeader:
    """A header in which a proxy says who is there.

    Args:
        name: Of the header.
        proxies: Addresses or networks of the proxies; ``*`` where nobody else can connect.

    Raises:
        ConfigurationError: There is no proxy, or something that is no network.
    """

    def __init__(self, name: str, proxies: Sequence[str]) -> None:
        if not proxies or isinstance(proxies, str):
            raise ConfigurationError(
                f"trusted_header={name!r} needs trusted_proxies: list the addresses of the proxies "
                "that set the header and take a visitor's own out, such as ['10.0.0.0/8'], or "
                "['*'] where nobody else can connect"
            )
        self.name = name.lower()
        self._any = _ANY_PEER in proxies
        self._networks = [_network(proxy) for proxy in proxies if proxy != _ANY_PEER]

    def user(self, peer: str | None, values: Iterable[str]) -> User | None:
        """Return whom the header names; nobody if it came twice, or from somewhere else."""
        found = list(values)
        if len(found) != 1 or not self._trusts(peer):
            return None
        name = found[0].strip()
        return User(name) if 0 < len(name) <= _MAX_USERNAME else None

    def _trusts(self, peer: str | None) -> bool:
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
