"""Bokeh's server, also under ``panel serve``: the visitor of each page and each callback.

The identity comes from the real request: the page's request while the page is made, and the
websocket's request while its message is handled. It never comes from the session's token, which
the browser holds and can write itself, and never from ``curdoc()``, which other threads share.

All app code runs in an *entry*: the making of one document, or one callback on it. The entry ends
with that code, so a task that outlives it has no user. The private names of Bokeh are in
``upstream/bokeh.py``.
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from contextvars import ContextVar
from importlib import import_module
from threading import get_ident
from typing import Any
from weakref import WeakKeyDictionary, ref

from jupyter_session_user.errors import AccessDenied, IdentityUnavailable
from jupyter_session_user.hosts import bokeh_denied
from jupyter_session_user.hosts.base import HostSession, Visitor
from jupyter_session_user.hosts.bokeh_asker import asker_of_page
from jupyter_session_user.hosts.bokeh_extension import bring_banner, bring_files, unnamed_page
from jupyter_session_user.hosts.tornado import visitor_of
from jupyter_session_user.kernel import message_context
from jupyter_session_user.kernel.diagnose import unavailable
from jupyter_session_user.upstream import unsupported, wrap
from jupyter_session_user.upstream.bokeh import document_of_callbacks, document_of_context

__all__ = [
    "HOST",
    "Entry",
    "Part",
    "announcing_page",
    "asked_by",
    "begin_request",
    "current_handler",
    "entered",
    "entry",
    "for_nobody",
    "known_better",
    "making_page",
    "note_document",
    "owners",
]

_KERNEL = "ipykernel.kernelapp"
_COMMANDS = frozenset({"bokeh.command.subcommands.serve", "panel.command.serve"})
_THREADS_INHERIT = bool(getattr(sys.flags, "thread_inherit_context", False))
#: Variables that an entry of a served document must not inherit from the cell that started the
#: server, or from another visitor's callback.
_left_over: list[ContextVar[Any]] = [*message_context.of_kernel]


class _Nobody:
    """Replaces the handler where there is none."""


_NOBODY: ref[Any] = ref(_Nobody())


class Entry:
    """One making of a document, or one callback on it.

    Attributes:
        document: The document.
        caller: The handler of the request that began the entry, if that handler still exists.
        live: Whether the entry is still running.
        thread: The thread in which it began.
    """

    __slots__ = ("_visitor", "caller", "document", "live", "process", "thread")

    def __init__(self, document: Any, caller: ref[Any] | None) -> None:
        self.document = document
        self.caller = caller
        self.live = True
        self.thread = get_ident()
        self.process = message_context.process
        self._visitor: tuple[Visitor | None] | None = None

    def visitor(self) -> Visitor | None:
        """Return the event's sender, else the document's visitor; None if both are unknown."""
        if self._visitor is None:
            sender = None if self.caller is None else self.caller()
            # A callback that one visitor's callback adds to another's document runs as the other.
            here = sender is not None and _document_of(sender) is self.document
            visitor = _asker(sender, self.document) if here else None
            self._visitor = (visitor or owners.get(self.document),)
        return self._visitor[0]

    @classmethod
    def of(cls, document: Any, visitor: Visitor | None) -> Entry:
        """Return an entry of a visitor that is already known."""
        here = cls(document, None)
        here._visitor = (visitor,)
        return here

    def again(self) -> Entry:
        """Return an entry of the same visitor, for a thread that continues this one."""
        return Entry.of(self.document, self.visitor())

    def going_on(self) -> bool:
        """Return whether this code still belongs to the entry."""
        return self.live and not (_THREADS_INHERIT and self.thread != get_ident())


class _FirstPage(Entry):
    """The page that was in the making when the wrappers were installed: no wrapper sees its end."""

    def going_on(self) -> bool:
        """Return whether the page is still being made: its session is created afterwards."""
        context = self.document.session_context
        return context is not None and context.session is None and super().going_on()


entry: ContextVar[Entry | None] = ContextVar("jupyter_session_user.bokeh.entry", default=None)
#: The handler of the request that began this context. It may serve another document by now.
_handler: ContextVar[ref[Any] | None] = ContextVar(
    "jupyter_session_user.bokeh.handler", default=None
)
message_context.variables.extend((entry, _handler))
#: The handler of the request that made a served document; None if that was before our import.
owners: WeakKeyDictionary[Any, Visitor | None] = WeakKeyDictionary()


def for_nobody() -> None:
    """Detach this context from any visitor, for every document."""
    entry.set(None)
    _handler.set(_NOBODY)


def begin_request(handler: ref[Any]) -> None:
    """Attach this context to the visitor of a handler: see ``asked_by``."""
    _handler.set(handler)
    entry.set(None)
    bring_banner()


def current_handler() -> Any:
    """Return the handler of the request that began this context; None without one."""
    handler = _handler.get()
    return None if handler is None else handler()


def note_document(document: Any) -> None:
    """Record that a document has a visitor, even an unknown one."""
    owners.setdefault(document, None)


def known_better(variable: ContextVar[Any]) -> None:
    """Start pages and callbacks without another host's value of this variable."""
    if variable not in _left_over:
        _left_over.append(variable)


