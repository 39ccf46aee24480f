"""Gradio: the user of the request that sent the event, from Gradio's login or our middleware.

All private names of Gradio are in this file: ``Blocks.process_api``, which handles every event,
``Blocks._queue.active_jobs`` and ``LocalContext``.
"""

from __future__ import annotations

import functools
import html
import inspect
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from typing import Any

from jupyter_session_user.core.user import User
from jupyter_session_user.errors import AccessDenied, IdentityUnavailable
from jupyter_session_user.hosts import asgi
from jupyter_session_user.hosts.base import Host, HostRequest, HostSession
from jupyter_session_user.hosts.middleware import (
    Served,
    named_in_meta,
    serving,
    user_of_framework,
)
from jupyter_session_user.kernel import message_context
from jupyter_session_user.kernel.diagnose import unavailable
from jupyter_session_user.upstream import unsupported, wrap

__all__ = ["HOST"]

_modules = sys.modules

#: The event that this context handles or has handled.
_current: ContextVar[Served | None] = ContextVar("jupyter_session_user.gradio", default=None)
message_context.variables.append(_current)


class _Gradio:
    name = "gradio"

    def __init__(self) -> None:
        self.has_served = False
        self._broken: IdentityUnavailable | None = None
        #: The request of the event that forked this process; the child copies its context.
        self._forked_by: Any = None

    def current(self) -> HostSession | None:
        served = _current.get()
        if served is not None:
            return served.session()
        return self._early_event()

    def install(self) -> None:
        """Attach each later event to its visitor."""
        blocks = _modules["gradio.blocks"].Blocks
        original = vars(blocks).get("process_api")
        if original is None or "request" not in inspect.signature(original).parameters:
            self._broken = unsupported("gradio", "Blocks.process_api(request=...)")
        else:
            wrap(blocks, "process_api", _naming, "gradio")
        message_context.after_fork(self._note_fork)

    def _note_fork(self) -> None:
        self._forked_by = _local("request")

    def serving(self) -> bool:
        return self.has_served

    def _early_event(self) -> HostSession | None:
        """Return the session of an event that began before this package was imported.

        A task that an event has started copies Gradio's variables, and may outlive the event. The
        variables count only while the queue still handles that event. They do not count for a
        batch, which has no id.
        """
        request = _local("request")
        if request is None:
            return None  # only imported, a bare thread, or a task that no event has started
        if self._broken is not None:
            raise self._broken
        if request is self._forked_by:
            raise unavailable("forked_process")
        self.has_served = True
        event_id = _local("event_id")
        queue = getattr(_local("blocks"), "_queue", None)
        jobs = getattr(queue, "active_jobs", None) or ()
        if event_id and any(
            event_id == vars(event).get("_id") for job in jobs for event in job or ()
        ):
            return _served(request, None, _local("blocks")).session()
        return None


def _naming(original: Callable[..., Any]) -> Callable[..., Any]:
    """Return ``Blocks.process_api``, with the request of each event recorded around the call.

    One call handles one event, one step of a generator, or one batch of several visitors' events.
    """
    signature = inspect.signature(original)

    async def process_api(*args: Any, **kwargs: Any) -> Any:
        given = signature.bind(*args, **kwargs).arguments
        request = given.get("request")
        _host.has_served = True
        # The in_event_listener of examples that are cached at their first use is False.
        if request is None or not given.get("in_event_listener", True):
            served = Served("gradio", _for_all, HostRequest)
        else:
            served = _served(request, given.get("inputs"), given.get("self"))
        # The queue runs in tasks that copy the context of the request that started the queue.
        alone = message_context.holding([(other, None) for other in message_context.variables])
        with alone, serving(_current, served):
            try:
                return await original(*args, **kwargs)
            except AccessDenied as error:
                raise _shown(error) from error
            finally:
                served.live = False

    return process_api


def _shown(error: AccessDenied) -> Exception:
    """Return Gradio's own error, which it shows to the visitor of any app, as HTML."""
    shown: Any = _modules["gradio"].Error(html.escape(error.sentence, quote=False))
    shown.print_exception = False  # a refusal is no fault of the app
    return shown  # type: ignore[no-any-return]


def _served(request: Any, inputs: Any, blocks: Any) -> Served:
    if not isinstance(request, list):
        request, size = [request], 1
    else:  # a batch has a list of values for each input
        size = max((len(values) for values in inputs or ()), default=0)
    # Before Gradio 6.31 a batch has only the request of its first event.
    named = _mixed if size > len(request) else functools.partial(_user_of_all, request)
    first = request[0]
    page = getattr(first, "session_hash", None) or ""
    headers = getattr(_http(first), "headers", None) or {}
    once = functools.cache(named)  # a finished request names no other user later
    return Served(
        "gradio",
        once,
        lambda: HostRequest.of(headers.items()),
        anonymous_key=page,
        authenticates=functools.partial(_may_be_named, request, blocks),
    )


