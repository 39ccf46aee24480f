"""The kernels of this server: their owners, their visitors, and their clients' stamps.

``kernel_manager_factory`` is called inside the request that starts a kernel, for every API. One
wrapper therefore covers all of them. The wrapper is set on the instance, so no other package's
class is changed.
"""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from jupyter_server.gateway.managers import GatewayMappingKernelManager
from tornado import web

from jupyter_session_user.core.stamp import unknown_stamp
from jupyter_session_user.server.messages.clients import stamping
from jupyter_session_user.server.messages.executions import Executions
from jupyter_session_user.server.messages.foreign_clients import ForeignClients
from jupyter_session_user.server.messages.gateway_starts import GatewayStarts
from jupyter_session_user.server.messages.runners.visitors import (
    Visitor,
    is_preheating,
    runner_request,
)
from jupyter_session_user.server.messages.senders import Senders
from jupyter_session_user.server.messages.server_clients import ClientWatcher, via
from jupyter_session_user.server.messages.speakers import Speakers

if TYPE_CHECKING:
    import logging

    from jupyter_client.manager import KernelManager
    from jupyter_client.multikernelmanager import MultiKernelManager
    from jupyter_server.base.handlers import JupyterHandler
    from tornado.httputil import HTTPServerRequest
    from tornado.ioloop import IOLoop

    from jupyter_session_user.core.login import Login
    from jupyter_session_user.server.auth.capture import Capture
    from jupyter_session_user.server.auth.origin import Origin
    from jupyter_session_user.store.base import Record

__all__ = ["STILL_CONNECTED", "Kernels"]

#: A request that a kernel answers without running user code.
_NO_CODE = "kernel_info_request"
#: Messages that an administrator may send to any kernel.
_ENDING = frozenset({"interrupt_request", "shutdown_request"})
_ANOTHERS = "this kernel was made for another visitor"

_NOBODY_YET = unknown_stamp(
    "this kernel was started in advance, and no visitor has come yet", ask=True
)
_NOT_THE_VISITOR = unknown_stamp("sent for a user other than this kernel's visitor")

STILL_CONNECTED = (
    "this kernel's connections to a database as another user have not ended yet; try again, or use "
    "a kernel of your own"
)


