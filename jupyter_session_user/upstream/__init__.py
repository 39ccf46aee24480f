"""The private names of other projects that the package uses: one table, and its check.

A private name may move in any release. So the table lists each name, and each project's names stand
in one file. :func:`missing` returns the names that a release no longer has. The server, each kernel
and each host check their names when they start; ``jupyter session-user doctor`` checks all names.
docs/upstream.md explains why each name is needed, and which public hook would replace it.
"""

from __future__ import annotations

import functools
import logging
import re
import sys
from collections.abc import Callable, Iterable
from importlib import import_module
from inspect import unwrap
from types import CodeType
from typing import Any, NamedTuple

from jupyter_session_user.errors import IdentityUnavailable

__all__ = [
    "MARK",
    "PRIVATE",
    "Private",
    "check",
    "loaded",
    "missing",
    "trouble",
    "unsupported",
    "wrap",
    "wrap_if_there",
]

#: The attribute of a wrapper that this package has put around another project's function.
MARK = "__jupyter_session_user__"

_log = logging.getLogger("jupyter_session_user")


class Private(NamedTuple):
    """A private name of another project.

    Attributes:
        project: The name of the project's package.
        name: The name.
        place: ``module:Class`` that has it, or ``module:function`` with code that uses it.
        file: The only file of this package with this name, below the package.
        since: The oldest release that has it; the package does not need it on older releases.
        overrides: Whether a subclass overrides it: such a name stands in the subclass's file.
    """

    project: str
    name: str
    place: str
    file: str
    since: tuple[int, ...] = ()
    overrides: bool = False


_TORNADO, _JUPYTER, _BOKEH = (
    "upstream/tornado.py",
    "upstream/jupyter_server.py",
    "upstream/bokeh.py",
)
_NBMODEL, _DOCUMENTS = "server/messages/runners/nbmodel.py", "server/messages/runners/documents.py"
_ROOM = "jupyter_server_documents.rooms.ynotebook_room"
_SELECTOR, _PROACTOR = "asyncio.selector_events:BaseSelectorEventLoop", "asyncio.proactor_events"
_PANEL_ASGI = "panel.io.asgi:PanelASGI"
_CACHES = "hosts/caches.py"
_STREAMLIT_CACHE = "streamlit.runtime.caching.cache_utils:CachedFunc"

