"""Panel's additions to Bokeh's server: its logins, its thread pool, its application.

``hosts/bokeh.py`` answers for both. All private names of Panel are in this file. The module is
also a plugin of Panel: ``panel serve app.py --plugins jupyter_session_user.hosts.panel``.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from types import MethodType
from typing import Any

from jupyter_session_user.core.user import User
from jupyter_session_user.errors import IdentityUnavailable
from jupyter_session_user.hosts import bokeh, bokeh_denied, tornado
from jupyter_session_user.hosts.base import HostRequest
from jupyter_session_user.kernel.ipykernel import installed
from jupyter_session_user.kernel.message_context import carried
from jupyter_session_user.upstream import unsupported, wrap

__all__ = ["HOST", "ROUTES", "user_of", "watch_pool"]

#: Panel requires this name of a plugin.
ROUTES: list[Any] = []

_PACKAGE = __name__.partition(".")[0]
#: The function that Panel submits when a widget in a notebook has changed.
_WORKS_OFF = "Syncable._schedule_change"
#: Panel's names for visitors without a login, if its OAuth is optional.
_GUEST = "guest"


class _Panel(bokeh.Part):
    """Panel's part of Bokeh's host."""

    name = "panel"

    def install(self) -> None:
        """Wrap Panel's replacements of Bokeh's functions; cheap, and safe to repeat."""
        try:
            application = sys.modules["panel.io.application"].Application
            state = type(sys.modules["panel.io.state"].state)
            wrap(application, "initialize_document", bokeh.making_page, "panel")
            wrap(application, "on_session_created", bokeh.announcing_page, "panel")
            wrap(state, "_scheduled_cb", _for_nobody, "panel")
            handler = sys.modules["panel.io.server"].DocHandler
            wrap(handler, "_authorize", _authorizing, "panel")
            # A second copy of this package, which ``panel serve --dev`` would load after a change,
            # would not know the pages in the making: the wrappers report to the first copy.
            ignored = sys.modules["panel.io.reload"].IGNORED_MODULES
            if _PACKAGE not in ignored:
                ignored.append(_PACKAGE)
            if "panel.io.asgi" in sys.modules:
                _wrap_asgi_app(sys.modules["panel.io.asgi"].PanelASGI)
        except IdentityUnavailable as error:
            bokeh.HOST.broken = error
        except (KeyError, AttributeError):
            bokeh.HOST.broken = unsupported(
                "panel",
                "io.application.Application, io.state.state, io.server.DocHandler, "
                "io.asgi.PanelASGI or io.reload.IGNORED_MODULES",
            )
        bokeh_denied.install()
        bokeh.HOST.on_entry = watch_pool
        tornado.servers["panel"] = user_of


HOST = _Panel()


def user_of(handler: Any, request: HostRequest) -> tuple[User | None, dict[str, Any]]:
    """Return the user of the visitor, and further fields of the session."""
    user = tornado.named_by_server(handler, request)
    if user is None or type(handler.application.auth_provider).__module__ != "panel.auth":
        return user, {}
    named = tornado.signed(request, "user")
    if named is None and user.username == _GUEST:
        return None, {}
    request.own_token = _own_token
    claims = _claims(request)
    described = tornado.user_from_claims(claims, user.username) if claims else None
    return described or user, _expiry(request)


def _claims(request: HostRequest) -> Mapping[str, Any]:
    """Return the provider's claims about the user: Panel keeps them in a cookie that it signs."""
    text = _decrypted(tornado.signed(request, "id_token"))
    if text is None:
        return {}
    try:
        decode = sys.modules["panel.util"].decode_token
    except AttributeError:
        raise unsupported("panel", "util.decode_token") from None
    try:
        claims = decode(text)
    except ValueError:
        return {}
    return claims if isinstance(claims, Mapping) else {}


def _decrypted(token: str | None) -> str | None:
    """Return a token of Panel's cookies in clear: ``--oauth-encryption-key`` encrypts it."""
    if token is None:
        return None
    try:
        encryption = sys.modules["panel.io.state"].state.encryption
        return token if encryption is None else encryption.decrypt(token.encode()).decode()
    except AttributeError:
        raise unsupported("panel", "state.encryption") from None


def _own_token(request: HostRequest) -> tuple[str, float | None] | None:
    """Return the visitor's access token, and its end; Panel keeps a renewed one by username.

    The cookies keep the former one, with its former end, until the visitor logs in again.
    """
    state = getattr(sys.modules.get("panel.io.state"), "state", None)
    name = tornado.signed(request, "user")
    renewed = getattr(state, "_oauth_user_overrides", {}).get(name) or {}
    token, end = renewed.get("access_token"), renewed.get("expiry")
    if token is None:
        token = _decrypted(tornado.signed(request, "access_token"))
        end = tornado.signed(request, "oauth_expiry")
    if token is None:
        return None
    try:
        return token, float(end or "")
    except ValueError:
        return token, None


