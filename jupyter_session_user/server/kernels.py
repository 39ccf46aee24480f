"""The kernels of this server: who started each, and a stamping session for its clients.

``kernel_manager_factory`` is called inside the request that starts a kernel, whichever API
that came by; wrapping it serves both ends. The wrapper sits on the instance: nobody else's
class is changed.
"""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from jupyter_session_user.server.clients import stamping

if TYPE_CHECKING:
    from jupyter_client.manager import KernelManager
    from jupyter_client.multikernelmanager import MultiKernelManager

    from jupyter_session_user.server.origin import Origin
    from jupyter_session_user.store.base import Record

__all__ = ["Kernels"]


class Kernels:
    """Follows the kernels of one server from start to end.

    Args:
        origin: Tells whose request is being answered.
        on_message: Called with a kernel manager when one of its clients builds a message.
        on_gone: Called with the id of a kernel that was removed.
    """

    def __init__(
        self,
        origin: Origin,
        on_message: Callable[[KernelManager], None],
        on_gone: Callable[[str], None],
    ) -> None:
        self._origin = origin
        self._on_message = on_message
        self._on_gone = on_gone
        # The manager, not the kernel id: the id is not yet known when the manager is made.
        self._owners: weakref.WeakKeyDictionary[KernelManager, Record] = weakref.WeakKeyDictionary()

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
        """Tell whether ``person`` started this kernel."""
        owner = self.owner(manager)
        return owner is not None and owner.person == person

    def _adopt(self, manager: KernelManager) -> None:
        owner = self._origin.record(None)
        if owner is not None:
            self._owners[manager] = owner
        source = functools.partial(self._stamp, weakref.ref(manager))
        manager.session = stamping(manager.session, source)

    def _stamp(self, reference: weakref.ref[KernelManager]) -> bytes:
        manager = reference()
        if manager is not None and manager.has_kernel:
            self._on_message(manager)
        return self._origin.stamp(getattr(manager, "kernel_id", ""))

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
