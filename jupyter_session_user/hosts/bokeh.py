"""Bokeh's server, also under ``panel serve``: whose page is made here, whose callback runs here.

What is believed is the real request: that of the page while the page is made, that of the
websocket whose message is handled. Never the token of the session, which the browser holds and
can write itself, and never ``curdoc()``, which other threads see, too.

Everything runs in an *entry*: the making of one document, or one callback on it. An entry ends
with it, so a task that outlives it belongs to nobody. All private names of Bokeh stand here.
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from importlib import import_module
from pathlib import Path
from threading import get_ident
from typing import Any
from weakref import WeakKeyDictionary, ref

from jupyter_session_user.errors import IdentityUnavailable
from jupyter_session_user.hosts.base import HostSession, Visitor, moved
from jupyter_session_user.hosts.tornado import visitor_of
from jupyter_session_user.kernel import parent

__all__ = [
    "HOST",
    "Entry",
    "Part",
    "announcing_page",
    "asked_by",
    "entered",
    "entry",
    "for_nobody",
    "known_better",
    "making_page",
    "wrap",
]

#: Bokeh's name for the extension that we are: the package.
_PACKAGE = Path(__file__).parents[1]
_MARK = "__jupyter_session_user__"
_THREADS_INHERIT = bool(getattr(sys.flags, "thread_inherit_context", False))
#: What an entry of a served document must not inherit from a cell that started the server, or
#: from another visitor's callback.
_left_over: list[ContextVar[Any]] = [parent.binding, parent.message, parent.witness]


class _Nobody:
    """Stands for the handler where there cannot be one."""


_NOBODY: ref[Any] = ref(_Nobody())


class Entry:
    """One making of a document, or one callback on it.

    Attributes:
        document: The document.
        caller: The handler of the request that this began with, if that still exists.
        live: Whether it is going on.
        thread: Where it began.
    """

    __slots__ = ("_visitor", "caller", "document", "live", "thread")

    def __init__(self, document: Any, caller: ref[Any] | None) -> None:
        self.document = document
        self.caller = caller
        self.live = True
        self.thread = get_ident()
        self._visitor: tuple[Visitor | None] | None = None

    def visitor(self) -> Visitor | None:
        """Return who sent the event; else whose document it is; None if nobody can say."""
        if self._visitor is None:
            self._visitor = (self._caller() or _owners.get(self.document),)
        return self._visitor[0]

    def _caller(self) -> Visitor | None:
        # A callback that one visitor's callback puts on another's document is the other's.
        handler = None if self.caller is None else self.caller()
        if handler is None or _document_of(handler) is not self.document:
            return None
        return _asker(handler, self.document)

    def again(self) -> Entry:
        """Return an entry of the same visitor, for a thread that goes on with this one."""
        further = Entry(self.document, self.caller)
        further._visitor = (self.visitor(),)
        return further

    def going_on(self) -> bool:
        """Tell whether this code belongs to the entry."""
        return self.live and not (_THREADS_INHERIT and self.thread != get_ident())


class _FirstPage(Entry):
    """The page that was being made when the wrappers were put on: no wrapper sees it end."""

    def going_on(self) -> bool:
        """Tell whether the page is still being made: its session comes after that."""
        context = self.document.session_context
        return context is not None and context.session is None and super().going_on()


entry: ContextVar[Entry | None] = ContextVar("jupyter_session_user.bokeh.entry", default=None)
#: The handler whose request this context began with. It may be another document's by now.
_handler: ContextVar[ref[Any] | None] = ContextVar(
    "jupyter_session_user.bokeh.handler", default=None
)
#: Whose request made a served document; None where that was before we were imported.
_owners: WeakKeyDictionary[Any, Visitor | None] = WeakKeyDictionary()


def for_nobody() -> None:
    """Have what this context goes on to do belong to nobody, on whichever document it is."""
    entry.set(None)
    _handler.set(_NOBODY)


def known_better(variable: ContextVar[Any]) -> None:
    """Have pages and callbacks begin without what another host has in this variable."""
    if variable not in _left_over:
        _left_over.append(variable)


@contextmanager
def asked_by(handler: ref[Any]) -> Iterator[None]:
    """Let the pages and callbacks of this block belong to the visitor of a handler.

    Args:
        handler: Has ``connection`` as Bokeh's websockets do (None for a page), and
            ``visitor(key)``: the :class:`Visitor`, None if unknown. The caller keeps it alive.
    """
    asked, outer = _handler.set(handler), entry.set(None)
    try:
        yield
    finally:
        with suppress(ValueError):  # a server may end a request in another context
            _handler.reset(asked)
            entry.reset(outer)


def _asker(handler: Any, document: Any) -> Visitor | None:
    """Return whose request a handler handles, on a document; None if nobody can say."""
    key = document.session_context.id
    find: Callable[[str], Visitor | None] | None = getattr(handler, "visitor", None)
    return visitor_of(handler, key) if find is None else find(key)


class _Bokeh:
    """Bokeh's and Panel's servers."""

    name = "bokeh"

    def __init__(self) -> None:
        #: Called at each entry: Panel's thread pool may be new.
        self.on_entry: Callable[[], None] | None = None
        #: What is no longer where we look, to be told to whoever asks.
        self.broken: IdentityUnavailable | None = None

    def current(self) -> HostSession | None:
        """Return the session of the visitor in whose page or callback this code runs."""
        here = entry.get()
        if here is None or not here.going_on():
            if self.broken is not None and "ipykernel.kernelapp" not in sys.modules:
                raise self.broken
            return None
        visitor = here.visitor()
        if visitor is None:
            raise _too_late()
        return visitor.session()

    def serving(self) -> bool:
        """Tell whether any page has been served."""
        return bool(_owners)

    def install(self) -> None:
        """Wrap what a server does for its visitors; cheap, and harmless when repeated."""
        try:
            _wrap_everything()
        except IdentityUnavailable as error:  # the app must run; whoever asks is told
            self.broken = error
        else:
            _bring_files()
            _find_first_page()


HOST = _Bokeh()


class Part:
    """What stands on top of Bokeh's server or in its place: Bokeh's host answers for it.

    Attributes:
        name: Of the framework.
    """

    name = ""

    def current(self) -> HostSession | None:
        """Return None."""
        return None

    def serving(self) -> bool:
        """Return False."""
        return False


def entered(here: Entry, function: Callable[[], Any]) -> Any:
    """Run a function inside an entry; one that has to be awaited goes on in it."""
    tokens = [(variable, variable.set(None)) for variable in _left_over]
    token = entry.set(here)
    result = None
    try:
        if HOST.on_entry is not None:
            HOST.on_entry()
        result = function()
    finally:
        entry.reset(token)
        for variable, old in tokens:
            variable.reset(old)
        here.live = inspect.isawaitable(result)
    return _awaited(here, result) if here.live else result


async def _awaited(here: Entry, awaitable: Any) -> Any:
    for variable in _left_over:  # a binding made here ends with this task, or this await
        variable.set(None)
    token = entry.set(here)
    try:
        return await awaitable
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


# ------------------------------------------------------------------- what is wrapped, and how


def _wrap_everything() -> None:
    modules = sys.modules
    session_handler = _get("bokeh.server.views.session_handler", "SessionHandler")
    websocket = _get("bokeh.server.views.ws", "WSHandler")
    application = _get("bokeh.application.application", "Application")
    _get("bokeh.server.views.auth_request_handler", "AuthRequestHandler")
    wrap(session_handler, "get_session", _noting_handler)
    wrap(websocket, "open", _noting_handler)
    wrap(websocket, "on_message", _noting_message)
    wrap(application, "initialize_document", making_page)
    wrap(application, "on_session_created", announcing_page)
    callbacks = _get("bokeh.document.callbacks", "DocumentCallbackManager")
    for module in ("bokeh.document.callbacks", "bokeh.protocol.messages.patch_doc"):
        _get(module, "invoke_with_curdoc")  # the second has imported it by its name
        wrap(modules[module], "invoke_with_curdoc", _running_callback)
    wrap(callbacks, "trigger_event", _running_events)


def _get(module: str, name: str) -> Any:
    try:
        # Not all are loaded where something else than Bokeh's own server serves.
        return getattr(import_module(module), name)
    except (ImportError, AttributeError):
        raise moved("bokeh", f"{module}.{name}") from None


def wrap(owner: Any, name: str, make: Callable[[Any], Any], framework: str = "bokeh") -> None:
    """Replace a function of a framework by one made around it, once."""
    original = vars(owner).get(name)
    if not callable(original):
        raise moved(framework, f"{owner.__name__}.{name}")
    if not hasattr(original, _MARK):
        wrapped = functools.wraps(original)(make(original))
        setattr(wrapped, _MARK, True)
        setattr(owner, name, wrapped)


def _noting_handler(original: Any) -> Any:
    def noting_handler(self: Any, *args: Any, **kwargs: Any) -> Any:
        _handler.set(ref(self))
        entry.set(None)
        _bring_banner()
        return original(self, *args, **kwargs)

    return noting_handler


def _noting_message(original: Any) -> Any:
    def noting_message(self: Any, *args: Any, **kwargs: Any) -> Any:
        _handler.set(ref(self))
        document = _document_of(self)
        if document is not None:
            _owners.setdefault(document, None)
        return original(self, *args, **kwargs)

    return noting_message


def making_page(original: Any) -> Any:
    """Wrap ``initialize_document``: the app's code runs in it."""

    def initialize_document(self: Any, doc: Any) -> Any:
        here = _page(doc)
        return original(self, doc) if here is None else entered(here, lambda: original(self, doc))

    return initialize_document


