"""Why nobody can say who runs this code, and what to do: the texts of the errors."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from jupyter_session_user.errors import IdentityUnavailable

if TYPE_CHECKING:
    from jupyter_session_user.kernel.state import Helper

__all__ = ["no_message", "no_stamp", "no_visitor", "unavailable"]

#: Programs that run notebooks by themselves, and programs that are servers, as they stand on
#: a command line.
_RUNNERS = ("nbconvert", "papermill", "nbclient", "execute", "console", "jupyter-run")
_SERVERS = ("lab", "jupyter-server", "jupyter_server", "notebook", "singleuser", "voila")

_TEXTS = {
    "not_in_kernel": (
        "This process is not a Jupyter kernel, so there is no request and no user. "
        "Run the code in a notebook on a Jupyter Server that has jupyter_session_user "
        "installed, or pass default= to get a value instead of this error."
    ),
    "headless": (
        "No Jupyter Server stands behind this kernel: it was started by a program that runs "
        "notebooks by itself (nbconvert, papermill, jupyter console), so there is no user. "
        "Open the notebook on a Jupyter Server, or pass default= to get a value instead of "
        "this error."
    ),
    "server_without_extension": (
        "The Jupyter Server of this kernel does not say whose request this is: it runs without "
        "the extension. Install it in the server's environment "
        "(pip install jupyter-session-user), check it with 'jupyter server extension list', "
        "and restart the server."
    ),
    "voila_not_enabled": (
        "Voila does not say whose request this is: it runs without our classes. Run "
        "'jupyter session-user enable voila' in Voila's environment, check it with "
        "'jupyter session-user doctor', and restart Voila."
    ),
    "direct_client": (
        "This message reached the kernel past Jupyter Server ('jupyter console --existing' or "
        "another direct client), so nobody vouches for its sender. Run the code in a notebook "
        "on the server, or pass default= to get a value instead of this error."
    ),
    "no_context": (
        "This code runs in a thread or executor that belongs to no request: several people may "
        "use this kernel, and guessing could name the wrong one. Hand the identity over where "
        "the work is started: Thread(target=bind_current_user(fn)), "
        "executor.submit(bind_current_user(fn)), or use asyncio.to_thread(fn)."
    ),
    "disagreement": (
        "Another message was handled inside this one (a nested event loop), and the kernel no "
        "longer says reliably whose code this is. Take the user at the start of the cell: "
        "user = get_current_user(), or wrap the function with bind_current_user(fn)."
    ),
    "first_cell": (
        "jupyter_session_user was imported by this very cell, and such a cell cannot be "
        "attributed in a thread, or when it is asynchronous. Import it in a cell of its own, "
        "and run this cell again."
    ),
}
_NO_VISITOR = (
    "This code of an app runs for no visitor in particular: in a thread, an executor, or a task "
    "that outlives the page load or callback that started it. Guessing could name the wrong "
    "visitor. Hand the identity over where the work is started: "
    "Thread(target=bind_current_user(fn)), executor.submit(bind_current_user(fn)), "
    "create_task(bind_current_user(coroutine_function)()), or take user = get_current_user() "
    "before."
)


def unavailable(reason: str) -> IdentityUnavailable:
    """Return the error for one of the reasons, with its text."""
    return IdentityUnavailable(_TEXTS[reason], reason=reason)


def no_visitor() -> IdentityUnavailable:
    """Return the error for code of an app that runs for no visitor in particular."""
    return IdentityUnavailable(_NO_VISITOR, reason="no_context")


def no_message(helper: Helper | None) -> IdentityUnavailable:
    """Return the error for code in whose context no message was seen."""
    if helper is None:
        return unavailable("not_in_kernel")
    return unavailable("no_context" if helper.witnesses.handled else "first_cell")


def no_stamp(helper: Helper | None) -> IdentityUnavailable:
    """Return the error for a message without a stamp.

    Jupyter Server sets ``JPY_SESSION_NAME`` for the kernels of its documents. A notebook run
    from within such a kernel inherits it, so the launching program is looked at first.
    """
    if helper is not None and helper.stamped:
        return unavailable("direct_client")
    launcher = _launcher()
    if "voila" in launcher.split():
        return unavailable("voila_not_enabled")
    if any(name in launcher for name in _RUNNERS):
        return unavailable("headless")
    on_server = "JPY_SESSION_NAME" in os.environ or any(name in launcher for name in _SERVERS)
    return unavailable("server_without_extension" if on_server else "headless")


def _launcher() -> str:
    """Return the names on the command line that started this kernel; empty if unknown.

    ipykernel itself brings psutil; where it does not, the answer is just less precise.
    """
    psutil = sys.modules.get("psutil")
    if psutil is None:
        return ""
    try:
        words = psutil.Process(os.getppid()).cmdline()[:3]  # python -m jupyterlab
    except psutil.Error:
        return ""
    return " ".join(word.rpartition(os.sep)[2] for word in words)
