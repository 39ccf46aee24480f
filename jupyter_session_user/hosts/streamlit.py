"""Streamlit: who st.user and st.context say it is, and an error where both would say nothing.

All private names of Streamlit stand in this file: ``_context`` and ``_check_run``.
"""

from __future__ import annotations

import sys
from typing import Any

from jupyter_session_user.core.user import User
from jupyter_session_user.errors import IdentityUnavailable
from jupyter_session_user.hosts.base import Host, HostRequest, HostSession, Visitor, moved

__all__ = ["HOST"]

#: Where a run's visitor is kept, on its ScriptRunContext.
_SLOT = "_jupyter_session_user"
#: What an account may be called by; the first that is there. A person's "name" is nobody's own.
_USERNAMES = ("email", "preferred_username", "username", "user", "login", "upn", "sub")

_modules = sys.modules


class _Streamlit:
    name = "streamlit"

    def current(self) -> HostSession | None:
        context = _context()
        if context is None:
            return None  # merely imported, or a bare thread
        visitor = getattr(context, _SLOT, None)
        if visitor is None or (visitor.verified and not context.user_info):
            visitor = _meet(context, visitor)
        session: HostSession = visitor.session()
        return session

    def install(self) -> None:
        """Do nothing: nothing of Streamlit is patched."""

    def serving(self) -> bool:
        runtime = _modules.get("streamlit.runtime")
        return runtime is not None and bool(runtime.exists())


def _context() -> Any:
    """Return the ScriptRunContext of this thread; a thread has one if Streamlit gave it one."""
    module = _modules.get("streamlit.runtime.scriptrunner_utils.script_run_context")
    if module is None or not hasattr(module, "get_script_run_ctx"):
        if HOST.serving():
            raise moved("streamlit", "script_run_context.get_script_run_ctx")
        return None
    return module.get_script_run_ctx(suppress_warning=True)


def _meet(context: Any, before: Visitor | None) -> Visitor:
    """Find out who the visitor of a run is, once for all of its code.

    A context belongs to one connection: when a tab's connection is replaced, maybe by another
    person's after a login, Streamlit stops the run and begins the next one with a new context.
    """
    if before is not None:  # st.logout() was called in this run
        visitor = Visitor(
            "streamlit",
            before.user,
            verified=True,
            request=before.request,
            key=context.session_id,
            state="ended",
            revision=1,
        )
    else:
        visitor = _visitor(context)
    setattr(context, _SLOT, visitor)
    return visitor


def _visitor(context: Any) -> Visitor:
    headers = _modules["streamlit"].context.headers
    info = dict(context.user_info)
    _check_run(context, headers)
    mapped = _mapped_headers()
    # Nothing but Streamlit's own signed cookie says is_logged_in, unless a header may.
    verified = info.get("is_logged_in") is True and not mapped
    user = _user(info, verified=verified)
    return Visitor(
        "streamlit",
        user,
        verified=verified,
        request=HostRequest(headers.get_all("Cookie"), headers.to_dict()),
        key=context.session_id,
    )


def _mapped_headers() -> Any:
    try:
        return _modules["streamlit"].get_option("server.trustedUserHeaders")
    except RuntimeError:  # what older releases say of a setting that they do not have
        return None


def _check_run(context: Any, headers: Any) -> None:
    """Refuse a run whose connection is gone: another person's may have taken its place."""
    state = getattr(context.script_requests, "_state", None)
    if state is None:
        raise moved("streamlit", "ScriptRunContext.script_requests._state")
    if not headers or state.name == "STOP":
        raise IdentityUnavailable(
            "The browser that this run of the app belongs to is no longer connected, and nobody "
            "asked before who it was. Call get_current_user() at the top of the script.",
            reason="no_context",
        )


def _user(info: dict[str, Any], *, verified: bool) -> User | None:
    """Return whom ``st.user`` describes; None if nobody.

    Raises:
        IdentityUnavailable: It describes somebody, and has nothing that an account is called by.
    """
    logged_in = info.pop("is_logged_in", None)
    info.pop("tokens", None)
    if logged_in is False or not any(info.values()):
        return None
    if info.get("email_verified") is False:
        info.pop("email", None)  # the provider lets people claim any address
    username = next(filter(None, (info.get(key) for key in _USERNAMES)), None)
    if not isinstance(username, str):
        raise IdentityUnavailable(
            f"st.user describes somebody, and has none of {', '.join(_USERNAMES)}. Map the header "
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
