"""The texts of the errors: the reason for the unknown user, and the fix."""

from __future__ import annotations

import os
import sys
from types import FrameType

from jupyter_session_user.errors import IdentityUnavailable

__all__ = ["no_kernel", "no_stamp", "no_visitor", "unavailable"]

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
        "This kernel has no Jupyter Server: it was started by a program that runs "
        "notebooks by itself (nbconvert, papermill, jupyter console), so there is no user. "
        "Open the notebook on a Jupyter Server, or pass default= to get a value instead of "
        "this error."
    ),
    "server_without_extension": (
        "The Jupyter Server of this kernel does not name the user of this request: it runs without "
        "the extension. Install it in the server's environment "
        "(pip install jupyter-session-user), check it with 'jupyter server extension list', "
        "and restart the server."
    ),
    "voila_not_enabled": (
        "Voila does not name the user of this request: it runs without this package. Install it in "
        "Voila's environment (pip install jupyter-session-user), run "
        "'jupyter session-user enable voila' there, and restart Voila."
    ),
    "direct_client": (
        "This message did not pass through Jupyter Server ('jupyter console --existing' or "
        "another direct client), so its sender is not verified. Run the code in a notebook "
        "on the server, or pass default= to get a value instead of this error."
    ),
    "no_context": (
        "This code runs in a thread or executor that belongs to no request. Several users may "
        "share this kernel, and a guess could name the wrong one. Hand the identity over where "
        "the work is started: Thread(target=bind_current_user(fn)), "
        "executor.submit(bind_current_user(fn)), or use asyncio.to_thread(fn)."
    ),
    "forked_process": (
        "This process was forked from the one that handles requests (multiprocessing, "
        "ProcessPoolExecutor, os.fork), so no request runs this code. Pass the session as an "
        "argument: session = get_session() before, and 'with bind_current_user(session=session):' "
        "in the process. It cannot ask Jupyter Server for cookies or updates: get them before "
        "it starts."
    ),
    "finalizer": (
        "The garbage collector runs this code (__del__, or a callback of a weak reference) while "
        "it interrupts other code, so it belongs to no request. Call user = get_current_user() "
        "when the object is made, and use that user."
    ),
    "debugger": (
        "A debugger evaluates this code in a frame that it has stopped. The user at the debugger "
        "may differ from the user of that frame. Look at a variable of the frame instead: "
        "user = get_current_user() in the code that is being debugged."
    ),
    "disagreement": (
        "Another message was handled inside this one (a nested event loop), and the kernel no "
        "longer knows the user of this code reliably. Get the user at the start of the cell: "
        "user = get_current_user(), or wrap the function with bind_current_user(fn)."
    ),
    "first_cell": (
        "The kernel has handled no message since jupyter_session_user was imported, and this is "
        "not the code of the importing cell itself: it runs in a thread, a task, a callback or a "
        "startup file, or on ipykernel 6 in an async cell. Import the package in a cell of its "
        "own, and run this code again."
    ),
}
_NO_VISITOR = (
    "This code of an app runs for no visitor in particular: in a thread, an executor, or a task "
    "that outlives the page load or callback that started it. A guess could name the wrong "
    "visitor. Hand the identity over where the work is started: "
    "Thread(target=bind_current_user(fn)), executor.submit(bind_current_user(fn)), "
    "create_task(bind_current_user(coroutine_function)()), or call user = get_current_user() "
    "before."
)
_IN_ADVANCE = (
    "The server makes this page in advance, before any visitor asks for it (--warm, --dev). With "
    "--reuse-sessions, visitors get a copy of this page. Call get_current_user() in a callback, or "
    "start the server without these options."
)


