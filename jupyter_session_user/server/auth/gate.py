"""Rejects ended logins on every route, by wrapping the identity provider's instance.

A plain Jupyter Server would accept a login cookie for a month, even after the user has signed out.
"""

from __future__ import annotations

import functools
import inspect
import time
import weakref
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from jupyter_server.base.handlers import APIHandler
from jupyter_server.services.api.handlers import IdentityHandler
from jupyter_server.services.kernels.websocket import KernelWebsocketHandler
from tornado import web
from tornado.web import create_signed_value, decode_signed_value

from jupyter_session_user.core.colors import color_of
from jupyter_session_user.core.login import KINDS
from jupyter_session_user.core.signed_time import MOST_LOGINS_IN_A_SECOND, times_to_sign
from jupyter_session_user.core.socket_state import LOGIN_OVER
from jupyter_session_user.errors import StoreUnavailable
from jupyter_session_user.server.auth.capture import login_cookie_name
from jupyter_session_user.server.auth.evidence import evidence_of
from jupyter_session_user.server.auth.named_kernels import kernels_named_by
from jupyter_session_user.server.auth.refused import (
    ask_whether_to_sign_out,
    refuse_with_json,
    refuse_with_page,
)
from jupyter_session_user.server.auth.request_snapshot import is_handshake, snapshot_of
from jupyter_session_user.upstream.jupyter_server import user_so_far
from jupyter_session_user.upstream.tornado import cookies_being_set

if TYPE_CHECKING:
    from jupyter_server.auth.authorizer import Authorizer
    from jupyter_server.auth.identity import IdentityProvider
    from jupyter_server.base.handlers import JupyterHandler

    from jupyter_session_user.core.login import Login
    from jupyter_session_user.server.auth.capture import Capture
    from jupyter_session_user.server.auth.known_login import KnownLogin
    from jupyter_session_user.server.auth.logins import Logins
    from jupyter_session_user.server.auth.subjects import Subjects

__all__ = ["FORM_ANYWAY", "Gate"]

#: Argument of the login page: show the form although the user is logged in. The login ends when the
#: form succeeds, and a user who closes the form keeps it.
FORM_ANYWAY = "session-user-anyway"

#: ``Sec-Fetch-Site`` values of requests from other sites' pages (W3C Fetch Metadata). A link or an
#: image there could otherwise end the login and everything that runs with it.
_OTHER_SITES = frozenset({"cross-site", "same-site"})
_LAYOUT = "jupyterlab_server.workspaces_handler"
_READING = frozenset({"GET", "HEAD", "OPTIONS"})


class _Agents(Protocol):
    """What authenticates agents: ``server/auth/agent_door.py``."""

    def guard(self, authorizer: Authorizer) -> None: ...
    def shows_token(self, handler: Any) -> bool: ...
    async def person(self, handler: Any) -> Any: ...


