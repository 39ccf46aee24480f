"""The kernels of this server: who started each, for whom, and what its clients' stamps say.

``kernel_manager_factory`` is called inside the request that starts a kernel, whichever API
that came by; wrapping it serves all ends. The wrapper sits on the instance: nobody else's
class is changed.
"""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from jupyter_session_user.core.stamp import unknown_stamp
from jupyter_session_user.server.clients import stamping
from jupyter_session_user.server.runners.visitors import (
    Visitor,
    is_preheating,
    runner_request,
)

if TYPE_CHECKING:
    from jupyter_client.manager import KernelManager
    from jupyter_client.multikernelmanager import MultiKernelManager
    from jupyter_server.base.handlers import JupyterHandler

    from jupyter_session_user.server.capture import Capture
    from jupyter_session_user.server.origin import Origin
    from jupyter_session_user.store.base import Record

__all__ = ["Kernels"]

_NOBODY_YET = unknown_stamp(
    "this kernel was started in advance, and no visitor has come yet", ask=True
)
_NOT_THE_VISITOR = unknown_stamp("sent for somebody who is not this kernel's visitor")


class Kernels:
    """Follows the kernels of one server from start to end.

    Args:
        capture: Turns requests into sessions.
        origin: Tells whose request is being answered.
        on_message: Called with a kernel manager when one of its clients builds a message.
        on_gone: Called with the id of a kernel that was removed.
        exclusive: Whether a visitor's kernel is closed to other authenticated users.
    """

    def __init__(
        self,
        capture: Capture,
        origin: Origin,
        on_message: Callable[[KernelManager], None],
        on_gone: Callable[[str], None],
        *,
        exclusive: bool,
    ) -> None:
        self._capture = capture
        self._origin = origin
        self._on_message = on_message
        self._on_gone = on_gone
        self._exclusive = exclusive
        # The manager, not the kernel id: the id is not yet known when the manager is made.
        self._owners: weakref.WeakKeyDictionary[KernelManager, Record] = weakref.WeakKeyDictionary()
        self._visitors: weakref.WeakKeyDictionary[KernelManager, Visitor] = (
            weakref.WeakKeyDictionary()
        )

    def watch(self, kernels: MultiKernelManager) -> None:
        """Follow the kernels that ``kernels`` starts from now on; harmless when repeated."""
        if isinstance(kernels.kernel_manager_factory, _Factory):
            return
        kernels.kernel_manager_factory = _Factory(kernels.kernel_manager_factory, self._adopt)
        setattr(kernels, "remove_kernel", self._removing(kernels.remove_kernel))  # noqa: B010 - mypy

    def owner(self, manager: KernelManager) -> Record | None:
        """Return the session that started this kernel, as it was then; None if nobody did."""
        return self._owners.get(manager)

    def owns(self, person: str, manager: KernelManager) -> bool:
        """Tell whether ``person`` started this kernel, or is the visitor it was made for."""
        owner = self.owner(manager)
        return owner is not None and owner.person == person

    def visitor(self, manager: KernelManager) -> Record | None:
        """Return the session of the visitor for whom a runner made this kernel, if any."""
        visitor = self._visitors.get(manager)
        return None if visitor is None else self._settled(visitor, manager)

    def hand_over(self, manager: KernelManager) -> None:
        """Settle that a kernel started in advance is the live request's visitor's from now."""
        visitor, handler = self._visitors.get(manager), runner_request()
        if visitor is None or visitor.record is not None or handler is None:
            return
        visitor.handler = handler
        owner = self._settled(visitor, manager)
        if owner is not None:
            self._owners[manager] = owner

    def admits(self, manager: KernelManager, handler: JupyterHandler) -> bool:
        """Tell whether this websocket handshake may speak to this kernel.

        Where nobody is authenticated, the kernel's id is the only key there is, and a page
        that works without us has to work with us.
        """
        visitor = self._visitors.get(manager)
        if visitor is None or not self._exclusive or not handler.identity_provider.auth_enabled:
            return True
        self._settled(visitor, manager)
        return self._is(visitor, handler)

    def _adopt(self, manager: KernelManager) -> None:
        ahead = is_preheating()
        handler = runner_request()
        if ahead or handler is not None:
            self._visitors[manager] = Visitor(None if ahead else handler)
        owner = None if ahead else self._origin.record(None)
        if owner is not None:
            self._owners[manager] = owner
        reference = weakref.ref(manager)
        manager.session = stamping(
            manager.session,
            functools.partial(self._stamp, reference),
            functools.partial(self._source_for_client, reference),
        )

    def _settled(self, visitor: Visitor, manager: KernelManager) -> Record | None:
        """Return the visitor's session, recorded once the kernel has an id."""
        if visitor.record is None and visitor.handler is not None:
            visitor.record = self._capture.session_of(visitor.handler, manager.kernel_id)
            visitor.persons = self._capture.persons(visitor.handler)
            visitor.handler = None
        return visitor.record

    def _is(self, visitor: Visitor, handler: JupyterHandler) -> bool:
        if handler.current_user is None:
            return False
        return self._capture.login(handler).person in visitor.persons

    def _source_for_client(self, reference: weakref.ref[KernelManager]) -> Callable[[], bytes]:
        """Return the source of stamps for a client that is being made now."""
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
            return lambda: _NOT_THE_VISITOR
        return functools.partial(self._visitor_stamp, reference, visitor)

    def _visitor_stamp(self, reference: weakref.ref[KernelManager], visitor: Visitor) -> bytes:
        self._noted(reference())
        record = visitor.record
        return _NOBODY_YET if record is None else self._origin.stamp_of(record)

    def _stamp(self, reference: weakref.ref[KernelManager]) -> bytes:
        manager = reference()
        self._noted(manager)
        return self._origin.stamp(getattr(manager, "kernel_id", None) or "")

    def _noted(self, manager: KernelManager | None) -> None:
        if manager is not None and manager.has_kernel:
            self._on_message(manager)

    def _removing(self, remove: Callable[[str], Any]) -> Callable[[str], Any]:
        @functools.wraps(remove)
        def remove_kernel(kernel_id: str) -> Any:
            removed = remove(kernel_id)
            self._on_gone(kernel_id)
            return removed

        return remove_kernel


class _Factory:
    """A kernel manager factory that shows each new manager to ``adopt``."""

    def __init__(self, make: Callable[..., Any], adopt: Callable[[Any], None]) -> None:
        self._make = make
        self._adopt = adopt

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        manager = self._make(*args, **kwargs)
        self._adopt(manager)
        return manager