#: Advice for apps, by a module that such an app has loaded. The first match counts.
_IN_APPS = {
    "streamlit.runtime": (
        "In Streamlit, call it in the script that 'streamlit run' serves, or in a callback of its "
        "page."
    ),
    "marimo": (
        "In marimo, call it in a cell of 'marimo run' or 'marimo edit'; a notebook that Python "
        "runs as a script has no visitor."
    ),
    "gradio.blocks": (
        "In Gradio, call it in the function of an event: a button, demo.load, a timer. Code that "
        "builds the page, and cached examples, run without a visitor."
    ),
    "django.conf": (
        "In Django, list 'jupyter_session_user.hosts.django.SessionUserMiddleware' in MIDDLEWARE, "
        "after AuthenticationMiddleware."
    ),
    "nicegui.nicegui": (
        "In a NiceGUI app, call app.add_middleware(SessionUserMiddleware, user=…) before ui.run(), "
        "or on the FastAPI app that ui.run_with() gets."
    ),
    "solara.server.server": (
        "In a Solara app, put SessionUserMiddleware around solara.server.starlette.app, or call "
        "identity_from_cookie at the top of the app."
    ),
    "dash.dash": (
        "In a Dash app, set app.server.wsgi_app = SessionUserWSGIMiddleware(app.server.wsgi_app, "
        "user=…). Dash calls a layout function once at its start, without a visitor; "
        "Dash(suppress_callback_exceptions=True) prevents that call."
    ),
    "shiny.session": (
        "In a Shiny app, call app.starlette_app.add_middleware(SessionUserMiddleware, user=…), and "
        "call it in the server function, an effect or an output. Shiny Express makes the page "
        "itself once, before the first visitor opens it."
    ),
    "starlette.applications": (
        "In a FastAPI or Starlette app, call app.add_middleware(SessionUserMiddleware, user=…)."
    ),
    "flask.app": (
        "In a Flask app, set app.wsgi_app = SessionUserWSGIMiddleware(app.wsgi_app, user=…)."
    ),
}


def unavailable(reason: str) -> IdentityUnavailable:
    """Return the error for one of the reasons, with its text."""
    return IdentityUnavailable(_TEXTS[reason], reason=reason)


def no_visitor() -> IdentityUnavailable:
    """Return the error for code of an app that runs for no visitor in particular."""
    text = _IN_ADVANCE if _makes_page() else _NO_VISITOR
    return IdentityUnavailable(text, reason="no_context")


def _makes_page() -> bool:
    """Tell whether Bokeh's server is running an app's script; with a visitor, nobody asks."""
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001 - the documented way to the stack
    while frame is not None:
        module = str(frame.f_globals.get("__name__", ""))
        if frame.f_code.co_name == "initialize_document" and module.startswith("bokeh."):
            return True
        frame = frame.f_back
    return False


def no_kernel() -> IdentityUnavailable:
    """Return the error for a plain process; one that has a web framework may be its app."""
    app = next((text for module, text in _IN_APPS.items() if module in sys.modules), "")
    return IdentityUnavailable(
        " ".join(filter(None, (_TEXTS["not_in_kernel"], app))), reason="not_in_kernel"
    )


def no_stamp() -> IdentityUnavailable:
    """Return the error for a kernel that has had no message with a stamp.

    Jupyter Server sets ``JPY_SESSION_NAME`` for the kernels of its documents. A notebook run
    from within such a kernel inherits it, so the launching program is looked at first.
    """
    launcher = _launcher()
    if "voila" in launcher.split():
        return unavailable("voila_not_enabled")
    if any(name in launcher for name in _RUNNERS):
        return unavailable("headless")
    on_server = "JPY_SESSION_NAME" in os.environ or any(name in launcher for name in _SERVERS)
    return unavailable("server_without_extension" if on_server else "headless")


def _launcher() -> str:
    """Return the names on the command line that started this kernel; empty if unknown.

    ipykernel itself brings psutil; without it, the answer is just less precise.
    """
    psutil = sys.modules.get("psutil")
    if psutil is None:
        return ""
    try:
        words = psutil.Process(os.getppid()).cmdline()[:3]  # python -m jupyterlab
    except psutil.Error:
        return ""
    return " ".join(word.rpartition(os.sep)[2] for word in words)
