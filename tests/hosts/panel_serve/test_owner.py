"""The visitor of a page, when another visitor's callback runs the page's functions."""

import asyncio
import importlib.util
from pathlib import Path

import pytest
from serving import SECRET, Visit
from tornado.web import create_signed_value

APPS = Path(__file__).parent / "apps"
SERVERS = ["bokeh", "tornado", *(["asgi"] if importlib.util.find_spec("panel.io.asgi") else [])]


@pytest.mark.parametrize("kind", SERVERS)
async def test_the_owner_of_a_page_in_another_visitors_callback(started, kind):
    """Alice clicks: the function of bob's page runs as alice, and knows that the page is bob's."""
    tool = "bokeh" if kind == "bokeh" else "panel"
    server_of = ("--server", kind) if kind == "asgi" else ()
    app = APPS / "shared_parameter.py"
    server = started(tool, app, *server_of, "--cookie-secret", SECRET)
    people = {}
    for name in ("alice", "bob"):
        signed = create_signed_value(SECRET, "user", name).decode()
        people[name] = Visit(server, f"{name} {kind}", cookies={"user": signed})
    await asyncio.gather(*(visit.open() for visit in people.values()))
    await people["alice"].click("Click")
    for name, visit in people.items():
        for where in ("page", "changed"):
            line = (await server.wait(tag=visit.tag, where=where))[0]
            assert line["owner"] == name
            assert line["user"] == (name if where == "page" else "alice")
            assert line["unknown"] == ["no_context", "no_context", "nobody"]
