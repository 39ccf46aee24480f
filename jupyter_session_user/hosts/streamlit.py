"""Streamlit: the user of st.user and st.context, and an error where both are empty.

All private names of Streamlit are in this file: ``_context``, ``_check_run``, ``_check_login`` and
``error_util.show_uncaught_app_exception``.
"""

from __future__ import annotations

import functools
import os
import re
import sys
from contextlib import suppress
from importlib import import_module
from typing import Any

from jupyter_session_user.core.user import User
from jupyter_session_user.errors import AccessDenied, IdentityUnavailable
from jupyter_session_user.hosts.base import Host, HostRequest, HostSession, Visitor
from jupyter_session_user.kernel import message_context
from jupyter_session_user.kernel.diagnose import unavailable
from jupyter_session_user.kernel.made_up import VARIABLE
from jupyter_session_user.upstream import unsupported, wrap_if_there

__all__ = ["HOST"]

#: The attribute of a ScriptRunContext that holds the run's visitor. A context compares by its
#: fields and has no hash, so it cannot be a key of a dictionary of ours.
_SLOT = "_jupyter_session_user"
#: Claims that name an account; the first present one counts. A "name" is not unique.
_USERNAMES = ("email", "preferred_username", "username", "user", "login", "upn", "sub")

#: Streamlit's own, of ``st.login``.
_LOGIN_COOKIE = "_streamlit_user"

#: CommonMark section 2.4: a backslash makes it plain text.
_PUNCTUATION = re.compile(r"[!-/:-@\[-`{-~]")

_modules = sys.modules


class _Streamlit:
    name = "streamlit"
    #: The run that forked this process: Streamlit keeps it on the thread, which the child copies.
    _forked_by: Any = None

    def current(self) -> HostSession | None:
        context = _context()
        if context is None:
            return None  # only imported, or a bare thread
        if context is self._forked_by:
            raise unavailable("forked_process")
        visitor = getattr(context, _SLOT, None)
        if visitor is None or (visitor.verified and not context.user_info):
            visitor = _meet(context, visitor)
        session: HostSession = visitor.session()
        return session

    def install(self) -> None:
        """Record forks, and show refusals without a traceback."""
        message_context.after_fork(self._note_fork)
        shows = import_module("streamlit.error_util")
        wrap_if_there(shows, "show_uncaught_app_exception", _showing)

    def _note_fork(self) -> None:
        with suppress(IdentityUnavailable):  # raised if Streamlit's own names have changed
            self._forked_by = _context()

    def serving(self) -> bool:
        runtime = _modules.get("streamlit.runtime")
        return runtime is not None and bool(runtime.exists())


def _context() -> Any:
    """Return the ScriptRunContext that Streamlit gave this thread; None without one."""
    module = _modules.get("streamlit.runtime.scriptrunner_utils.script_run_context")
    if module is None or not hasattr(module, "get_script_run_ctx"):
        if HOST.serving():
            raise unsupported("streamlit", "script_run_context.get_script_run_ctx")
        return None
    return module.get_script_run_ctx(suppress_warning=True)


def _meet(context: Any, before: Visitor | None) -> Visitor:
    """Find out the visitor of a run, once for all of its code.

    A context belongs to one connection. When a tab's connection is replaced, perhaps by another
    user's after a login, Streamlit stops the run and begins the next one with a new context.
    """
    if before is not None:  # st.logout() was called in this run
        visitor = Visitor(
            "streamlit",
            before.user,
            verified=True,
            request=before.request,
            key=context.session_id,
            state="signed_out",
            revision=1,
        )
    else:
        headers = _modules["streamlit"].context.headers
        info = dict(context.user_info)
        _check_run(context, headers)
        mapped = None
        with suppress(RuntimeError):  # older releases raise it for an unknown setting
            mapped = _modules["streamlit"].get_option("server.trustedUserHeaders")
        # Only Streamlit's own signed cookie sets is_logged_in, unless a header may set it.
        verified = info.get("is_logged_in") is True and not mapped
        request = HostRequest(headers.get_all("Cookie"), headers.to_dict())
        _check_login(info, request)
        request.own_token = functools.partial(_own_token, context)
        visitor = Visitor(
            "streamlit",
            _user(info, verified=verified),
            verified=verified,
            authenticates=bool(mapped) or VARIABLE not in os.environ or _authenticates(),
            request=request,
            key=context.session_id,
        )
    setattr(context, _SLOT, visitor)
    return visitor


