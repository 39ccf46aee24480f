"""Every error that the package raises on purpose.

SessionUserError
├── IdentityUnavailable        the user of this code is not known (``reason`` says why)
├── SessionExpired             the user is known, and the login has ended (``state``)
│   └── SessionRevoked         ... because it was revoked, or the user signed out
├── AccessDenied               the user is known and is not allowed (``require_user``)
├── AccessTokenUnavailable     no access token of the institution (``reason`` says why)
├── ConsentRequired            ... until the user agrees, or logs in again (``login_url``)
├── CookieError                a cookie exists and cannot be returned (``reason`` says why)
│   └── CookieUnavailable      the server's policy withholds it; also a ``KeyError``
├── DatabaseUnavailable        no database connection for this code (``reason`` says why)
├── IdentityTokenUnavailable   no identity token for this code (``reason`` says why)
├── InvalidIdentityToken       a service refuses a token that it was sent (``reason`` says why)
├── ConfigurationError         a setting is wrong; the message ends with the fix
├── ProtocolError
│   ├── LocalProtocolError     our own caller broke the rules
│   │   └── WrongArgument      ... with an argument of a function; also a ``TypeError``
│   └── RemoteProtocolError    the peer (browser, kernel, server) sent something malformed
│       └── IgnoredMessage     ... that Jupyter ignores: the message is dropped
├── RequestTimeout             the server did not answer a comm request in time
└── StoreUnavailable           a change is in effect, but not saved for the next server start

SharedResultWarning            a cache keeps one visitor's result for all visitors (a UserWarning)

Each class has a stable ``code`` for programs. The text is for users, and contains no secret.
"""

from __future__ import annotations

from typing import ClassVar

__all__ = [
    "AccessDenied",
    "AccessTokenUnavailable",
    "ConfigurationError",
    "ConsentRequired",
    "CookieError",
    "CookieUnavailable",
    "DatabaseUnavailable",
    "IdentityTokenUnavailable",
    "IdentityUnavailable",
    "IgnoredMessage",
    "InvalidIdentityToken",
    "LocalProtocolError",
    "ProtocolError",
    "RemoteProtocolError",
    "RequestTimeout",
    "SessionExpired",
    "SessionRevoked",
    "SessionUserError",
    "SharedResultWarning",
    "StoreUnavailable",
    "WrongArgument",
]


class SessionUserError(Exception):
    """Base of all errors of this package.

    Attributes:
        code: Stable, machine-readable name of the error.
    """

    code: str = "session_user_error"


