"""The address from which a request really came.

``request.remote_ip`` is another one with ``trust_xheaders``: what ``X-Forwarded-For`` says.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Sequence
from typing import Any

__all__ = ["UNIX", "Network", "Peer", "is_in", "peer_of"]

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Peer = ipaddress.IPv4Address | ipaddress.IPv6Address | str | None

#: The peer of a request that came over a Unix socket.
UNIX = "unix"


def peer_of(request: Any) -> Peer:
    """Return the other end of a request's connection; None if it is unknown.

    An IPv4 client of a server that listens on IPv6 counts by its IPv4 address.
    """
    context = getattr(request.connection, "context", None)
    address = getattr(context, "address", None)
    if isinstance(address, tuple):
        peer = ipaddress.ip_address(address[0].partition("%")[0])
        return getattr(peer, "ipv4_mapped", None) or peer
    family = getattr(context, "address_family", None)
    return UNIX if family is not None and family == getattr(socket, "AF_UNIX", None) else None


def is_in(networks: Sequence[Network], peer: Peer) -> bool:
    """Tell whether an address is in one of the networks; a Unix socket is in none."""
    return not isinstance(peer, str | None) and any(peer in network for network in networks)
