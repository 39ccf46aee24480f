"""Where all routes meet: the identity provider, wrapped on the instance.

A login that is over is refused here, whichever route it comes by. A plain Jupyter Server
would accept its cookie for a month, also after the person has signed out.
"""

from __future__ import annotations

import functools
import inspect
import time
import weakref
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from jupyter_server.services.kernels.websocket import KernelWebsocketHandler
from tornado.web import create_signed_value, decode_signed_value
from tornado.websocket import WebSocketHandler

from jupyter_session_user.server.capture import evidence_of, login_cookie_name

if TYPE_CHECKING:
    from jupyter_server.auth.identity import IdentityProvider
    from jupyter_server.base.handlers import JupyterHandler

    from jupyter_session_user.server.capture import Capture
    from jupyter_session_user.server.logins import KnownLogin, Logins

__all__ = ["Gate"]

_MOST_LOGINS_IN_A_SECOND = 100

_READING = frozenset({"GET", "HEAD", "OPTIONS"})


class Gate:
    """Refuses logins that are over, and takes note of all others.

    Args:
        capture: Tells what login a request belongs to.
        logins: How it stands with it.
        before: Called before every request; what must hold then is seen to by it.
        signed_out: Called with a login that has just been at the logout page.
    """

    def __init__(
        self,
        capture: Capture,
        logins: Logins,
        before: Callable[[], None],
        signed_out: Callable[[KnownLogin], None],
    ) -> None:
        self._capture = capture
        self._logins = logins
        self._before = before
        self._signed_out = signed_out
        #: Keys of the latest logins: their browsers may not have come with them yet.
        self._given: deque[str | None] = deque(maxlen=_MOST_LOGINS_IN_A_SECOND)
        self._askers: weakref.WeakKeyDictionary[Any, Any] = weakref.WeakKeyDictionary()

    def guard(self, provider: IdentityProvider) -> None:
        """Stand in the path of this provider; harmless when repeated."""
        if provider in self._askers:
            return
        self._askers[provider] = provider.get_user
        for name, wrap in (
            ("get_user", self._behind_us),
            ("clear_login_cookie", self._signing_out),
            ("set_login_cookie", self._signing_in),
        ):
            setattr(provider, name, wrap(getattr(provider, name)))

    def ask(self, handler: JupyterHandler) -> Any:
        """Return what the provider itself says of a request, perhaps as an awaitable."""
        provider = handler.identity_provider
        return self._askers.get(provider, provider.get_user)(handler)

    def _behind_us(self, get_user: Any) -> Any:
        @functools.wraps(get_user)
        def get_user_behind_us(handler: Any) -> Any:
            self._before()
            user = get_user(handler)
            if inspect.isawaitable(user):
                return self._later(handler, user)
            return self._let_in(handler, user)

        return get_user_behind_us

    async def _later(self, handler: Any, user: Any) -> Any:
        return self._let_in(handler, await user)

    def _let_in(self, handler: Any, user: Any) -> Any:
        """Return the user, or None where the login is over."""
        if user is None or not handler.identity_provider.auth_enabled:
            return user
        login = self._capture.login_of(handler, user)
        opens_page = _opens_page(handler.request)
        if self._logins.refuses(login, navigation=opens_page):
            if opens_page:  # or the browser would show it again to the login form
                _forget_cookie(handler)
            return None
        active = opens_page or handler.request.method not in _READING
        known = self._logins.saw(login, evidence_of(handler), active=active)
        self._follow(handler, known)
        return user

    def _follow(self, handler: Any, known: KnownLogin) -> None:
        """See what becomes of the request: a socket that stays open, or a renewed cookie."""
        if isinstance(handler, WebSocketHandler):
            if not isinstance(handler, KernelWebsocketHandler):
                known.others.add(handler)
            return
        on_finish = handler.on_finish

        def finished() -> None:
            self._finished(handler, known)
            on_finish()

        handler.on_finish = finished

    def _finished(self, handler: Any, known: KnownLogin) -> None:
        if handler.current_user is not None:
            self._capture.session_of(handler, None)
        if isinstance(handler, handler.identity_provider.logout_handler_class):
            self._signed_out(known)
            return
        renewal = self._capture.renewal(handler)
        if renewal is not None and not isinstance(handler, _login_form(handler)):
            self._logins.renewed(*renewal)

    def _signing_in(self, set_login_cookie: Any) -> Any:
        """Make sure that each login gets a cookie of its own.

        A signed value holds the time in whole seconds: two logins of one person in the same
        second would be one, and the second one over if the first is.
        """

        @functools.wraps(set_login_cookie)
        def set_own_cookie(handler: Any, user: Any) -> Any:
            result = set_login_cookie(handler, user)
            if isinstance(handler, _login_form(handler)):
                self._make_unique(handler, user)
            return result

        return set_own_cookie

    def _make_unique(self, handler: Any, user: Any) -> None:
        key = self._capture.key_being_given(handler, user)
        for later_s in range(1, _MOST_LOGINS_IN_A_SECOND):
            if key is None or not self._is_taken(key):
                break
            _sign_again(handler, later_s)
            key = self._capture.key_being_given(handler, user)
        self._given.append(key)

    def _is_taken(self, key: str) -> bool:
        return key in self._given or self._logins.is_known(key)

    def _signing_out(self, clear_login_cookie: Any) -> Any:
        @functools.wraps(clear_login_cookie)
        def clear_and_end(handler: Any, *args: Any, **kwargs: Any) -> Any:
            user = getattr(handler, "_jupyter_current_user", None)
            # Within get_user, where Jupyter clears a cookie that it cannot read, there is none.
            if user is not None and handler.identity_provider.auth_enabled:
                self._logins.end(self._capture.login_of(handler, user).key, "ended")
            return clear_login_cookie(handler, *args, **kwargs)

        return clear_and_end


def _opens_page(request: Any) -> bool:
    """Tell whether a person opens a page; what a page fetches does not ask for HTML."""
    return request.method == "GET" and "text/html" in request.headers.get("Accept", "")


def _login_form(handler: Any) -> type[Any]:
    form: type[Any] = handler.identity_provider.login_handler_class
    return form


def _sign_again(handler: Any, later_s: int) -> None:
    """Sign the login cookie that is being set as if that were some seconds later."""
    secret, name = handler.settings["cookie_secret"], login_cookie_name(handler)
    morsel = handler._new_cookie[name]  # noqa: SLF001 - with its attributes, which stay
    value = decode_signed_value(secret, name, morsel.value) or b""
    signed = create_signed_value(secret, name, value, clock=lambda: time.time() + later_s)
    morsel.set(name, signed.decode(), signed.decode())


def _forget_cookie(handler: Any) -> None:
    provider = handler.identity_provider
    clear = getattr(provider.clear_login_cookie, "__wrapped__", provider.clear_login_cookie)
    clear(handler)
