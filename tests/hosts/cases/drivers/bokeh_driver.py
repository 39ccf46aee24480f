"""Bokeh's own server: ``bokeh serve``."""

from __future__ import annotations

from contextlib import contextmanager

from cases import Absent, Gives, Works
from drivers.bokeh_visits import HERE, LOGIN, change, serve, signed_in, visiting

APP = HERE / "bokeh_app.py"
#: Bokeh has no ``--warm``; its hook for the server's start runs before any visitor.
LIFECYCLE = """
from shared import say

def on_server_loaded(context):
    say("in advance", "warm")
"""

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
    "reused": Absent("Bokeh makes a session for each page."),
    "cache": Absent("Bokeh has no cache of its own."),
    "generator": Absent("Bokeh runs no generators."),
    "nested": Absent("Tornado's server is the outermost one."),
    "anonymous": Gives("anonymous"),
    "forged": Gives("anonymous"),
    "others_token": Works(),
}


class _Bokeh:
    name = "bokeh"
    title = "`bokeh serve`"
    needs = ("bokeh",)
    ways = WAYS

    @contextmanager
    def serve(self, folder, case):
        watched = str(folder / "app" / "main.py")
        options = {"reload": ["--dev", watched], "processes": ["--num-procs", "2"]}.get(case, [])
        files = {"server_lifecycle": LIFECYCLE} if case == "warm" else {}
        with serve(folder, "bokeh", APP, *LOGIN, *options, **files) as server:
            if case == "reload":
                change(server, folder)
            yield server

    def visit(self, server, person):
        return visiting(signed_in(server, person))


DRIVER = _Bokeh()
