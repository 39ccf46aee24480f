"""Finds the package of the server that runs code in kernels for an unknown user.

The stamp of such a message names the package, so that the reader can fix the problem. If a server
extension is on the stack of the code that builds the message, the stamp names that extension, since
the administrator has installed it. Otherwise the stamp names the nearest package.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Collection, Iterator
from types import FrameType
from typing import TYPE_CHECKING

from jupyter_session_user.core.stamp import unknown_stamp
from jupyter_session_user.server.auth.origin import NO_REQUEST

if TYPE_CHECKING:
    import logging

__all__ = ["Senders"]

#: What is counted: messages that run code in a kernel.
_RUNS_CODE = frozenset({"execute_request", "comm_open", "comm_msg"})
#: Packages between the sender and us.
_PASSED_BY = frozenset({"jupyter_client", "jupyter_session_user", "tornado", "traitlets", "zmq"})
#: Its frame begins what the event loop runs: below it is the program, which is not the sender.
_LOOP = "asyncio.events"
_NO_PACKAGE = "unknown code"
#: Names beyond that count as one: a program may make up module names.
_MAX_PACKAGES = 100


class Senders:
    """The packages of one server that have sent code to kernels for an unknown user.

    Args:
        log: It names each package once.
    """

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._extensions: frozenset[str] = frozenset()
        self._messages: Counter[str] = Counter()

    def prefer(self, extensions: Collection[str]) -> None:
        """Name one of these packages, the server's extensions, where it is on the stack."""
        self._extensions = frozenset(name.partition(".")[0] for name in extensions)

    def named(self, stamp: bytes, msg_type: str) -> bytes:
        """Return the stamp; one that names no user and no request names the package instead."""
        if stamp is not NO_REQUEST:
            return stamp
        packages = list(_packages(sys._getframe(1)))  # noqa: SLF001 - inspect.stack reads files
        extensions = (package for package in packages if package in self._extensions)
        package = next(extensions, packages[0] if packages else _NO_PACKAGE)
        if msg_type in _RUNS_CODE:
            self._note(package)
        return unknown_stamp(f"sent by {package} on the server, outside any user's request")

    def is_by(self, packages: frozenset[str]) -> bool:
        """Tell whether code of one of these packages is on the stack."""
        return not packages.isdisjoint(_packages(sys._getframe(1)))  # noqa: SLF001 - as above

    def seen(self) -> dict[str, int]:
        """Return how many messages each package has sent, the busiest package first."""
        return dict(self._messages.most_common())

    def _note(self, package: str) -> None:
        if package not in self._messages and len(self._messages) >= _MAX_PACKAGES:
            package = _NO_PACKAGE
        if package not in self._messages:
            self._log.warning(
                "%s runs code in kernels with a client of its own, outside any user's request. "
                "get_current_user() raises IdentityUnavailable there (unknown_at_server).",
                package,
            )
        self._messages[package] += 1


def _packages(frame: FrameType | None) -> Iterator[str]:
    """Yield the top-level packages on a stack except infrastructure, nearest first."""
    while frame is not None:
        module = str(frame.f_globals.get("__name__", ""))
        if module == _LOOP:
            return
        package = module.partition(".")[0]
        if package and package not in _PASSED_BY and package not in sys.stdlib_module_names:
            yield package
        frame = frame.f_back
