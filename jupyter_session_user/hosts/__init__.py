"""Hosts: frameworks that run apps without a kernel, and the lookup of their current visitor.

The lookup imports no framework. A framework that is only imported does not count as a host: it
needs a live context of one of its sessions.
"""

from __future__ import annotations

import sys
from importlib import import_module
from threading import RLock
from typing import TYPE_CHECKING, Any

from jupyter_session_user.errors import IdentityUnavailable
from jupyter_session_user.kernel.current import register_host_finder
from jupyter_session_user.kernel.ipykernel import before_message
from jupyter_session_user.upstream import check

if TYPE_CHECKING:
    from collections.abc import Callable

    from jupyter_session_user.hosts.base import Host, HostSession

__all__ = ["find", "identity_from_cookie", "prepare", "serving", "session_of"]

#: Inner hosts first: a module that is loaded where the framework serves, and our file for it.
_REGISTRY = (
    ("bokeh.server.asgi", "bokeh_asgi"),  # tells Bokeh's host which request asks for the first page
    ("panel.io.asgi", "panel"),
    ("panel.io.server", "panel"),
    ("bokeh.server.views.ws", "bokeh"),
    ("bokeh.server.core", "bokeh"),  # with its ASGI app, which needs no Tornado views
    ("bokeh_fastapi.handler", "bokeh_fastapi"),
    ("panel.io.fastapi", "bokeh_fastapi"),  # replaces functions that we wrap with its own
    ("streamlit.runtime", "streamlit"),
    ("marimo._runtime.context", "marimo"),
    ("marimo._server.api.endpoints.execution", "marimo"),  # the server, in the kernels' process
    ("gradio.blocks", "gradio"),
    ("jupyter_session_user.hosts.django", "django"),
    ("nicegui.nicegui", "nicegui"),
    ("solara.server.starlette", "solara"),
    ("solara.server.flask", "solara"),
    ("shiny.reactive", "shiny"),
    ("jupyter_session_user.hosts.asgi", "asgi"),
    ("jupyter_session_user.hosts.wsgi", "wsgi"),
)

#: If one of these modules is loaded, documents can belong to visitors.
_DOCUMENTS = frozenset({"bokeh.server.views.ws", "bokeh.server.core"})

_modules = sys.modules
_hosts: dict[str, Host] = {}
#: The modules of the registry for which the host is prepared.
_prepared: set[str] = set()
#: The first two visitors may ask at the same time, in two threads.
_preparing = RLock()

#: The lookups of the loaded hosts, valid for this number of modules in ``sys.modules``.
#: The cache keeps a frequent caller from searching the registry on each call.
_currents: tuple[Callable[[], HostSession | None], ...] = ()
_only: Callable[[], HostSession | None] | None = None
_scanned = 0


def _no_notice(session: HostSession) -> HostSession | None:
    """Replace the check of the caches: a kernel does not need it."""
    return session


#: Returns the session if its next calls need no check.
_notice: Callable[[HostSession], HostSession | None] = _no_notice
_checked: HostSession | None = None


def find() -> HostSession | None:
    """Return the session of the visitor of the current request; None without a host.

    Raises:
        IdentityUnavailable: Two hosts name different users.
    """
    global _checked  # noqa: PLW0603 - of any thread: a lost value costs one check
    if len(_modules) != _scanned:
        _scan()
    if _only is not None:
        found = _only()
        if found is not _checked and found is not None:
            _checked = _notice(found)
        return found
    found = None
    for current in _currents:
        session = current()
        if found is None:
            found = session
        elif session is not None:
            found = import_module(f"{__name__}.base").agreed(found, session)
    if found is not _checked and found is not None:
        _checked = _notice(found)
    return found


def serving() -> bool:
    """Return whether this process serves an app: its threads then belong to visitors."""
    return any(module in _modules and _host(module, name).serving() for module, name in _REGISTRY)


def session_of(document: Any) -> HostSession:
    """Return the session of the visitor that a Bokeh or Panel document belongs to.

    Raises:
        IdentityUnavailable: The document has no visitor, or its visitor is unknown.
    """
    if _DOCUMENTS.isdisjoint(_modules):
        raise IdentityUnavailable(
            "This process serves no app of Bokeh's or Panel's, and only their documents belong to "
            "a visitor. Call get_session() without of.",
            reason="no_context",
        )
    found: HostSession = import_module(f"{__name__}.bokeh_owner").session_of(document)
    return found


def prepare() -> None:
    """Load the hosts of the loaded frameworks: some must observe the framework from the start."""
    for module, name in _REGISTRY:
        if module in _modules:
            _host(module, name)


def identity_from_cookie(
    cookie: str, *, username: str, name: str = "", decode: str = "json"
) -> None:
    """Name visitors by a platform's cookie if the app itself does not authenticate them.

        identity_from_cookie("numerous_user_info", username="user_id", name="user_full_name")

    For apps without a kernel, once in a process; a repeated call does no harm. Such a user is
    never ``verified``: a client that bypasses the platform can send any cookie.

    Args:
        cookie: The name of the cookie.
        username: The field of its JSON with the account's unique name.
        name: The field with the user's display name.
        decode: ``json`` (plain, URL-encoded, base64) or ``jwt`` (a payload, not checked).

    Raises:
        ConfigurationError: A field is invalid, or another cookie was configured before.
    """
    from jupyter_session_user.hosts import base  # noqa: PLC0415 - few need it

    base.take_from_cookie({"cookie": cookie, "username": username, "name": name, "decode": decode})


def _scan() -> None:
    global _currents, _only, _scanned, _notice  # noqa: PLW0603 - a cache of this process's modules
    count = len(_modules)  # first: the next call looks at modules that load meanwhile
    hosts = {name: _host(module, name) for module, name in _REGISTRY if module in _modules}
    if hosts and _notice is _no_notice:
        _notice = import_module(f"{__name__}.caches").notice
    _currents = tuple(host.current for host in hosts.values())
    _only = _currents[0] if len(_currents) == 1 else None
    _scanned = count


def _host(module: str, name: str) -> Host:
    """Return a host, prepared for this module of its framework."""
    if module not in _prepared:
        with _preparing:
            if module not in _prepared:
                loaded: Any = import_module(f"{__name__}.{name}")
                _hosts[name] = loaded.HOST
                _hosts[name].install()
                check(module.partition(".")[0], _hosts[name].name, "tornado")
                _prepared.add(module)
    return _hosts[name]


def _watch_pool() -> None:
    """Let Panel's thread pool keep the user: Panel may have made one since the last message."""
    if "panel.io.state" in _modules:
        check("panel")
        import_module(f"{__name__}.panel").watch_pool()
        import_module(f"{__name__}.bokeh_denied").install()  # for pages of previews


register_host_finder(find, serving, session_of)
before_message.append(_watch_pool)
