"""Panel 1.10's own server without Tornado: ``panel serve --server fastapi``."""

from __future__ import annotations

from cases import Absent
from drivers import panel_driver

WAYS = {
    **panel_driver.WAYS,
    "processes": Absent("Panel takes `--num-procs` with Tornado alone."),
}


class _PanelFastapi(panel_driver.PanelServe):
    name = "panel_fastapi"
    title = "`panel serve --server fastapi`"
    newer = ("panel.io.asgi",)
    ways = WAYS
    server = ("--server", "fastapi")


DRIVER = _PanelFastapi()
