"""Every error that the package raises on purpose.

SessionUserError
├── IdentityUnavailable        nobody can say who runs this code (``reason`` says why)
├── SessionExpired             the person is known, and the login's time is over (``state``)
│   └── SessionRevoked         ... because somebody revoked it, or the person signed out
├── AccessDenied               the person is known and is not allowed (``require_user``)
├── CookieError                a cookie is there and cannot be given (``reason`` says why)
│   └── CookieUnavailable      the server's policy keeps it back; also a ``KeyError``
├── ConfigurationError         a setting is wrong; the message ends with the fix
├── ProtocolError
│   ├── LocalProtocolError     our own caller broke the rules
│   └── RemoteProtocolError    the peer (browser, kernel, server) sent something malformed
└── RequestTimeout             the server did not answer a comm request in time

Each class has a stable ``code`` for programs; the text is for people, and holds no secret.
"""

from __future__ import annotations

from typing import ClassVar

__all__ = [
    "AccessDenied",
    "ConfigurationError",
    "CookieError",
    "CookieUnavailable",
    "IdentityUnavailable",
    "LocalProtocolError",
    "ProtocolError",
    "RemoteProtocolError",
    "RequestTimeout",
    "SessionExpired",
    "SessionRevoked",
    "SessionUserError",
]


class SessionUserError(Exception):
    """Base of all errors of this package.

    Attributes:
        code: Stable, machine-readable name of the error.
    """

    code: str = "session_user_error"


class IdentityUnavailable(SessionUserError):
    """Nobody can say for sure whose request runs this code, so no name is given.

    Attributes:
        reason: One of the words in :data:`REASONS`, stable for programs.
    """

    #: not_in_kernel: a plain script or terminal; headless: a notebook run without a server;
    #: server_without_extension: the server puts no stamps; direct_client: this message came
    #: past the server; no_context: a bare thread or executor; disagreement: a nested event
    #: loop, or two hosts that name different people; first_cell: the cell that installed the
    #: helper cannot be attributed; unknown_at_server: the server itself could not tell;
    #: malformed_stamp: see the text; unsupported_host: an app's framework has changed.
    REASONS: ClassVar[frozenset[str]] = frozenset(
        {
            "not_in_kernel",
            "headless",
            "server_without_extension",
            "direct_client",
            "no_context",
            "disagreement",
            "first_cell",
            "unknown_at_server",
            "malformed_stamp",
            "unsupported_host",
        }
    )

    def __init__(self, message: str, *, reason: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.code = f"identity_unavailable.{reason}"


class SessionExpired(SessionUserError):
    """The login behind this code is over; signing in again, and a new request, helps.

    Attributes:
        state: ``expired``, ``revoked`` or ``ended``, as in ``session.state``.
    """

    code = "session_expired"

    def __init__(self, message: str, *, state: str = "expired") -> None:
        super().__init__(message)
        self.state = state


class SessionRevoked(SessionExpired):
    """The login did not run out: somebody revoked it, or the person signed out."""

    code = "session_revoked"

    def __init__(self, message: str, *, state: str = "revoked") -> None:
        super().__init__(message, state=state)


class AccessDenied(SessionUserError, PermissionError):
    """The current user is known, and is not among those whom ``require_user`` lets in."""

    code = "access_denied"


class CookieError(SessionUserError):
    """A cookie cannot be given; the message names the cookie, never its value.

    Attributes:
        reason: ``ambiguous``, ``too_large``, ``too_many``, ``undecodable`` or ``withheld``.
    """

    def __init__(self, message: str, *, reason: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.code = f"cookie_{reason}"


class CookieUnavailable(CookieError, KeyError):
    """The server's policy does not give this cookie to this kernel."""

    def __str__(self) -> str:
        """Return the message itself; ``KeyError`` would put it into quotes."""
        return str(self.args[0])


class ConfigurationError(SessionUserError):
    """A setting cannot work; the message ends with the fix."""

    code = "configuration_error"


class ProtocolError(SessionUserError):
    """A message between browser, server and kernel breaks its format."""

    code = "protocol_error"


class LocalProtocolError(ProtocolError):
    """Our own side was asked to send something that the format does not allow."""

    code = "local_protocol_error"


class RemoteProtocolError(ProtocolError):
    """The other side sent something malformed."""

    code = "remote_protocol_error"


class RequestTimeout(SessionUserError, TimeoutError):
    """The server did not answer a request of the kernel within its deadline."""

    code = "request_timeout"