PRIVATE = (
    Private("tornado", "_new_cookie", "tornado.web:RequestHandler.set_cookie", _TORNADO),
    Private("tornado", "_finished", "tornado.web:RequestHandler.finish", _TORNADO),
    Private(
        "tornado",
        "_close_callback",
        "tornado.http1connection:HTTP1Connection.set_close_callback",
        _TORNADO,
    ),
    Private(
        "jupyter_server",
        "_token_authenticated",
        "jupyter_server.auth.identity:IdentityProvider.is_token_authenticated",
        _JUPYTER,
    ),
    Private(
        "jupyter_server",
        "_jupyter_current_user",
        "jupyter_server.base.handlers:JupyterHandler.prepare",
        _JUPYTER,
    ),
    Private(
        "jupyter_server",
        "_name_value_map",
        "jupyter_server.base.call_context:CallContext",
        _JUPYTER,
    ),
    Private(
        "jupyter_server",
        "_kernel_info_future",
        "jupyter_server.services.kernels.connection.channels:ZMQChannelsWebsocketConnection",
        _JUPYTER,
    ),
    Private(
        "jupyter_server",
        "_link_jupyter_server_extension",
        "jupyter_server.extension.application:ExtensionApp",
        "server/extension.py",
        overrides=True,
    ),
    Private(
        "jupyter_server",
        "_async_start_kernel",
        "jupyter_server.services.kernels.kernelmanager:AsyncMappingKernelManager",
        "server/voila.py",
        overrides=True,
    ),
    Private(
        "jupyterhub",
        "_jupyterhub_user",
        "jupyterhub.singleuser.extension:JupyterHubIdentityProvider.get_user",
        "upstream/jupyterhub.py",
    ),
    Private(
        "jupyterhub",
        "_cached_hub_user",
        "jupyterhub.services.auth:HubAuth._get_user",
        "upstream/jupyterhub.py",
    ),
    Private(
        "jupyterhub",
        "_api_request",
        "jupyterhub.services.auth:HubAuth",
        "upstream/jupyterhub.py",
    ),
    Private(
        "jupyter_server_nbmodel",
        "_execute_snippet",
        "jupyter_server_nbmodel.actions",
        _NBMODEL,
    ),
    Private("jupyter_server_nbmodel", "_stdin_hook", "jupyter_server_nbmodel.actions", _NBMODEL),
    Private("jupyter_server_documents", "_ExecutionItem", _ROOM, _DOCUMENTS),
    Private("jupyter_server_documents", "_run_item", f"{_ROOM}:YNotebookRoom", _DOCUMENTS),
    Private(
        "jupyter_server_documents",
        "_kernel_manager",
        f"{_ROOM}:YNotebookRoom.__init__",
        _DOCUMENTS,
    ),
    Private(
        "ipykernel",
        "_shell_parent",
        "ipykernel.kernelbase:Kernel.__init__",
        "kernel/ipykernel.py",
        since=(7,),
    ),
    Private("ipykernel", "_input_request", "ipykernel.kernelbase:Kernel", "kernel/ipykernel.py"),
    Private("asyncio", "_add_reader", _SELECTOR, "kernel/detached.py"),
    Private("asyncio", "_add_writer", _SELECTOR, "kernel/detached.py"),
    Private("asyncio", "_run", "asyncio.events:Handle", "kernel/ipykernel.py"),
    Private(
        "asyncio",
        "_asyncgen_finalizer_hook",
        "asyncio.base_events:BaseEventLoop",
        "kernel/detached.py",
    ),
    Private("asyncio", "_start_serving", _SELECTOR, "server/messages/outside.py"),
    Private("threading", "_target", "threading:Thread.run", "hosts/solara.py"),
    Private("bokeh", "_document", "bokeh.server.contexts:BokehSessionContext.__init__", _BOKEH),
    Private(
        "bokeh",
        "_document",
        "bokeh.document.callbacks:DocumentCallbackManager.__init__",
        _BOKEH,
    ),
    Private("bokeh", "_request", "bokeh.server.contexts:BokehSessionContext.__init__", _BOKEH),
    Private("bokeh", "_request", "bokeh.server.contexts:_RequestProxy.__init__", _BOKEH),
    Private("bokeh", "_request", "bokeh.server.asgi:BokehASGI", _BOKEH, since=(3, 10)),
    Private("bokeh", "_authenticate", "bokeh.server.asgi:BokehASGI", _BOKEH, since=(3, 10)),
    Private("bokeh", "_ensure_started", "bokeh.server.asgi:BokehASGI", _BOKEH, since=(3, 10)),
    Private("bokeh", "_auth_policy", "bokeh.server.asgi:BokehASGI.__init__", _BOKEH, (3, 10)),
    Private(
        "bokeh", "_func", "bokeh.application.handlers.function:FunctionHandler.__init__", _BOKEH
    ),
    Private("panel", "_thread_pool", "panel.io.state:_state", "hosts/panel.py"),
    Private("panel", "_scheduled_cb", "panel.io.state:_state", "hosts/panel.py"),
    Private("panel", "_oauth_user_overrides", "panel.io.state:_state", "hosts/panel.py"),
    Private("panel", "_authorize", "panel.io.server:DocHandler", "hosts/panel.py"),
    Private("panel", "_events", "panel.reactive:Syncable.__init__", "hosts/panel.py"),
    Private("panel", "_change_event", "panel.reactive:Syncable", "hosts/panel.py"),
    Private("panel", "_schedule_change", "panel.reactive:Syncable", "hosts/panel.py"),
    Private("panel", "_authorize", _PANEL_ASGI, "hosts/panel.py", since=(1, 10)),
    Private("panel", "_ensure_started", _PANEL_ASGI, "hosts/panel.py", since=(1, 10)),
    Private("django", "_cached_user", "django.contrib.auth.middleware:get_user", "hosts/django.py"),
    Private("django", "_acached_user", "django.contrib.auth.middleware:auser", "hosts/django.py"),
    Private(
        "django",
        "_setupfunc",
        "django.utils.functional:SimpleLazyObject.__init__",
        "hosts/django.py",
    ),
    Private("gradio", "_queue", "gradio.blocks:Blocks.queue", "hosts/gradio.py"),
    Private("gradio", "_id", "gradio.queueing:Event.__init__", "hosts/gradio.py"),
    Private("nicegui", "_request", "nicegui.client:Client.__init__", "hosts/nicegui.py"),
    Private("nicegui", "_on_event", "nicegui.nicegui", "hosts/nicegui.py"),
    Private(
        "shiny",
        "_invocation_queue",
        "shiny.reactive._extended_task:ExtendedTask.__init__",
        "hosts/shiny.py",
    ),
    Private("shiny", "_reactive_environment", "shiny.reactive._core", "hosts/shiny.py"),
    Private("shiny", "_current_session", "shiny.session._utils", "hosts/shiny.py"),
    Private("shiny", "_run", "shiny.session._session:AppSession", "hosts/shiny.py"),
    Private("shiny", "_unhandled_error", "shiny.session._session:AppSession", "hosts/shiny.py"),
    Private(
        "streamlit",
        "_state",
        "streamlit.runtime.scriptrunner_utils.script_requests:ScriptRequests.__init__",
        "hosts/streamlit.py",
    ),
    Private("streamlit", "_info", f"{_STREAMLIT_CACHE}.__init__", _CACHES),
    Private("streamlit", "_handle_cache_miss", _STREAMLIT_CACHE, _CACHES),
    Private("streamlit", "_handle_cache_miss_async", _STREAMLIT_CACHE, _CACHES, (1, 67)),
    Private(
        "marimo", "_update", "marimo._plugins.ui._core.ui_element:UIElement", "hosts/marimo.py"
    ),
    Private("marimo", "_loader_partial", "marimo._save.save:_cache_call.__init__", _CACHES),
    Private("marimo", "_execute_cached", "marimo._save.save:_cache_call_async", _CACHES),
)