class Gate:
    """Rejects ended logins, and records all others.

    Args:
        capture: Finds the login of a request.
        logins: The state of each login.
        before: Called before every request.
        signed_out: Called with a login that has just used the logout page.
        check_kernel: Raises if a request's login may not change a kernel.
        subjects: Tells which logins the identity provider has ended.
    """

    def __init__(
        self,
        capture: Capture,
        logins: Logins,
        before: Callable[[], None],
        signed_out: Callable[[KnownLogin], None],
        check_kernel: Callable[[str, Login], None],
        subjects: Subjects,
    ) -> None:
        self._check_kernel = check_kernel
        self._subjects = subjects
        self._capture = capture
        self._logins = logins
        self._before = before
        self._signed_out = signed_out
        #: Keys of the latest logins: their browsers may not have used them yet.
        self._given: deque[str | None] = deque(maxlen=MOST_LOGINS_IN_A_SECOND)
        self._askers: weakref.WeakKeyDictionary[Any, Any] = weakref.WeakKeyDictionary()
        #: Requests whose login cookie begins a login.
        self._logging_in: weakref.WeakSet[Any] = weakref.WeakSet()
        #: Called with the provider's user, the key and the principal of each new login cookie.
        self.logged_in: Callable[[Any, str, str], None] = lambda *_: None
        #: Authenticates requests with an agent's token; it needs this gate, and sets itself here.
        self.agents: _Agents | None = None

    def guard(self, provider: IdentityProvider) -> None:
        """Wrap this provider; harmless when repeated."""
        if provider in self._askers:
            return
        self._askers[provider] = provider.get_user
        self._capture.hub_ends.watch(provider)
        for name, wrap in (
            ("get_user", self._behind_us),
            ("clear_login_cookie", self._signing_out),
            ("set_login_cookie", self._signing_in),
        ):
            setattr(provider, name, wrap(getattr(provider, name)))

    def guard_scopes(self, authorizer: Authorizer) -> None:
        """Keep agents within their scopes wherever this authorizer is asked."""
        if self.agents is not None:
            self.agents.guard(authorizer)

    def ask(self, handler: JupyterHandler) -> Any:
        """Return the provider's own answer for a request, which may be an awaitable."""
        provider = handler.identity_provider
        return self._askers.get(provider, provider.get_user)(handler)

    def _behind_us(self, get_user: Any) -> Any:
        @functools.wraps(get_user)
        def get_user_behind_us(handler: Any) -> Any:
            self._before()
            agents = self.agents if handler.identity_provider.auth_enabled else None
            if agents is not None and agents.shows_token(handler):
                return later(handler, agents.person(handler))
            user = get_user(handler)
            return (
                later(handler, user) if inspect.isawaitable(user) else self._let_in(handler, user)
            )

        async def later(handler: Any, user: Any) -> Any:
            return self._let_in(handler, await user)

        return get_user_behind_us

    def _let_in(self, handler: Any, user: Any) -> Any:
        """Return the user, or None if the login has ended; the login page may follow."""
        if user is None or not handler.identity_provider.auth_enabled:
            return user
        if _wants_the_form(handler):
            return None
        login = self._capture.login_of(handler, user)
        # Requests of scripts do not ask for HTML.
        opens_page = handler.request.method == "GET" and "text/html" in handler.request.headers.get(
            "Accept", ""
        )
        too_early = self._logins.ended.seconds_missing(login.principal, login.issued_at)
        refused = self._subjects.refuses(login) or too_early
        if refused or self._logins.refuses(login, navigation=opens_page):
            # A login cookie that the provider renewed in this response would be valid.
            cookies_being_set(handler).pop(login_cookie_name(handler), None)
            if opens_page and KINDS[login.credential].own_form:
                forget_login_cookie(handler)  # or the browser would send it again to the login form
            elif opens_page or _would_loop(handler, login.credential):
                refuse_with_page(handler, self._logins.end_of(login))
            elif isinstance(handler, APIHandler):
                refuse_with_json(handler, self._logins.end_of(login))
            return None
        if handler.request.method not in _READING:
            for kernel_id in () if login.administers else kernels_named_by(handler):
                self._check_kernel(kernel_id, login)
        active = opens_page or _changes_something(handler)
        snapshot = evidence_of(handler, login, self._logins)
        known = self._logins.saw(login, snapshot, active=active)
        self._subjects.learn(known, login)
        if isinstance(handler, handler.identity_provider.logout_handler_class):
            self._sign_out_first(handler)
        self._follow(handler, known)
        return _with_color(handler, user)

    def _follow(self, handler: Any, known: KnownLogin) -> None:
        """Follow the request: it may stay open as a websocket, or renew the cookie."""
        if is_handshake(handler):
            if not isinstance(handler, KernelWebsocketHandler):
                self._logins.attach_other(known, handler)
                self._close_later(handler, known)
            return
        on_finish = handler.on_finish

        def finished() -> None:
            self._finished(handler, known)
            on_finish()

        handler.on_finish = finished

    def _close_later(self, handler: Any, known: KnownLogin) -> None:
        """Forget a websocket when it closes, and close it if its login ends before it opens."""
        on_close, open_ = handler.on_close, handler.open

        def closed() -> None:
            self._logins.known.open.discard(handler)
            on_close()

        @functools.wraps(open_)
        def opened(*args: Any, **kwargs: Any) -> Any:
            if self._logins.over(known.key, active=False) is None:
                return open_(*args, **kwargs)
            # Nothing could close it before: Tornado had no connection.
            handler.close(LOGIN_OVER, "the login is over")
            return None

        handler.on_close, handler.open = closed, opened

    def _finished(self, handler: Any, known: KnownLogin) -> None:
        if handler.current_user is not None:
            self._capture.session_of(handler, None)
        if known.credential == "agent":  # its request means nothing to the provider
            return
        if isinstance(handler, handler.identity_provider.logout_handler_class):
            self._logins.keep_snapshot(known, snapshot_of(handler))
            self._signed_out(known)
            return
        logs_in = handler in self._logging_in or isinstance(handler, _login_form(handler))
        if logs_in or not cookies_being_set(handler):
            return
        if known.snapshot is not None:
            self._logins.keep_snapshot(known, snapshot_of(handler))
        renewal = self._capture.renewal(handler)
        if renewal is not None:
            self._logins.renewed(*renewal)

    def _signing_in(self, set_login_cookie: Any) -> Any:
        """Make sure that each login gets a unique cookie that this server accepts.

        A signed value holds its time in whole seconds. Two logins of a user in the same second
        would get the same cookie, and ending one would end the other. Also, after the clock was set
        back, all of the user's logins up to a later time may have been ended.
        """

        @functools.wraps(set_login_cookie)
        def set_own_cookie(handler: Any, user: Any) -> Any:
            result = set_login_cookie(handler, user)
            own = None
            if _logs_in(handler):
                self._logging_in.add(handler)
                self._end_former(handler, user)
            else:  # the provider renews the cookie of the request
                own = self._capture.key_shown(handler, user)
            self._sign_late_enough(handler, user, own)
            self._tell_login(handler, user, own)
            return result

        return set_own_cookie

    def _tell_login(self, handler: Any, user: Any, own: str | None) -> None:
        key, former = (
            self._capture.key_being_given(handler, user),
            self._logins.canonical(own or ""),
        )
        if key is None:
            return
        if own is None or self._logins.get(former) is None:
            former = self._logins.canonical(key)  # else this response renews a login
        principal, _ = self._capture.cookie_being_given(handler, user)
        self.logged_in(user, former, principal)

    def _sign_late_enough(self, handler: Any, user: Any, own: str | None) -> None:
        capture, ended = self._capture, self._logins.ended
        key = capture.key_being_given(handler, user)
        if key is None:
            return
        missing = ended.seconds_missing(*capture.cookie_being_given(handler, user))
        for later_s in times_to_sign(missing):
            if later_s:
                _sign_again(handler, later_s)
                key = capture.key_being_given(handler, user)
                ended.issued_ahead(*capture.cookie_being_given(handler, user))
            if not self._is_taken(key, own):
                break
        if own is None:
            self._given.append(key)

    def _end_former(self, handler: Any, user: Any) -> None:
        """End the browser's former login: only a copy of its cookie could still be in use.

        If the same user has signed in again, work that the former login started continues.
        """
        login = self._capture.former(handler)
        if login is not None and login.credential == "cookie":
            principal, _ = self._capture.cookie_being_given(handler, user)
            self._logins.replace(login.key, principal)

    def _is_taken(self, key: str | None, own: str | None) -> bool:
        """Tell whether a cookie belongs, or belonged, to a login other than ``own``."""
        if key is None or (own is not None and self._logins.is_same(key, own)):
            return False
        return key in self._given or self._logins.is_known(key)

    def _sign_out_first(self, handler: Any) -> None:
        """Delay the logout page's response until the end of the login would survive a restart."""
        verb = handler.request.method.lower()
        method = getattr(handler, verb)
        if verb != "get" or _is_asked_by_another_site(handler):
            return

        @functools.wraps(method)
        async def after_the_end(*args: Any, **kwargs: Any) -> None:
            self._logins.end(self._capture.login(handler).key, "signed_out")
            try:
                await self._logins.ended.saved()
            except StoreUnavailable as error:
                raise web.HTTPError(503, str(error)) from None
            answered = method(*args, **kwargs)
            if inspect.isawaitable(answered):
                await answered

        setattr(handler, verb, after_the_end)

    def _signing_out(self, clear_login_cookie: Any) -> Any:
        @functools.wraps(clear_login_cookie)
        def clear_and_end(handler: Any, *args: Any, **kwargs: Any) -> Any:
            user = user_so_far(handler)
            # In get_user, where Jupyter clears a cookie that it cannot read, there is no user.
            if user is not None and handler.identity_provider.auth_enabled:
                if _is_asked_by_another_site(handler):
                    ask_whether_to_sign_out(handler)
                self._logins.end(self._capture.login_of(handler, user).key, "signed_out")
            return clear_login_cookie(handler, *args, **kwargs)

        return clear_and_end