def _own_token(context: Any, request: HostRequest) -> tuple[str, float | None] | None:
    """Return the access token of the run's login, if ``expose_tokens`` has it."""
    del request
    tokens = context.user_info.get("tokens")
    token = tokens.get("access") if hasattr(tokens, "get") else None
    return None if token is None else (token, None)


def _showing(original: Any) -> Any:
    """Wrap the function that shows an error of the app: a refusal is a sentence for the visitor."""

    def show_uncaught_app_exception(error: BaseException) -> Any:
        if not isinstance(error, AccessDenied):
            return original(error)
        # The function shows Markdown; a user's name may contain some.
        return _modules["streamlit"].error(_PUNCTUATION.sub(r"\\\g<0>", error.sentence))

    return show_uncaught_app_exception


def _authenticates() -> bool:
    """Tell whether visitors can log in: ``st.user`` then says whether this one is logged in.

    ``context.user_info`` says it of visitors alone who are. Releases without ``st.user`` do not
    tell.
    """
    user = getattr(_modules["streamlit"], "user", None)
    return user is None or "is_logged_in" in user.to_dict()


def _check_run(context: Any, headers: Any) -> None:
    """Refuse a run without its connection: another user's may have replaced it."""
    state = getattr(context.script_requests, "_state", None)
    if state is None:
        raise unsupported("streamlit", "ScriptRunContext.script_requests._state")
    if not headers or state.name == "STOP":
        raise IdentityUnavailable(
            "The browser of this run of the app is no longer connected, and the run has not asked "
            "for its user before. Call get_current_user() at the top of the script.",
            reason="no_context",
        )


def _check_login(info: dict[str, Any], request: HostRequest) -> None:
    """Refuse a login on a release that may give it to a later user of the same page.

    Before 1.61, a page that connects again gets back its former session, whose ``st.user`` is that
    of the former login, whatever cookie the page shows now.
    """
    module = _modules.get("streamlit.runtime.app_session")
    if hasattr(getattr(module, "AppSession", None), "matches_user_info"):
        return
    if any(info.values()) or _LOGIN_COOKIE in request.cookies:
        raise IdentityUnavailable(
            "This release of Streamlit may give a page that connects again to the user who logged "
            "in there before. Upgrade it: pip install 'streamlit>=1.61'.",
            reason="unsupported_host",
        )


def _user(info: dict[str, Any], *, verified: bool) -> User | None:
    """Return the user that ``st.user`` describes; None for an anonymous visitor.

    Raises:
        IdentityUnavailable: It describes a user, but has no claim that names an account.
    """
    logged_in = info.pop("is_logged_in", None)
    info.pop("tokens", None)
    if logged_in is False or not any(info.values()):
        return None
    if info.get("email_verified") is False:
        info.pop("email", None)  # the provider lets users claim any address
    username = next(filter(None, (info.get(key) for key in _USERNAMES)), None)
    if not isinstance(username, str):
        raise IdentityUnavailable(
            f"st.user describes a user, but has none of {', '.join(_USERNAMES)}. Map the header "
            "or the claim with the account's name to one of these (server.trustedUserHeaders, or "
            "the settings of the provider).",
            reason="unsupported_host",
        )
    groups = info.get("groups") if verified else None
    return User(
        username,
        info["name"] if isinstance(info.get("name"), str) else "",
        avatar_url=info["picture"] if isinstance(info.get("picture"), str) else None,
        groups=tuple(g for g in groups if isinstance(g, str)) if isinstance(groups, list) else (),
        claims=info,
    )


HOST: Host = _Streamlit()
