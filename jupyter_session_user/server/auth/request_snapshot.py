"""The parts of a request that the server keeps, to validate the login again later."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING, Any

from tornado.websocket import WebSocketHandler

from jupyter_session_user.upstream.tornado import cookies_being_set

if TYPE_CHECKING:
    from jupyter_server.base.handlers import JupyterHandler

__all__ = ["RequestSnapshot", "is_handshake", "snapshot_of", "snapshot_to_keep"]

#: Browsers send less; Tornado accepts 64 KiB. In characters.
_MAX_HEADERS = 16_384


@dataclass(frozen=True, slots=True)
class RequestSnapshot:
    """The parts of a request that are needed to ask the authority about it again.

    Attributes:
        uri: Path and query.
        headers: The headers as received.
        remote_ip: The address according to Tornado, which may come from a proxy's header.
        protocol: ``http`` or ``https``.
        version: HTTP version.
        context: The connection's context, which holds the peer's address.
    """

    uri: str = field(repr=False)
    headers: Any = field(repr=False)
    remote_ip: str
    protocol: str
    version: str
    context: Any = field(repr=False)


def snapshot_of(handler: JupyterHandler) -> RequestSnapshot:
    """Return the parts of a request for asking the authority about it again."""
    request = handler.request
    return RequestSnapshot(
        uri=request.uri or "/",
        headers=_with_new_cookies(request.headers, cookies_being_set(handler)),
        remote_ip=request.remote_ip or "",
        protocol=request.protocol,
        version=request.version,
        context=getattr(request.connection, "context", None),
    )


def is_handshake(handler: Any) -> bool:
    """Tell whether a request opens a websocket (RFC 6455 section 4.1).

    A handler of websockets may answer plain HTTP as well: jupyter-server-proxy's does.
    """
    upgrade = handler.request.headers.get("Upgrade", "")
    return isinstance(handler, WebSocketHandler) and upgrade.lower() == "websocket"


def snapshot_to_keep(handler: JupyterHandler, *, given: bool) -> RequestSnapshot | None:
    """Return the same, or None for a request that need not be kept.

    Only logins with an open websocket are validated again, and a websocket's handshake is always
    kept. A client that has the server's token and keeps no cookies is a new login at each page.

    Args:
        handler: The request's handler.
        given: Whether the request had no login cookie, and its response sets one.
    """
    if is_handshake(handler):
        return snapshot_of(handler)
    size = sum(map(len, chain.from_iterable(handler.request.headers.get_all())))
    return None if given or size > _MAX_HEADERS else snapshot_of(handler)


def _with_new_cookies(headers: Any, morsels: Mapping[str, Any]) -> Any:
    """Return a request's headers as the browser would send them after this response.

    A provider may renew its cookie with each response, and soon refuse the previous one.
    """
    if not morsels:
        return headers
    pairs = [pair.strip() for line in headers.get_list("Cookie") for pair in line.split(";")]
    kept = [pair for pair in pairs if pair.partition("=")[0] not in morsels]
    new = [f"{name}={morsel.value}" for name, morsel in morsels.items() if morsel.value]
    renewed = headers.copy()
    renewed["Cookie"] = "; ".join([*kept, *new])
    return renewed