def announcing_page(original: Any) -> Any:
    """Wrap ``on_session_created``: hooks that run before the app's code."""

    async def on_session_created(self: Any, session_context: Any) -> Any:
        here = _page(getattr(session_context, "_document", None))
        call = functools.partial(original, self, session_context)
        return await (call() if here is None else entered(here, call))

    return on_session_created


def _page(document: Any) -> Entry | None:
    """Return the entry of a page that a request has just asked for."""
    caller = _handler.get()
    handler = None if caller is None else caller()
    if handler is None or document is None or document.session_context is None:
        return None  # a document that no visitor asked for: --warm, a notebook, a test
    if document not in _owners:
        _owners[document] = _asker(handler, document)
    return Entry(document, None)


def _running_callback(original: Any) -> Any:
    def invoke_with_curdoc(doc: Any, f: Any) -> Any:
        return _as_visitor(doc, functools.partial(original, doc, f))

    return invoke_with_curdoc


def _running_events(original: Any) -> Any:
    def trigger_event(self: Any, event: Any) -> Any:
        return _as_visitor(self._document(), functools.partial(original, self, event))

    return trigger_event


def _as_visitor(document: Any, function: Callable[[], Any]) -> Any:
    """Run a callback on a document as whose it is."""
    if not _owners or document not in _owners:
        return function()  # of a notebook
    here = entry.get()
    if here is not None and here.document is document and here.going_on():
        caller = here.caller  # a change that this very callback makes
    else:
        caller = _handler.get()
    return function() if caller is _NOBODY else entered(Entry(document, caller), function)