def asked_by(handler: ref[Any]) -> AbstractContextManager[None]:
    """Run the pages and callbacks of this block as the visitor of a handler.

    Args:
        handler: Has ``connection`` as Bokeh's websockets do (None for a page), and
            ``visitor(key)``: the :class:`Visitor`, None if unknown. The caller keeps it alive.
    """
    return message_context.holding([(_handler, handler), (entry, None)])


def _asker(handler: Any, document: Any) -> Visitor | None:
    """Return the visitor of a handler's request on a document; None if unknown."""
    key = document.session_context.id
    find: Callable[[str], Visitor | None] | None = getattr(handler, "visitor", None)
    return visitor_of(handler, key) if find is None else find(key)


class _Bokeh:
    """Bokeh's and Panel's servers."""

    name = "bokeh"

    def __init__(self) -> None:
        #: Called at each entry: Panel may have replaced its thread pool.
        self.on_entry: Callable[[], None] | None = None
        #: The error for a private name that has moved; raised when the app asks for the user.
        self.broken: IdentityUnavailable | None = None

    def current(self) -> HostSession | None:
        """Return the session of the visitor of the current page or callback."""
        here = entry.get()
        if here is None or not here.going_on():
            if self.broken is not None and _KERNEL not in sys.modules:
                raise self.broken
            return None
        if here.process is not message_context.process:
            raise unavailable("forked_process")
        visitor = here.visitor()
        if visitor is None:
            raise unnamed_page()
        return visitor.session()

    def serving(self) -> bool:
        """Return whether this process has served a page, or runs a command that only serves."""
        return bool(owners) or not _COMMANDS.isdisjoint(sys.modules)

    def install(self) -> None:
        """Wrap the server's functions for pages and callbacks; cheap, and safe to repeat."""
        try:
            _get("bokeh.server.views.auth_request_handler", "AuthRequestHandler")
            for module, owner, name, make in _WRAPPERS:
                found = _get(module, owner or name)
                wrap(found if owner else sys.modules[module], name, make, "bokeh")
        except IdentityUnavailable as error:  # the app must run; the error is raised on request
            self.broken = error
        else:
            bokeh_denied.install()
            bring_files()
            _find_first_page()


HOST = _Bokeh()


class Part:
    """A layer on top of Bokeh's server or a replacement for it: Bokeh's host answers for it.

    Attributes:
        name: The name of the framework.
    """

    name = ""

    def current(self) -> HostSession | None:
        """Return None."""
        return None

    def serving(self) -> bool:
        """Return False."""
        return False


def entered(here: Entry, function: Callable[[], Any]) -> Any:
    """Run a function inside an entry; an awaitable result continues in the entry."""
    tokens = [(variable, variable.set(None)) for variable in _left_over]
    token = entry.set(here)
    result = None
    try:
        if HOST.on_entry is not None:
            HOST.on_entry()
        result = function()
    except AccessDenied as error:
        bokeh_denied.show_over_page(here.document, error)
        raise
    finally:
        entry.reset(token)
        for variable, old in tokens:
            variable.reset(old)
        here.live = inspect.isawaitable(result)
    return _awaited(here, result) if here.live else result


async def _awaited(here: Entry, awaitable: Any) -> Any:
    for variable in _left_over:  # a binding made here ends with this task or this await
        variable.set(None)
    token = entry.set(here)
    try:
        return await awaitable
    except AccessDenied as error:
        bokeh_denied.show_over_page(here.document, error)
        raise
    finally:
        here.live = False
        with suppress(ValueError):  # closed at the server's end, in another context
            entry.reset(token)


def _document_of(handler: Any) -> Any:
    """Return the document that a websocket serves; None for a page's request."""
    connection = getattr(handler, "connection", None)
    try:
        return None if connection is None else connection.session.document
    except (AssertionError, AttributeError):
        return None  # the websocket was closed, or the document destroyed


# ------------------------------------------------------------------------------- the wrappers


def _get(module: str, name: str) -> Any:
    try:
        return getattr(import_module(module), name)
    except (ImportError, AttributeError):
        raise unsupported("bokeh", f"{module}.{name}") from None


def _noting_handler(original: Any) -> Any:
    def noting_handler(self: Any, *args: Any, **kwargs: Any) -> Any:
        begin_request(ref(self))
        return original(self, *args, **kwargs)

    return noting_handler


