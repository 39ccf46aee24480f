"""Identify the user of the request that is running this line of code.

>>> from jupyter_session_user import get_current_user
>>> get_current_user().username
'alice'
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from jupyter_session_user.core.actor import Actor
from jupyter_session_user.core.user import User
from jupyter_session_user.errors import (
    AccessDenied,
    AccessTokenUnavailable,
    ConfigurationError,
    ConsentRequired,
    CookieError,
    CookieUnavailable,
    DatabaseUnavailable,
    IdentityTokenUnavailable,
    IdentityUnavailable,
    InvalidIdentityToken,
    LocalProtocolError,
    ProtocolError,
    RemoteProtocolError,
    RequestTimeout,
    SessionExpired,
    SessionRevoked,
    SessionUserError,
    SharedResultWarning,
    WrongArgument,
)
from jupyter_session_user.hosts import identity_from_cookie
from jupyter_session_user.hosts import prepare as _prepare_hosts
from jupyter_session_user.kernel.api import auto_install as _auto_install
from jupyter_session_user.kernel.api import (
    bind_current_user,
    get_cookies,
    get_current_user,
    get_session,
    require_user,
)
from jupyter_session_user.kernel.live_session import LiveSession as Session

if TYPE_CHECKING:
    from jupyter_session_user.banner.widget import SessionBanner
    from jupyter_session_user.core.cookies import Cookies
    from jupyter_session_user.core.identity_token import IdentityClaims
    from jupyter_session_user.core.last_run import LastRun
    from jupyter_session_user.hosts.asgi import SessionUserMiddleware
    from jupyter_session_user.hosts.wsgi import SessionUserWSGIMiddleware
    from jupyter_session_user.kernel.access_tokens import get_access_token
    from jupyter_session_user.kernel.databases import connect_as_user
    from jupyter_session_user.kernel.identity_tokens import get_identity_token
    from jupyter_session_user.kernel.last_runs import last_run
    from jupyter_session_user.kernel.listeners import on_session_change
    from jupyter_session_user.tokens.verify import verify_identity_token

__all__ = [
    "AccessDenied",
    "AccessTokenUnavailable",
    "Actor",
    "ConfigurationError",
    "ConsentRequired",
    "CookieError",
    "CookieUnavailable",
    "Cookies",
    "DatabaseUnavailable",
    "IdentityClaims",
    "IdentityTokenUnavailable",
    "IdentityUnavailable",
    "InvalidIdentityToken",
    "LastRun",
    "LocalProtocolError",
    "ProtocolError",
    "RemoteProtocolError",
    "RequestTimeout",
    "Session",
    "SessionBanner",
    "SessionExpired",
    "SessionRevoked",
    "SessionUserError",
    "SessionUserMiddleware",
    "SessionUserWSGIMiddleware",
    "SharedResultWarning",
    "User",
    "WrongArgument",
    "bind_current_user",
    "connect_as_user",
    "get_access_token",
    "get_cookies",
    "get_current_user",
    "get_identity_token",
    "get_session",
    "identity_from_cookie",
    "last_run",
    "on_session_change",
    "require_user",
    "verify_identity_token",
]

#: Names that are loaded on first access, and their modules.
_LATER = {
    "Cookies": "core.cookies",
    "IdentityClaims": "core.identity_token",
    "LastRun": "core.last_run",
    "SessionBanner": "banner.widget",
    "SessionUserMiddleware": "hosts.asgi",
    "SessionUserWSGIMiddleware": "hosts.wsgi",
    "connect_as_user": "kernel.databases",
    "get_access_token": "kernel.access_tokens",
    "get_identity_token": "kernel.identity_tokens",
    "last_run": "kernel.last_runs",
    "on_session_change": "kernel.listeners",
    "verify_identity_token": "tokens.verify",
}


def __getattr__(name: str) -> Any:
    """Load rarely used names on first access, to keep the start of a kernel fast."""
    if name == "__version__":
        from jupyter_session_user._version import __version__  # noqa: PLC0415

        return __version__
    module = _LATER.get(name)
    if module is not None:
        return getattr(importlib.import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """List the names that are loaded on first access, too: for ``dir()`` and completion."""
    return sorted({*globals(), *__all__, "__version__"})


def load_ipython_extension(shell: Any) -> None:
    """Install the kernel helper and ``%whoami``; called by ``%load_ext``."""
    _auto_install(shell)


def _jupyter_server_extension_points() -> list[dict[str, Any]]:
    from jupyter_session_user.server import check_version  # noqa: PLC0415

    check_version()  # before the import of what an older server does not have
    from jupyter_session_user.server.extension import JupyterSessionUser  # noqa: PLC0415

    return [{"module": "jupyter_session_user", "app": JupyterSessionUser}]


def _jupyter_labextension_paths() -> list[dict[str, str]]:
    return [{"src": "labextension", "dest": "jupyter-session-user"}]


_auto_install()
_prepare_hosts()
