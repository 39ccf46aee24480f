"""JUPYTER_SESSION_USER_FAKE in an app: only where the server authenticates nobody."""

import asyncio

import pytest
from serving import APPS, SECRET, Visit

PROBE = APPS / "probe.py"
AUTH = APPS.parent / "auth"
FAKE = {"JUPYTER_SESSION_USER_FAKE": "ada"}

both = pytest.mark.parametrize("tool", ["bokeh", "panel"])


async def opened(server, tag, **headers):
    """Open the page as a visitor, press its button, and return what both said."""
    visit = Visit(server, tag, headers)
    await visit.open()
    await visit.click("Click")
    return [(await server.wait(tag=tag, where=where))[0] for where in ("page", "click", "thread")]


@both
async def test_an_open_app(started, tool):
    """Each visitor of an open app is the user of the variable, in a session of their own."""
    server = started(tool, PROBE, **FAKE)
    first, second = await asyncio.gather(*(opened(server, f"{tool}-{n}") for n in (1, 2)))
    for page, click, thread in (first, second):
        assert (page["user"], page["source"], page["verified"]) == ("ada", "fake", False)
        assert (click["user"], click["id"]) == ("ada", page["id"])
        assert thread["error"] == "no_context"
    assert first[0]["id"] != second[0]["id"]


@both
@pytest.mark.parametrize("module", ["header_user.py", "header_user_async.py"])
async def test_an_app_with_an_auth_module(started, tool, module):
    """The server names its visitor, and sends a stranger to the login."""
    server = started(tool, PROBE, "--auth-module", str(AUTH / module), **FAKE)
    page, click, _ = await opened(server, f"{tool}-{module}", **{"X-Forwarded-User": "bob"})
    assert page["user"] == click["user"] == "bob"
    assert page["verified"]
    assert (await Visit(server, "stranger").fetch(server.path)).code == 302


@both
async def test_an_app_that_signs_cookies(started, tool):
    """Its visitors may log in with a cookie, so a stranger stays anonymous."""
    server = started(tool, PROBE, **FAKE, BOKEH_COOKIE_SECRET=SECRET)
    page, click, _ = await opened(server, f"{tool}-stranger")
    assert page["user"] == click["user"] == "-"