def _expiry(request: HostRequest) -> dict[str, Any]:
    """Return when the login ends: an estimate, since Panel may renew it silently."""
    text = tornado.signed(request, "oauth_expiry")
    try:
        moment = datetime.fromtimestamp(int(text or ""), timezone.utc)
    except (ValueError, OverflowError, OSError):
        return {}
    return {"expires_at": moment, "expiry_source": "estimated"}


def _for_nobody(original: Any) -> Any:
    """Wrap the function of ``pn.state.schedule_task``: its task belongs to no visitor."""

    async def scheduled(self: Any, *args: Any, **kwargs: Any) -> Any:
        bokeh.for_nobody()
        return await original(self, *args, **kwargs)

    return scheduled


def _authorizing(original: Any) -> Any:
    """Wrap ``authorize_callback`` of Panel's own server."""

    def authorize(self: Any, *args: Any, **kwargs: Any) -> Any:
        return _authorized(self, functools.partial(original, self, *args, **kwargs))

    return authorize


def _wrap_asgi_app(app: type[Any]) -> None:
    from jupyter_session_user.hosts import bokeh_asgi  # noqa: PLC0415 - few serve so

    def authorizing(original: Any) -> Any:
        def authorize(self: Any, request: Any, *args: Any, **kwargs: Any) -> Any:
            call = functools.partial(original, self, request, *args, **kwargs)
            return _authorized(bokeh_asgi.asker_of(request), call)

        return authorize

    wrap(app, "_ensure_started", bokeh_asgi.detaching, "panel")
    wrap(app, "_authorize", authorizing, "panel")


def _authorized(handler: Any, function: Callable[[], Any]) -> Any:
    """Run Panel's ``authorize_callback`` as the user of the request.

    The callback decides about the request. The document may belong to another visitor, because
    Panel shows one document to all (``reuse_sessions``), or it may exist for the callback alone.

    Args:
        handler: Handles the request; None if it is unknown.
        function: Runs the callback.
    """
    document = getattr(getattr(sys.modules.get("panel.io.state"), "state", None), "curdoc", None)
    if handler is None or document is None or document.session_context is None:
        return function()
    find = getattr(handler, "visitor_anew", functools.partial(tornado.visitor_anew, handler))
    visitor = find(document.session_context.id)
    return bokeh.entered(bokeh.Entry.of(document, visitor), function)


# ------------------------------------------------------------------------------- the thread pool


def watch_pool() -> None:
    """Let the work of Panel's pool (``nthreads``) keep the user of the code that submits it.

    Called at every entry and at every message of a kernel: the setting may change, and Panel then
    makes another pool. Cheap, and harmless when repeated.
    """
    state = getattr(sys.modules.get("panel.io.state"), "state", None)
    pool = getattr(state, "_thread_pool", None)
    if pool is not None:
        wrap(pool, "submit", _carrying, "panel")


def _carrying(submit: Any) -> Any:
    def submit_carried(function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        here = bokeh.entry.get()
        if here is not None and here.going_on():
            call = functools.partial(function, *args, **kwargs)
            return submit(lambda: bokeh.entered(here.again(), call))
        if installed() is not None:  # in a notebook, a message has caused the callback
            function = carried(_with_own_changes(function))
        return submit(function, *args, **kwargs)

    return submit_carried


class _OwnChanges:
    """Stands for a widget while its changes of one message are processed.

    In a notebook, Panel collects a widget's changes in the widget, and a thread of the pool takes
    all that it finds there. Bob's input that arrived while the pool was busy would be processed by
    the thread that Alice's change requested, as Alice.
    """

    def __init__(self, widget: Any) -> None:
        self._widget = widget
        self._events, widget._events = widget._events, {}  # noqa: SLF001 - see the module

    def __getattr__(self, name: str) -> Any:
        return getattr(self._widget, name)

    def _change_event(self, *args: Any) -> Any:
        return MethodType(type(self._widget)._change_event, self)(*args)  # noqa: SLF001


def _with_own_changes(function: Any) -> Any:
    """Return the function; one that processes a widget's changes gets those made until now."""
    if not isinstance(function, MethodType) or function.__func__.__qualname__ != _WORKS_OFF:
        return function
    return MethodType(function.__func__, _OwnChanges(function.__self__))