def _with_color(handler: Any, user: Any) -> Any:
    """Return the user of a request, in Jupyter's own ``api/me`` with a colour.

    JupyterLab would choose a random one for the user's cursor in shared documents.
    """
    if isinstance(handler, IdentityHandler) and not user.color:
        user.color = color_of(user.username)
    return user


def _would_loop(handler: Any, credential: str) -> bool:
    """Tell whether a client that follows redirects would come back from the login page at once."""
    redirects = not isinstance(handler, APIHandler) and not is_handshake(handler)
    return redirects and not KINDS[credential].own_form


def _is_asked_by_another_site(handler: Any) -> bool:
    return handler.request.headers.get("Sec-Fetch-Site") in _OTHER_SITES


def _login_form(handler: Any) -> type[Any]:
    form: type[Any] = handler.identity_provider.login_handler_class
    return form


def _logs_in(handler: Any) -> bool:
    """Tell whether a login cookie of this handler begins a login; elsewhere it renews one.

    Such a handler is the login form, or another one that the provider itself has brought, such as
    that of OAuth's redirect URI.
    """
    provider = handler.identity_provider
    if isinstance(handler, provider.logout_handler_class):
        return False
    brought = (route[1] for route in provider.get_handlers() if isinstance(route, tuple))
    return isinstance(handler, _login_form(handler)) or any(
        type(handler) is each for each in brought
    )


def _changes_something(handler: Any) -> bool:
    """Tell whether a request is due to user activity.

    JupyterLab saves the layout of its page every ten seconds, whatever the user does.
    """
    is_layout = type(handler).__module__ == _LAYOUT
    return handler.request.method not in _READING and not is_layout


def _wants_the_form(handler: Any) -> bool:
    is_page = handler.request.method == "GET" and isinstance(handler, _login_form(handler))
    return is_page and FORM_ANYWAY in handler.request.query_arguments


def _sign_again(handler: Any, later_s: int) -> None:
    """Sign the login cookie of this response again, with a time some seconds later."""
    secret, name = handler.settings["cookie_secret"], login_cookie_name(handler)
    morsel = cookies_being_set(handler)[name]  # keeps its attributes
    value = decode_signed_value(secret, name, morsel.value) or b""
    signed = create_signed_value(secret, name, value, clock=lambda: time.time() + later_s)
    morsel.set(name, signed.decode(), signed.decode())


def forget_login_cookie(handler: Any) -> None:
    """Clear the login cookie of a response, past our own wrapper: this is no signing out."""
    provider = handler.identity_provider
    clear = getattr(provider.clear_login_cookie, "__wrapped__", provider.clear_login_cookie)
    clear(handler)
