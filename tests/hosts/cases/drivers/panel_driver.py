"""Panel's own server: ``panel serve`` on Tornado."""

from __future__ import annotations

from contextlib import contextmanager

from cases import Absent, Gives, Works
from drivers.bokeh_visits import HERE, LOGIN, change, load, serve, signed_in, visiting

APP = HERE / "panel_app.py"
OPTIONS = {
    "reload": ["--dev"],
    "processes": ["--num-procs", "2"],
    "warm": ["--warm"],
    "reused": ["--reuse-sessions"],
}

WAYS = {
    "page": Works(),
    "first_page": Works(),
    "callback": Works(),
    "periodic": Works(),
    "thread": Gives("error: no_context"),
    "bound_thread": Works(),
    "pool": Works(),
    "outliving": Gives("error: no_context"),
    "others_document": Works(),
    "broadcast": Works(),
    "reload": Works(),
    "processes": Works(),
    "warm": Gives("error: no_context"),
    "reused": Works(),
    "cache": Gives("warning"),
    "generator": Works(),
    "nested": Absent("`panel serve` is the outermost server."),
    "anonymous": Gives("anonymous"),
    "forged": Gives("anonymous"),
    "others_token": Works(),
}


class PanelServe:
    """One of the servers of ``panel serve``."""

    name = "panel"
    title = "`panel serve`"
    needs = ("panel",)
    ways = WAYS
    server = ()

    @contextmanager
    def serve(self, folder, case):
        options = (*LOGIN, *self.server, *OPTIONS.get(case, []))
        with serve(folder, "panel", APP, *options) as server:
            if case == "reload":
                change(server, folder)
            if case == "reused":
                load(server, "carol", "the one that is used again")
            yield server

    def visit(self, server, person):
        return visiting(signed_in(server, person))


DRIVER = PanelServe()