class IdentityUnavailable(SessionUserError):
    """The user of this code cannot be determined, so no name is returned.

    Attributes:
        reason: One of the words in :data:`REASONS`, stable for programs.
    """

    #: The meaning of each reason and its fix, as in docs/notebook.md.
    REASONS: ClassVar[dict[str, str]] = {
        "no_context": (
            "code that belongs to no request or visitor, such as a bare thread or "
            "executor: hand the identity over with bind_current_user"
        ),
        "first_cell": (
            "a thread, a task, a callback or a startup file (on ipykernel 6 also an async cell), "
            "before the kernel has handled a message after the import of the package: import it "
            "in a cell of its own"
        ),
        "disagreement": (
            "a nested event loop handled another user's message in the middle of "
            "this cell, or two hosts name different users: call get_current_user() at the "
            "start, or let one host authenticate"
        ),
        "forked_process": "a process that was forked from the kernel: pass the session",
        "finalizer": (
            "the garbage collector runs this code: call get_current_user() when the object is made"
        ),
        "debugger": (
            "a debugger evaluates this code in a frame that it has stopped: look at a "
            "variable of the frame"
        ),
        "not_in_kernel": "a plain script",
        "headless": "nbconvert, papermill, jupyter console: no server, no user",
        "server_without_extension": "pip install jupyter-session-user in the server's environment",
        "voila_not_enabled": (
            "standalone voila without this package: pip install jupyter-session-user in its "
            "environment, or, after disable, jupyter session-user enable voila"
        ),
        "direct_client": (
            "a message from a client that bypasses the server, such as jupyter console --existing"
        ),
        "unknown_at_server": "the server sent the message itself, outside any user's request",
        "malformed_stamp": (
            "the releases of jupyter-session-user in the server and in the kernel are "
            "incompatible: install the same release in both"
        ),
        "unsupported_host": (
            "the installed release of a framework is not supported: install "
            "the release of jupyter-session-user that the text names"
        ),
    }

    def __init__(self, message: str, *, reason: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.code = f"identity_unavailable.{reason}"


class SessionExpired(SessionUserError):
    """The login behind this code is over. To continue, log in again and send a new request.

    Attributes:
        state: ``expired``, ``revoked`` or ``signed_out``, as in ``session.state``.
    """

    code = "session_expired"

    def __init__(self, message: str, *, state: str = "expired") -> None:
        super().__init__(message)
        self.state = state


class SessionRevoked(SessionExpired):
    """The login was revoked, or the user signed out; it did not expire."""

    code = "session_revoked"

    def __init__(self, message: str, *, state: str = "revoked") -> None:
        super().__init__(message, state=state)


class AccessDenied(SessionUserError, PermissionError):
    """The current user is known, and ``require_user`` does not allow this user.

    Args:
        message: The missing permission.
        status_code: The HTTP status of the refused request, RFC 9110 section 15.5: 401 if a login
            may help, else 403.
        for_visitor: The message without advice for the author of the code; empty if it has none.
    """

    code = "access_denied"

    def __init__(self, message: str, *, status_code: int = 403, for_visitor: str = "") -> None:
        super().__init__(message)
        self.status_code = status_code
        self._for_visitor = for_visitor

    @property
    def sentence(self) -> str:
        """The text for the visitor of a page, plain: it may contain ``<`` and Markdown."""
        text = self._for_visitor or str(self)
        return f"{text[:1].upper()}{text[1:].rstrip('.')}."


class AccessTokenUnavailable(SessionUserError):
    """This code gets no access token of the institution's identity provider.

    Attributes:
        reason: One of the words in :data:`REASONS`, stable for programs.
    """

    #: The meaning of each reason and its fix.
    REASONS: ClassVar[dict[str, str]] = {
        "off": (
            "the server gives no access tokens: its administrator sets "
            "c.JupyterSessionUser.token_exchange"
        ),
        "audience": (
            "the server gives no access tokens under this name: its administrator adds it to "
            "c.JupyterSessionUser.token_exchange"
        ),
        "shared_kernel": (
            "another user started this kernel, or has sent messages to it: use a kernel of your own"
        ),
        "agent": "an agent asks, and the token could not say so: call it in a kernel of your own",
        "not_verified": (
            "the server has not authenticated the user by name: log in with an account"
        ),
        "no_tokens": (
            "the server has no tokens of this login to exchange: log out, and log in again; "
            "otherwise its administrator looks at c.JupyterSessionUser.login_tokens"
        ),
        "refused": "the identity provider refuses: its administrator looks at the client's rights",
        "unreachable": "the identity provider is down, or too slow: try again later",
        "answer": (
            "the identity provider's answer cannot be used: the administrator looks at its settings"
        ),
        "other_user": (
            "the identity provider gave a token about another user: the administrator looks at "
            "subject_claim, and at the provider"
        ),
        "clock": (
            "the token is not valid at this time: the clocks of the server and of the identity "
            "provider differ"
        ),
        "no_server": (
            "an app without a Jupyter kernel whose host has no access token of its visitor: let "
            "the app's own login keep one"
        ),
    }

    def __init__(self, message: str, *, reason: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.code = f"access_token_unavailable.{reason}"


class ConsentRequired(SessionUserError):
    """The identity provider gives no access token until the user agrees, or logs in again.

    Attributes:
        login_url: Where the user does that; empty if the server does not know it.
    """

    code = "consent_required"

    def __init__(self, message: str, *, login_url: str = "") -> None:
        super().__init__(message)
        self.login_url = login_url


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


class DatabaseUnavailable(SessionUserError):
    """This code gets no connection to a database as the current user.

    Attributes:
        reason: One of the words in :data:`REASONS`, stable for programs.
    """

    #: The meaning of each reason and its fix.
    REASONS: ClassVar[dict[str, str]] = {
        "off": (
            "the server gives no database logins: its administrator sets "
            "c.JupyterSessionUser.databases"
        ),
        "unknown_database": (
            "the server knows no database of this name: its administrator adds it to "
            "c.JupyterSessionUser.databases"
        ),
        "shared_kernel": (
            "another user started this kernel, or has sent messages to it: use a kernel of your own"
        ),
        "not_verified": (
            "the server has not authenticated the user by name: log in with an account"
        ),
        "no_role": (
            "the database has no role for the user that the server may use: its administrator "
            "makes one, as docs/database.md describes"
        ),
        "unreachable": (
            "the server or the kernel cannot reach the database, or it answers too slowly: see the "
            "server's log"
        ),
        "no_server": (
            "an app without a Jupyter kernel, so there is no Jupyter Server that could make a "
            "login: connect as the app, as docs/database.md describes"
        ),
    }

    def __init__(self, message: str, *, reason: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.code = f"database_unavailable.{reason}"


class IdentityTokenUnavailable(SessionUserError):
    """The server gives this code no identity token.

    Attributes:
        reason: One of the words in :data:`REASONS`, stable for programs.
    """

    #: The meaning of each reason and its fix.
    REASONS: ClassVar[dict[str, str]] = {
        "off": (
            "the server issues no identity tokens: its administrator sets "
            "c.JupyterSessionUser.token_audiences"
        ),
        "audience": (
            "the server issues no tokens for this audience: its administrator adds it to "
            "c.JupyterSessionUser.token_audiences"
        ),
        "shared_kernel": (
            "another user started this kernel, or has sent messages to it: use a kernel of your own"
        ),
        "not_verified": (
            "the server has not authenticated the user by name: log in with an account"
        ),
        "no_server": (
            "an app without a Jupyter kernel, so there is no Jupyter Server that could sign: pass "
            "on the app's own token"
        ),
    }

    def __init__(self, message: str, *, reason: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.code = f"identity_token_unavailable.{reason}"


class InvalidIdentityToken(SessionUserError):
    """``verify_identity_token`` refuses a token. The text contains no part of the token.

    Attributes:
        reason: One of the words in :data:`REASONS`, stable for programs.
    """

    code = "invalid_identity_token"
    #: What is wrong. ``unknown_key``: fetch the public keys again; ``keys``: these are not usable.
    REASONS: ClassVar[frozenset[str]] = frozenset(
        {
            "audience",
            "claims",
            "header",
            "issuer",
            "keys",
            "malformed",
            "shared_kernel",
            "signature",
            "time",
            "unknown_key",
        }
    )

    def __init__(self, message: str, *, reason: str = "malformed") -> None:
        super().__init__(message)
        self.reason = reason


class ConfigurationError(SessionUserError):
    """A setting cannot work; the message ends with the fix."""

    code = "configuration_error"


class ProtocolError(SessionUserError):
    """A message between browser, server and kernel breaks its format."""

    code = "protocol_error"


class LocalProtocolError(ProtocolError):
    """Our own side was asked to send something that the format does not allow."""

    code = "local_protocol_error"


class WrongArgument(LocalProtocolError, TypeError):
    """A function of this package was called with an argument of the wrong type, or without a value.

    It is raised at the call, before anything else happens; the message ends with the fix.
    """

    code = "wrong_argument"


class RemoteProtocolError(ProtocolError):
    """The other side sent something malformed."""

    code = "remote_protocol_error"


class IgnoredMessage(RemoteProtocolError):
    """The other side sent a message that Jupyter ignores. Only this message is dropped."""

    code = "ignored_message"


class RequestTimeout(SessionUserError, TimeoutError):
    """The server did not answer a request of the kernel within its deadline."""

    code = "request_timeout"


class StoreUnavailable(SessionUserError):
    """A change of the list of ended logins is in effect, but cannot be saved now."""

    code = "store_unavailable"


class SharedResultWarning(UserWarning):
    """A function calls ``get_current_user()``, and a cache keeps its result for all visitors.

    Pass the username to the function as an argument, so that it is part of the cache's key.
    """
