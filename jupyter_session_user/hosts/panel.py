"""Panel's server, where it goes beyond Bokeh's: its logins, its thread pool, its application.

``hosts/bokeh.py`` answers for both. All private names of Panel stand here. The module is also a
plugin of Panel: ``panel serve app.py --plugins jupyter_session_user.hosts.panel``.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from typing import Any

from jupyter_session_user.core.user import User
from jupyter_session_user.errors import IdentityUnavailable
from jupyter_session_user.hosts import bokeh, tornado
from jupyter_session_user.hosts.base import HostRequest, moved

__all__ = ["HOST", "ROUTES", "user_of"]

#: What Panel wants of a plugin.
ROUTES: list[Any] = []

_MARK = "__jupyter_session_user_served__"
#: Whom Panel names where its OAuth lets people in without a login.
_GUEST = "guest"


class _Panel(bokeh.Part):
    """Panel's part of Bokeh's host."""

    name = "panel"

    def install(self) -> None:
        """Wrap what Panel puts over Bokeh's; cheap, and harmless when repeated."""
        try:
            application = sys.modules["panel.io.application"].Application
            state = type(sys.modules["panel.io.state"].state)
            bokeh.wrap(application, "initialize_document", bokeh.making_page, "panel")
            bokeh.wrap(application, "on_session_created", bokeh.announcing_page, "panel")
            bokeh.wrap(state, "_scheduled_cb", _for_nobody, "panel")
        except IdentityUnavailable as error:
            bokeh.HOST.broken = error
        except (KeyError, AttributeError):
            bokeh.HOST.broken = moved("panel", "io.application.Application or io.state.state")
        bokeh.HOST.on_entry = _watch_pool
        tornado.servers["panel"] = user_of


HOST = _Panel()


def user_of(handler: Any, request: HostRequest) -> tuple[User | None, dict[str, Any]]:
    """Return the visitor, and further fields of the session."""
    user = tornado.named_by_server(handler, request)
    if user is None or not _is_panels(handler.application.auth_provider):
        return user, {}
    named = tornado.signed(request, "user")
    if named is None and user.username == _GUEST:
        return None, {}
    claims = _claims(request)
    described = tornado.user_from_claims(claims, user.username) if claims else None
    return described or user, _expiry(request)


def _is_panels(provider: Any) -> bool:
    return type(provider).__module__ == "panel.auth"


def _claims(request: HostRequest) -> Mapping[str, Any]:
    """Return what the provider said of the person: Panel keeps it in a cookie that it signs."""
    token = tornado.signed(request, "id_token")
    if token is None:
        return {}
    try:
        encryption = sys.modules["panel.io.state"].state.encryption
        decode = sys.modules["panel.util"].decode_token
        text = token if encryption is None else encryption.decrypt(token.encode()).decode()
    except AttributeError:
        raise moved("panel", "state.encryption or util.decode_token") from None
    try:
        claims = decode(text)
    except ValueError:
        return {}
    return claims if isinstance(claims, Mapping) else {}


def _expiry(request: HostRequest) -> dict[str, Any]:
    """Return when the login ends. Panel may renew it in silence, so that is an estimate."""
    text = tornado.signed(request, "oauth_expiry")
    try:
        moment = datetime.fromtimestamp(int(text or ""), timezone.utc)
    except (ValueError, OverflowError, OSError):
        return {}
    return {"expires_at": moment, "expiry_source": "estimated"}


def _for_nobody(original: Any) -> Any:
    """Wrap what ``pn.state.schedule_task`` calls: a task of the process, not of who began it."""

    async def scheduled(self: Any, *args: Any, **kwargs: Any) -> Any:
        bokeh.for_nobody()
        return await original(self, *args, **kwargs)

    return scheduled


# ------------------------------------------------------------------------------- the thread pool


def _watch_pool() -> None:
    """Have Panel's pool (``--num-threads``) go on in the entry that hands it work."""
    state = getattr(sys.modules.get("panel.io.state"), "state", None)
    pool = getattr(state, "_thread_pool", None)
    if pool is not None and not hasattr(pool.submit, _MARK):
        pool.submit = _carrying(pool.submit)


def _carrying(submit: Any) -> Any:
    @functools.wraps(submit)
    def submit_carried(function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        here = bokeh.entry.get()
        if here is None or not here.going_on():
            return submit(function, *args, **kwargs)
        return submit(_continued, here, functools.partial(function, *args, **kwargs))

    setattr(submit_carried, _MARK, True)
    return submit_carried


def _continued(here: bokeh.Entry, function: Callable[[], Any]) -> Any:
    return bokeh.entered(here.again(), function)