def _bring_files() -> None:
    """Have each process of ``--num-procs`` serve our script, whichever has made the page."""
    bundle = sys.modules.get("bokeh.embed.bundle")
    if bundle is not None:
        getattr(bundle, "extension_dirs", {})[_PACKAGE.name] = _PACKAGE / "dist"


@functools.cache
def _bring_banner() -> None:
    """Make us a Bokeh extension: one that has a model's class, and here is one.

    Its script, ``dist/jupyter_session_user.js``, is then part of each page and of
    ``autoload.js``. Not before a page is asked for: notebooks have other ways.
    """
    from bokeh.model import Model  # noqa: PLC0415 - see the table of planes

    class PageBanner(Model):
        """Stands for the script; there are no objects of it."""


# --------------------------------------------------- imported while a page was already on its way


def _find_first_page() -> None:
    """Find the page whose code imports us for the first time, on the stack, this one time."""
    handler_class = sys.modules["bokeh.server.views.auth_request_handler"].AuthRequestHandler
    frame: Any = sys._getframe(1)  # noqa: SLF001 - the documented way to the stack
    document = handler = None
    while frame is not None and handler is None:
        if frame.f_code.co_name == "initialize_document":
            document = frame.f_locals.get("doc", document)
        handler = frame.f_locals.get("self")
        # Panel's preview makes one without a request, in a kernel, which knows its visitor.
        served = isinstance(handler, handler_class) and hasattr(handler, "request")
        handler = handler if served else None
        frame = frame.f_back
    if handler is not None and document is None and (made := _document_of(handler)) is not None:
        _owners[made] = None  # a callback of a page that was made before
    if handler is not None and document is not None:
        _handler.set(ref(handler))
        _owners[document] = _asker(handler, document)
        entry.set(_FirstPage(document, None))
        _bring_banner()


def _too_late() -> IdentityUnavailable:
    if "bokeh_fastapi.handler" in sys.modules:
        return IdentityUnavailable(
            "Nothing says whose page this is. Put SessionUserMiddleware around the FastAPI app: "
            "app.add_middleware(SessionUserMiddleware, user=…).",
            reason="no_context",
        )
    return IdentityUnavailable(
        "This page was made before jupyter_session_user was imported, so nobody noted whose it "
        "is. Import it at the top of the app, or start the server with "
        "'python -m jupyter_session_user bokeh serve …' (or panel serve).",
        reason="no_context",
    )
