"""JUPYTER_SESSION_USER_FAKE in Solara, without a browser: its scripts come from a CDN."""

from __future__ import annotations

import asyncio
import importlib.util
import re
import sys

import pytest
from app_servers import PATIENCE_S, app_server
from solara_pages import solara_page

PAGE = """
import solara
from jupyter_session_user import SessionUserError, get_session

@solara.component
def Page():
    try:
        session = get_session()
        name = "anonymous" if session.user.is_anonymous else session.user.username
        text = f"who=({name} {session.source} {session.verified} {session.id})"
    except SessionUserError as error:
        text = f"who=({error.reason})"
    solara.Text(text)
"""
SITE = """
import os
os.environ["SOLARA_APP"] = "page.py"
import solara.server.starlette
from fastapi import FastAPI
from jupyter_session_user import SessionUserMiddleware

app = FastAPI()
app.mount("/", solara.server.starlette.app)
"""
RUN = ("-m", "solara", "run", "page.py", "--port", "{port}", "--host", "127.0.0.1")
UVICORN = ("-m", "uvicorn", "app:app", "--port", "{port}", "--log-level", "warning")
BARE = "app.add_middleware(SessionUserMiddleware)\n"
NAMES = (
    "app.add_middleware(SessionUserMiddleware, user=lambda scope: "
    "{b'b-token': 'bob'}.get(dict(scope['headers']).get(b'x-login')))\n"
)


async def said(server, person):
    """Return what the page says to a visitor."""
    async with solara_page(server, person) as page:
        await page.start()
        for _ in range(int(PATIENCE_S / 0.05)):
            if found := re.search(r"who=\(([^)]*)\)", page.text):
                return found[1].split()
            await asyncio.sleep(0.05)
        raise TimeoutError


@pytest.mark.parametrize(
    ("command", "site", "stranger"),
    [
        (RUN, SITE, "not_in_kernel"),
        (UVICORN, SITE + BARE, "ada"),
        (UVICORN, SITE + NAMES, "anonymous"),
        (UVICORN, SITE, "not_in_kernel"),
    ],
    ids=["solara run", "open middleware", "login", "no middleware"],
)
async def test_solara(need, command, site, stranger):
    """The user is made up in an open middleware alone; each visitor has their own session."""
    need(importlib.util.find_spec("solara"), "solara is missing")
    need(importlib.util.find_spec("aiohttp"), "aiohttp is missing")
    env = {"JUPYTER_SESSION_USER_FAKE": "ada", "SOLARA_TELEMETRY_MIXPANEL_ENABLE": "False"}
    files = {"page.py": PAGE, "app.py": site}
    with app_server(sys.executable, *command, files=files, env=env, ready="/readyz") as server:
        first, bob, second = [await said(server, person) for person in ("", "bob", "")]
        assert first[0] == second[0] == stranger
        if stranger == "ada":
            assert first[1:3] == ["fake", "False"]
            assert len({first[3], bob[3], second[3]}) == 3
        if "user=" in site:
            assert bob[0] == "bob"