class Kernels:
    """Follows the kernels of one server from start to end.

    Args:
        capture: Turns requests into sessions.
        origin: Finds the user of the current request.
        on_message: Called with a kernel manager when one of its clients builds a message.
        on_gone: Called with the id of a removed kernel.
        exclusive: Whether a visitor's kernel is closed to other authenticated users.
        log: The server's log.
        loop: The server's event loop.

    Attributes:
        changed: Called with the id of a kernel that another user joins, or that is removed.
        unsettled: ``kernel_id -> bool``: whether it may still act for its former only user.
    """

    def __init__(
        self,
        capture: Capture,
        origin: Origin,
        on_message: Callable[[KernelManager], object],
        on_gone: Callable[[str], None],
        *,
        exclusive: bool,
        log: logging.Logger,
        loop: IOLoop,
    ) -> None:
        self._capture = capture
        self._origin = origin
        self._on_message = on_message
        self._on_gone = on_gone
        self._exclusive = exclusive
        self._loop = loop
        # Keyed by manager, not by kernel id: the id is not yet known when the manager is made.
        self._owners: weakref.WeakKeyDictionary[KernelManager, Record] = weakref.WeakKeyDictionary()
        self.speakers = Speakers()
        self.changed: Callable[[str], None] = lambda _: None
        self.unsettled: Callable[[str], bool] = lambda _: False
        self.senders = Senders(log)
        self.executions = Executions()
        self.gateway_starts = GatewayStarts(origin)
        self._foreign = ForeignClients()
        self._manager_of: Callable[[str], KernelManager | None] = lambda _: None
        self._log = log
        #: Ids of the kernels that runners made, by the requests in which they made them.
        self.made_in: weakref.WeakKeyDictionary[HTTPServerRequest, str] = (
            weakref.WeakKeyDictionary()
        )
        self._visitors: weakref.WeakKeyDictionary[KernelManager, Visitor] = (
            weakref.WeakKeyDictionary()
        )

    def watch(self, kernels: MultiKernelManager) -> None:
        """Follow the kernels that ``kernels`` starts from now on; harmless when repeated."""
        if isinstance(kernels.kernel_manager_factory, _Factory):
            return
        self._manager_of = lambda kernel_id: (
            kernels.get_kernel(kernel_id) if kernel_id in kernels else None
        )
        self._capture.owner_of = self._owner_of
        kernels.kernel_manager_factory = _Factory(kernels.kernel_manager_factory, self._adopt)
        if isinstance(kernels, GatewayMappingKernelManager):
            setattr(kernels, "start_kernel", self.gateway_starts.naming(kernels.start_kernel))  # noqa: B010
        remove = kernels.remove_kernel

        @functools.wraps(remove)
        def remove_kernel(kernel_id: str) -> Any:
            removed = remove(kernel_id)
            self._on_gone(kernel_id)
            self.changed(kernel_id)
            self.executions.forget(kernel_id)
            return removed

        def checking(name: str) -> Any:
            act = getattr(kernels, name)

            @functools.wraps(act)
            def checked(kernel_id: str, *args: Any, **kwargs: Any) -> Any:
                self._check_sender(kernel_id)
                if name == "restart_kernel":
                    self.executions.gone(kernel_id)
                return act(kernel_id, *args, **kwargs)

            return checked

        setattr(kernels, "remove_kernel", remove_kernel)  # noqa: B010 - mypy
        for name in ("interrupt_kernel", "restart_kernel", "shutdown_kernel"):
            setattr(kernels, name, checking(name))

    def watch_sessions(self, sessions: Any) -> None:
        """Check the user before a Jupyter session (a document and its kernel) changes.

        Args:
            sessions: The server's session manager.
        """
        create = sessions.create_session

        @functools.wraps(create)
        async def create_session(*args: Any, **kwargs: Any) -> Any:
            for value in (*args, *kwargs.values()):
                if isinstance(value, str):  # any of the arguments may be the kernel's id
                    self._check_sender(value)
            model = await create(*args, **kwargs)
            self.executions.paths[model["kernel"]["id"]] = model["path"]
            return model

        def checking(name: str) -> Any:
            act = getattr(sessions, name)

            @functools.wraps(act)
            async def checked(session_id: str, *args: Any, **kwargs: Any) -> Any:
                model = await sessions.get_session(session_id=session_id)
                self._check_sender(model["kernel"]["id"])
                self._check_sender(kwargs.get("kernel_id") or "")
                result = await act(session_id, *args, **kwargs)
                if name == "update_session":  # the notebook was renamed, or has a new kernel
                    model = await sessions.get_session(session_id=session_id)
                    self.executions.paths[model["kernel"]["id"]] = model["path"]
                return result

            return checked

        sessions.create_session = create_session
        for name in ("delete_session", "update_session"):
            setattr(sessions, name, checking(name))

    def owner(self, manager: KernelManager) -> Record | None:
        """Return the session that started this kernel, as of that time; None if there is none."""
        return self._owners.get(manager)

    def _owner_of(self, kernel_id: str) -> Record | None:
        manager = self._manager_of(kernel_id)
        return None if manager is None else self.owner(manager)

    def owns(self, principal: str, manager: KernelManager) -> bool:
        """Tell whether ``principal`` started this kernel, or is the visitor it was made for."""
        owner = self.owner(manager)
        return owner is not None and owner.principal == principal

    def has_alone(self, principal: str, manager: KernelManager) -> bool:
        """Tell whether a user owns a kernel, and no other user has ever sent it a message."""
        return self.owns(principal, manager) and self.speakers.is_alone(manager, principal)

    def join(self, manager: KernelManager, handler: JupyterHandler, record: Record | None) -> None:
        """Note a websocket's user, before any message of it reaches the kernel."""
        visitor = self._visitors.get(manager)
        if visitor is not None and visitor.record is not None and self._is(visitor, handler):
            record = visitor.record  # the visitor may send only a token on the websocket
        self._speaks(manager, record)

    def check(self, kernel_id: str, login: Login) -> None:
        """Refuse a request that changes another visitor's exclusive kernel.

        Raises:
            HTTPError: Status 403.
        """
        manager = self._manager_of(kernel_id)
        visitor = None if manager is None else self._visitors.get(manager)
        if manager is None or visitor is None or not self._exclusive:
            return
        self._settled(visitor, manager)
        if login.credential != "open" and login.principal not in visitor.principals:
            raise web.HTTPError(403, _ANOTHERS)

    def visitor(self, manager: KernelManager) -> Record | None:
        """Return the session of the visitor for whom a runner made this kernel, if any."""
        visitor = self._visitors.get(manager)
        return None if visitor is None else self._settled(visitor, manager)

    def _visitor_at(self, manager: KernelManager | None) -> Visitor | None:
        return None if manager is None else self._visitors.get(manager)

    def hand_over(self, manager: KernelManager) -> None:
        """Assign a kernel that was started in advance to the live request's visitor."""
        visitor, handler = self._visitors.get(manager), runner_request()
        if visitor is None or visitor.record is not None or handler is None:
            return
        owner = self._capture.session_of(handler, None)
        if owner is not None:
            self._owners[manager] = owner
        visitor.handler = handler
        self._settled(visitor, manager)

    def admits(self, manager: KernelManager, handler: JupyterHandler) -> bool:
        """Tell whether this websocket handshake may use this kernel.

        If the server authenticates no users, only the kernel's id protects a kernel, and a page
        that works without this extension has to work with it.
        """
        visitor = self._visitors.get(manager)
        if visitor is None or not self._exclusive or not handler.identity_provider.auth_enabled:
            return True
        self._settled(visitor, manager)
        return self._is(visitor, handler)

    def _adopt(self, manager: KernelManager) -> None:
        # A synchronous manager determines the current loop while it starts its kernel, which
        # jupyter_core's ``run_sync`` does in a thread with its own loop. That thread would read all
        # streams, and two threads would write to one websocket.
        if manager.has_trait("loop"):
            setattr(manager, "loop", self._loop)  # noqa: B010 - mypy
        ahead = is_preheating()
        handler = runner_request()
        if ahead or handler is not None:
            self._visitors[manager] = Visitor.of(None if ahead else handler)
        owner = None if ahead else self._origin.record(None)
        if owner is not None:
            self._owners[manager] = owner
        reference = weakref.ref(manager)
        manager.session = stamping(
            manager.session,
            functools.partial(self._stamp, reference),
            functools.partial(self._source_for_client, reference),
            ClientWatcher(
                self.executions,
                lambda: getattr(reference(), "kernel_id", None) or "",
                lambda: via(self._visitor_at(reference()), self.senders),
            ),
        )
        self._foreign.follow(manager.session)

    def _settled(self, visitor: Visitor, manager: KernelManager) -> Record | None:
        """Return the visitor's session; creates it once the kernel has an id."""
        if visitor.record is None and visitor.handler is not None:
            visitor.record = self._capture.session_of(visitor.handler, manager.kernel_id)
            visitor.principals = self._capture.principals(visitor.handler)
            self.made_in[visitor.handler.request] = manager.kernel_id
            visitor.handler = None
        return visitor.record

    def _is(self, visitor: Visitor, handler: JupyterHandler) -> bool:
        if handler.current_user is None:
            return False
        return self._capture.login(handler).principal in visitor.principals

    def _source_for_client(self, reference: weakref.ref[KernelManager]) -> Callable[[str], bytes]:
        """Return the source of stamps for a client that is being made."""
        generic = functools.partial(self._stamp, reference)
        manager = reference()
        visitor = None if manager is None else self._visitors.get(manager)
        if manager is None or visitor is None:
            return generic
        settled, handler = self._settled(visitor, manager), runner_request()
        if settled is None:  # Voila's pool: its client is made before there is a visitor
            return functools.partial(self._visitor_stamp, reference, visitor)
        if handler is None:
            return generic
        if not self._is(visitor, handler):
            return functools.partial(self._foreign_stamp, reference)
        return functools.partial(self._visitor_stamp, reference, visitor)

    def _visitor_stamp(
        self, reference: weakref.ref[KernelManager], visitor: Visitor, msg_type: str
    ) -> bytes:
        manager, record = reference(), visitor.record
        self._noted(manager)
        if manager is not None and record is not None:
            self._speaks(manager, record, msg_type)
        return _NOBODY_YET if record is None else self._origin.stamp_of(record)

    def _foreign_stamp(self, reference: weakref.ref[KernelManager], msg_type: str) -> bytes:
        """Return the stamp for a client that a runner made for a user other than the visitor."""
        manager = reference()
        if manager is not None:
            self._speaks(manager, None, msg_type)
        return _NOT_THE_VISITOR

    def _stamp(self, reference: weakref.ref[KernelManager], msg_type: str) -> bytes:
        manager = reference()
        self._noted(manager)
        kernel_id: str = getattr(manager, "kernel_id", None) or ""
        sender = self._origin.sender(kernel_id)
        if manager is not None and kernel_id:
            may_end = sender is not None and sender.administers and msg_type in _ENDING
            if sender is not None and not may_end and not self._open_to(manager, sender):
                raise web.HTTPError(403, _ANOTHERS)
            self._speaks(manager, sender, msg_type)
            if self.speakers.is_shared(manager) and self.unsettled(kernel_id):
                raise web.HTTPError(503, STILL_CONNECTED)
        return self.senders.named(self._origin.stamp(kernel_id), msg_type)

    def _open_to(self, manager: KernelManager, sender: Record) -> bool:
        visitor = self._visitors.get(manager)
        if visitor is None or not self._exclusive or sender.credential == "open":
            return True
        self._settled(visitor, manager)
        return sender.principal in visitor.principals

    def _speaks(self, manager: KernelManager, record: Record | None, msg_type: str = "") -> None:
        if msg_type == _NO_CODE or msg_type in _ENDING:
            return
        joined = self.speakers.add(manager, None if record is None else record.speaker)
        if joined:
            self._record_joined(manager, record)
            self.changed(manager.kernel_id)
        if joined and self.speakers.holds_cookies(manager):
            self._log.warning(
                "%s joins kernel %s, which holds cookies of %s's browser",
                record.session.user.username if record is not None else "An unknown client",
                manager.kernel_id,
                owner.session.user.username if (owner := self.owner(manager)) else "another user",
            )

    def _record_joined(self, manager: KernelManager, record: Record | None) -> None:
        owner = self.owner(manager)
        whose = f"kernel of {owner.session.user.username}" if owner is not None else None
        session = None if record is None else record.session
        self.executions.note("join", session, manager.kernel_id, whose)

    def _check_sender(self, kernel_id: str) -> None:
        """Refuse the live request's user, if any, at another visitor's kernel.

        Raises:
            HTTPError: Status 403.
        """
        manager = self._manager_of(kernel_id)
        sender = None if manager is None else self._origin.sender(kernel_id)
        if manager is None or sender is None or sender.administers:
            return
        if not self._open_to(manager, sender):
            raise web.HTTPError(403, _ANOTHERS)

    def _noted(self, manager: KernelManager | None) -> None:
        self.executions.counts.stamps += 1
        if manager is not None and manager.has_kernel:
            self._on_message(manager)


class _Factory:
    """A kernel manager factory that passes each new manager to ``adopt``."""

    def __init__(self, make: Callable[..., Any], adopt: Callable[[Any], None]) -> None:
        self._make = make
        self._adopt = adopt

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        manager = self._make(*args, **kwargs)
        self._adopt(manager)
        return manager
