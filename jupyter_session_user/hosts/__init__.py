"""Apps that run without a kernel: which of them has a visitor here, and who that is.

Nothing is imported to find out. A framework that is merely imported is no host: only a live
context of one of its sessions counts.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

from jupyter_session_user.kernel.current import register_host_finder

if TYPE_CHECKING:
    from collections.abc import Callable

    from jupyter_session_user.hosts.base import Host, HostSession

__all__ = ["find", "identity_from_cookie", "prepare", "serving"]

#: Inner hosts first: a module that is loaded where the framework serves, and our file for it.
_REGISTRY = (
    ("panel.io.server", "panel"),
    ("bokeh.server.views.ws", "bokeh"),
    ("bokeh_fastapi.handler", "bokeh_fastapi"),
    ("panel.io.fastapi", "bokeh_fastapi"),  # puts functions of its own where our wrappers are
    ("streamlit.runtime", "streamlit"),
    ("marimo._runtime.context", "marimo"),
    ("jupyter_session_user.hosts.asgi", "asgi"),
    ("jupyter_session_user.hosts.wsgi", "wsgi"),
)

_modules = sys.modules
_hosts: dict[str, Host] = {}
#: For which modules of the registry the host has been prepared.
_prepared: set[str] = set()

#: How to ask the hosts whose framework is here, as of so many modules in this process: whoever
#: asks all the time should not look the registry through each time.
_currents: tuple[Callable[[], HostSession | None], ...] = ()
_only: Callable[[], HostSession | None] | None = None
_scanned = 0


def find() -> HostSession | None:
    """Return the session of the visitor whose request runs this code; None without a host.

    Raises:
        IdentityUnavailable: Two hosts name different people.
    """
    if len(_modules) != _scanned:
        _scan()
    if _only is not None:
        return _only()
    found: HostSession | None = None
    for current in _currents:
        session = current()
        if session is not None:
            found = session if found is None else _agreed(found, session)
    return found


def serving() -> bool:
    """Tell whether this process serves an app: its threads then belong to somebody."""
    return any(module in _modules and _host(module, name).serving() for module, name in _REGISTRY)


def prepare() -> None:
    """Load the hosts whose framework is here already: some have to watch from the start on."""
    for module, name in _REGISTRY:
        if module in _modules:
            _host(module, name)


def identity_from_cookie(
    cookie: str, *, username: str, name: str = "", decode: str = "json"
) -> None:
    """Take visitors whom the app itself does not authenticate from a platform's cookie.

        identity_from_cookie("numerous_user_info", username="user_id", name="user_full_name")

    For apps without a kernel, once in a process; repeating it does no harm. Such a user is
    never ``verified``: whoever reaches the app past the platform can send any cookie.

    Args:
        cookie: Its name.
        username: The field of its JSON with the account's unique name.
        name: The field with the person's name.
        decode: ``json`` (plain, URL-encoded, base64) or ``jwt`` (a payload, not checked).

    Raises:
        ConfigurationError: A field cannot be, or another cookie was configured before.
    """
    from jupyter_session_user.hosts import base  # noqa: PLC0415 - few need it

    base.take_from_cookie({"cookie": cookie, "username": username, "name": name, "decode": decode})


def _scan() -> None:
    global _currents, _only, _scanned  # noqa: PLW0603 - a cache of this process's modules
    count = len(_modules)  # before: what loads meanwhile is looked at the next time
    hosts = {name: _host(module, name) for module, name in _REGISTRY if module in _modules}
    _currents = tuple(host.current for host in hosts.values())
    _only = _currents[0] if len(_currents) == 1 else None
    _scanned = count


def _host(module: str, name: str) -> Host:
    """Return a host, prepared for what this module of its framework brings."""
    if module not in _prepared:
        _prepared.add(module)
        loaded: Any = import_module(f"{__name__}.{name}")
        _hosts[name] = loaded.HOST
        _hosts[name].install()
    return _hosts[name]


def _agreed(inner: HostSession, outer: HostSession) -> HostSession:
    from jupyter_session_user.hosts.base import agreed  # noqa: PLC0415 - few are nested

    return agreed(inner, outer)


register_host_finder(find, serving)