def _may_be_named(requests: Sequence[Any], blocks: Any) -> bool:
    """Return whether the app or one around it names its visitors; True if it cannot be told."""
    if any(getattr(blocks, login, True) for login in ("auth", "expects_oauth")):
        return True
    launched = isinstance(getattr(blocks, "local_url", None), str)
    if not (launched or asgi.HOST.serving()):
        return True  # mounted in an app whose login is not to be seen without our middleware
    scopes = [getattr(_http(request), "scope", {}) for request in requests]
    if any(getattr(scope.get("app"), "auth_dependency", True) for scope in scopes):
        return True
    return any(map(asgi.is_named, scopes))


def _for_all() -> tuple[User | None, bool]:
    raise IdentityUnavailable(
        "Gradio calls this function for no visitor, and may keep the result for all of them: an "
        "example that is cached, or a call from Python. Use cache_examples=False, or pass "
        "default= to get a value instead of this error.",
        reason="no_context",
    )


def _user_of_all(requests: Sequence[Any]) -> tuple[User | None, bool]:
    """Return the user of an event, or of a batch of events that all have the same user.

    Raises:
        IdentityUnavailable: The events have different visitors.
    """
    user, verified = _user(requests[0])
    page = getattr(requests[0], "session_hash", None)
    for request in requests[1:]:
        other, also = _user(request)
        same_page = getattr(request, "session_hash", None) == page
        if _name(other) != _name(user) or (user is None and not same_page):
            return _mixed()
        verified = verified and also
    return user, verified


def _mixed() -> tuple[User | None, bool]:
    raise IdentityUnavailable(
        "This call handles a batch of events (batch=True), and they may be of different users. "
        "Use batch=False, or give the function the name as an input.",
        reason="disagreement",
    )


def _user(request: Any) -> tuple[User | None, bool]:
    """Return the user that the request of an event names, and whether the name was checked.

    Raises:
        IdentityUnavailable: Two logins name different users.
    """
    found = [named for named in _candidates(request) if named[0] is not None]
    if not found:
        return None, False
    names = sorted({_name(user) for user, _ in found})
    if len(names) > 1:
        raise IdentityUnavailable(
            "Gradio's login (auth=, auth_dependency= or gr.LoginButton) and SessionUserMiddleware "
            "name different users. Use one of them, or make both return the same username.",
            reason="disagreement",
        )
    return next((named for named in found if named[1]), found[0])


def _candidates(request: Any) -> Iterator[tuple[User | None, bool]]:
    scope = getattr(_http(request), "scope", {})
    yield named_in_meta(scope.get("meta")) or (user_of_framework(scope.get("user")), True)
    # Gradio's Request reads attributes that it lacks from the HTTP request.
    username = vars(request).get("username")
    yield User(username) if isinstance(username, str) and username else None, True
    yield _oauth_user(scope.get("session"))


def _oauth_user(session: Any) -> tuple[User | None, bool]:
    """Return the user of ``gr.LoginButton``, which Gradio keeps in the signed session cookie.

    Outside of a Space there is no client secret. Gradio then signs with a publicly known key, and
    each visitor that clicks becomes the owner of the machine's token.
    """
    info = session.get("oauth_info") if isinstance(session, dict) else None
    if not isinstance(info, dict) or info.get("expires_at", float("inf")) < time.time():
        return None, False
    profile = info.get("userinfo") or {}
    username = profile.get("preferred_username")
    if not isinstance(username, str) or not username:
        return None, False
    name, picture = profile.get("name"), profile.get("picture")
    secret = getattr(_modules.get("gradio.oauth"), "OAUTH_CLIENT_SECRET", None)
    user = User(
        username,
        name if isinstance(name, str) else "",
        avatar_url=picture if isinstance(picture, str) else None,
    )
    return user, bool(secret)


def _name(user: User | None) -> str:
    return "" if user is None else user.username


def _http(request: Any) -> Any:
    """Return the HTTP request that Gradio's request is made of; itself if it is of no other."""
    return getattr(request, "request", None) or request


def _local(name: str) -> Any:
    """Return the value of one of Gradio's own variables in this context; None without one."""
    local = getattr(_modules.get("gradio.context"), "LocalContext", None)
    variable = getattr(local, name, None)
    return None if variable is None else variable.get(None)


_host = _Gradio()
HOST: Host = _host