def missing(project: str, *, load: bool = False) -> list[str]:
    """Return the private names that the installed release of a project no longer has.

    Args:
        project: The name of its package.
        load: Whether to import the modules; else only those count that are loaded already.
    """
    if load:
        _load(project)
    release = tuple(int(number) for number in re.findall(r"\d+", _version(project))[:2])
    return [
        f"{private.place.removeprefix(f'{project}.')} ({private.name})"
        for private in PRIVATE
        if private.project == project and release >= private.since and not _has(private, load=load)
    ]


def trouble(project: str, *, load: bool = False) -> str:
    """Return what is wrong with the installed release of a project, and the fix; else nothing."""
    lacking = missing(project, load=load)
    return _text(project, "user", lacking) if lacking else ""


@functools.cache
def check(*projects: str) -> None:
    """Log what is wrong with the releases of these projects, once in a process."""
    for text in filter(None, map(trouble, projects)):
        _log.error("%s", text)


def unsupported(project: str, what: str) -> IdentityUnavailable:
    """Return the error for a project that has moved or removed a private name that we use."""
    return IdentityUnavailable(_text(project, "visitor", [what]), reason="unsupported_host")


def wrap(owner: Any, name: str, make: Callable[[Any], Any], project: str) -> None:
    """Replace a function of another project by a wrapper around it; harmless when repeated.

    Args:
        owner: The class, which must define the function itself; or a module or an object.
        name: The function's name.
        make: Gets the function, and returns the wrapper.
        project: The name of the project's package.

    Raises:
        IdentityUnavailable: This release of the project has no such function.
    """
    if not wrap_if_there(owner, name, make):
        owned_by = getattr(owner, "__name__", type(owner).__name__)
        raise unsupported(project, f"{owned_by}.{name}")


def wrap_if_there(owner: Any, name: str, make: Callable[[Any], Any], mark: str = MARK) -> bool:
    """Wrap a function as :func:`wrap` does, and return whether there is one.

    Args:
        owner: As of :func:`wrap`.
        name: The same.
        make: The same.
        mark: The attribute of a function that has been wrapped.
    """
    found = vars(owner).get(name) if isinstance(owner, type) else getattr(owner, name, None)
    if not callable(found):
        return False
    if not hasattr(found, mark):
        wrapped = functools.wraps(found)(make(found))
        setattr(wrapped, mark, True)
        setattr(owner, name, wrapped)
    return True


def loaded(project: str, module: str, name: str = "") -> Any:
    """Return a loaded module of a project, or what it has under a name.

    Raises:
        IdentityUnavailable: It has no such name, or is not loaded.
    """
    found = sys.modules.get(module)
    if name:
        found = getattr(found, name, None)
    if found is None:
        place = f"{module}.{name}".rstrip(".")
        raise unsupported(project, place.removeprefix(f"{project}."))
    return found


def _text(project: str, whom: str, names: Iterable[str]) -> str:
    version = _version(project)
    return (
        f"{project} {version} has no {', '.join(names)}, by which jupyter_session_user knows the "
        f"{whom}. Install a release of jupyter-session-user that supports {project} {version}."
    )


def _version(project: str) -> str:
    if project in sys.stdlib_module_names:
        return sys.version.split()[0]
    return str(getattr(sys.modules.get(project), "__version__", "unknown"))


def _load(module: str) -> bool:
    """Import a module if possible; return False if its own package no longer has it."""
    try:
        import_module(module)
    except ImportError as error:
        return not (error.name or "").startswith(module.partition(".")[0])
    except Exception:  # noqa: BLE001 - Django without settings: nothing can be said
        return True
    return True


def _has(private: Private, *, load: bool) -> bool:
    """Tell whether a name is where the table says; True if its module is not loaded."""
    module_name, _, path = private.place.partition(":")
    if load and not _load(module_name):
        return False
    module = sys.modules.get(module_name)
    if module is None:
        return True
    owner_name, _, last = path.rpartition(".")
    owner = getattr(module, owner_name, None) if owner_name else module
    named = getattr(owner, last, None) if last else module
    if named is module or isinstance(named, type):
        return hasattr(named, private.name)
    # A subclass may stand in the class's place: Panel puts one there, around Bokeh's.
    classes = owner.__mro__ if isinstance(owner, type) else (owner,)
    functions = (vars(cls)[last] for cls in classes if cls is not None and last in vars(cls))
    codes = (getattr(unwrap(function), "__code__", None) for function in functions)
    return any(_uses(code, private.name) for code in codes if code is not None)


def _uses(code: CodeType, name: str) -> bool:
    """Tell whether code, or a function within it, reads or sets an attribute of this name."""
    inner = (constant for constant in code.co_consts if isinstance(constant, CodeType))
    named = name in code.co_names or name in code.co_consts
    return named or any(_uses(other, name) for other in inner)
