"""The route with which a notebook asks who ran its cells."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jupyter_core.utils import ensure_async
from tornado import web

from jupyter_session_user.server.web.handler import SessionUserHandler, permitted

if TYPE_CHECKING:
    from jupyter_server.base.handlers import APIHandler

__all__ = ["RUN_ROUTES"]

_OFF = "this server tells nobody who ran a cell: show_runs is False"


class RunsHandler(SessionUserHandler):
    """The latest run of each cell of a kernel."""

    @permitted
    async def get(self, kernel_id: str) -> None:
        """Respond with the runs that have changed since the version ``after``.

        The caller may use the kernel, so what is said here is about people who share it.
        """
        runs = self.context.executions.runs
        if runs is None:
            raise web.HTTPError(404, _OFF)
        if not (self.is_operator or await self._may_use_kernels()):
            raise web.HTTPError(403, "you may not use kernels of this server")
        if kernel_id not in self.kernel_manager:
            raise web.HTTPError(404, "no such kernel")
        version, changed = runs.of(kernel_id, self._after())
        if not self.is_operator:  # a visitor's kernel is nobody else's
            self.context.kernels.check(kernel_id, self.context.capture.login(self))
        manager = self.kernel_manager.get_kernel(kernel_id)
        self.answer(
            {
                "shared": self.context.kernels.speakers.is_shared(manager),
                "version": version,
                "runs": [run.to_wire() for run in changed],
            }
        )

    async def _may_use_kernels(self) -> bool:
        """Ask the authorizer what Jupyter asks for the websocket of a kernel."""
        asked = self.authorizer.is_authorized(self, self.current_user, "execute", "kernels")
        return bool(await ensure_async(asked))

    def _after(self) -> int:
        given = self.get_query_argument("after", "0")
        if not (given.isascii() and given.isdecimal() and len(given) <= 15):  # noqa: PLR2004
            raise web.HTTPError(400, "after is the version of an earlier answer")
        return int(given)


RUN_ROUTES: list[tuple[str, type[APIHandler]]] = [
    (r"api/session-user/kernels/([\w-]+)/runs", RunsHandler),
]