def _noting_message(original: Any) -> Any:
    def noting_message(self: Any, *args: Any, **kwargs: Any) -> Any:
        _handler.set(ref(self))
        document = _document_of(self)
        if document is not None:
            note_document(document)
        return original(self, *args, **kwargs)

    return noting_message


def making_page(original: Any) -> Any:
    """Wrap ``initialize_document``, which runs the app's code."""

    def initialize_document(self: Any, doc: Any) -> Any:
        here = _page(doc)
        return original(self, doc) if here is None else entered(here, lambda: original(self, doc))

    return initialize_document


def announcing_page(original: Any) -> Any:
    """Wrap ``on_session_created``: hooks that run before the app's code."""

    async def on_session_created(self: Any, session_context: Any) -> Any:
        here = _page(document_of_context(session_context))
        call = functools.partial(original, self, session_context)
        return await (call() if here is None else entered(here, call))

    return on_session_created


def _page(document: Any) -> Entry | None:
    """Return the entry of a page that a request has just asked for."""
    if document is None or document.session_context is None:
        return None
    handler = current_handler() or asker_of_page(document)
    if handler is None:
        return None  # a document without a request: --warm, a notebook, a test
    if document not in owners:
        owners[document] = _asker(handler, document)
    return Entry(document, None)


def _running_callback(original: Any) -> Any:
    def invoke_with_curdoc(doc: Any, f: Any) -> Any:
        return _as_visitor(doc, functools.partial(original, doc, f))

    return invoke_with_curdoc


def _running_events(original: Any) -> Any:
    def trigger_event(self: Any, event: Any) -> Any:
        return _as_visitor(document_of_callbacks(self), functools.partial(original, self, event))

    return trigger_event


#: The functions of Bokeh's server that are wrapped: module, class, name, wrapper. Servers other
#: than Bokeh's own do not load all of these modules.
_WRAPPERS: tuple[tuple[str, str, str, Callable[[Any], Any]], ...] = (
    ("bokeh.server.views.session_handler", "SessionHandler", "get_session", _noting_handler),
    ("bokeh.server.views.ws", "WSHandler", "open", _noting_handler),
    ("bokeh.server.views.ws", "WSHandler", "on_message", _noting_message),
    ("bokeh.application.application", "Application", "initialize_document", making_page),
    ("bokeh.application.application", "Application", "on_session_created", announcing_page),
    # A server's timers do not belong to the cell that starts it.
    ("bokeh.server.tornado", "BokehTornado", "start", message_context.detaching),
    ("bokeh.document.callbacks", "", "invoke_with_curdoc", _running_callback),
    # This module has imported it by name.
    ("bokeh.protocol.messages.patch_doc", "", "invoke_with_curdoc", _running_callback),
    ("bokeh.document.callbacks", "DocumentCallbackManager", "trigger_event", _running_events),
)


def _as_visitor(document: Any, function: Callable[[], Any]) -> Any:
    """Run a callback on a document as the document's visitor."""
    if document not in owners:
        if not _is_served(document):
            return bokeh_denied.shown_over(document, function)
        owners[document] = None  # created by a server that our wrappers have not seen
    here = entry.get()
    if here is not None and here.document is document and here.going_on():
        caller = here.caller  # a change that this callback itself makes
    else:
        caller = _handler.get()
    return function() if caller is _NOBODY else entered(Entry(document, caller), function)


def _is_served(document: Any) -> bool:
    """Return whether a document has a visitor; a preview in a kernel has the kernel's message."""
    context = None if document is None else document.session_context
    return context is not None and _KERNEL not in sys.modules


# ---------------------------------------------------------- pages that began before our import


def _find_first_page() -> None:
    """Search the stack once for the page with the code that imports us for the first time."""
    handler_class = sys.modules["bokeh.server.views.auth_request_handler"].AuthRequestHandler
    frame: Any = sys._getframe(1)  # noqa: SLF001 - the documented way to the stack
    document = handler = None
    while frame is not None and handler is None:
        if frame.f_code.co_name == "initialize_document":
            document = frame.f_locals.get("doc", document)
        handler = frame.f_locals.get("self")
        # Panel's preview makes a document without a request, in a kernel that knows its visitor.
        served = isinstance(handler, handler_class) and hasattr(handler, "request")
        handler = handler if served else None
        if frame.f_code.co_name == "invoke_with_curdoc":  # in a thread, without a handler
            called = frame.f_locals.get("doc")
            if _is_served(called):
                owners[called] = None
        frame = frame.f_back
    if handler is None and document is not None:
        handler = asker_of_page(document)
    if handler is not None and document is None and (made := _document_of(handler)) is not None:
        owners[made] = None  # a callback of a page that was made before
    if handler is not None and document is not None:
        _handler.set(ref(handler))
        owners[document] = _asker(handler, document)
        entry.set(_FirstPage(document, None))
        bring_banner()
