"""Panel 1.10's own server without Tornado: ``panel serve --server asgi``."""

from __future__ import annotations

from cases import Absent
from drivers import panel_driver

WAYS = {
    **panel_driver.WAYS,
    "processes": Absent("Panel takes `--num-procs` with Tornado alone."),
}


class _PanelAsgi(panel_driver.PanelServe):
    name = "panel_asgi"
    title = "`panel serve --server asgi`"
    newer = ("panel.io.asgi",)
    ways = WAYS
    server = ("--server", "asgi")


DRIVER = _PanelAsgi()
