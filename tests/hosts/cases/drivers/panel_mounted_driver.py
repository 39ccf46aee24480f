"""Panel inside FastAPI, behind our middleware."""

from __future__ import annotations

from contextlib import contextmanager

from cases import Absent, Gives, Works
from drivers import panel_driver
from drivers.bokeh_visits import HERE, serve, serving, visiting
from drivers.http_app import token_of

_numbers = iter(range(100_000))

WAYS = {
    **panel_driver.WAYS,
    "reload": Absent("Panel reloads nothing there; uvicorn's reload is FastAPI's case."),
    "processes": Absent("Panel keeps its sessions in one process there."),
    "warm": Gives("error: not_in_kernel"),
    "reused": Absent("Panel's option is one of `panel serve`."),
    "nested": Works(),
}


class _PanelMounted:
    name = "panel_mounted"
    title = "Panel in FastAPI"
    needs = ("panel", "fastapi", "bokeh_fastapi")
    ways = WAYS

    @contextmanager
    def serve(self, folder, case):
        with serve(
            folder, "panel", panel_driver.APP, before=HERE / "panel_mounted_app.py"
        ) as server:
            yield server

    def visit(self, server, person):
        page = serving.Visit(server, f"{person} {next(_numbers)}", {"X-Login": token_of(person)})
        return visiting(page)


DRIVER = _PanelMounted()
