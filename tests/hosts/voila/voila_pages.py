"""Standalone Voila as a separate process, notebooks as its pages, and users that open them."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import local_server as local
import servers
from local_server import LocalServer

from jupyter_session_user.cli import voila_config

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Frame, Page

__all__ = [
    "HEADER",
    "NOTEBOOK",
    "PREHEATED",
    "TOLERANT",
    "Visit",
    "notebook",
    "seen_by",
    "together",
    "visits",
    "voila",
]

HERE = Path(__file__).parent

HEADER = ("--Voila.identity_provider_class=header_identity.HeaderIdentityProvider",)

PATIENCE_MS = 90_000

#: The report of each page. ``seen()`` looks in this same code, and in threads.
_SEEN = """
import json, os, threading, time
from pathlib import Path
from urllib.parse import parse_qs
import ipywidgets as widgets
from jupyter_session_user import (
    IdentityUnavailable, bind_current_user, get_cookies, get_current_user, get_session
)

def name():
    try:
        return get_current_user().username
    except IdentityUnavailable as error:
        return error.reason

def seen():
    threads = {}
    for place, look in (("bound", bind_current_user(name)), ("bare", name)):
        work = lambda place=place, look=look: threads.update({place: look()})
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    session = get_session()
    return {
        "here": name(), **threads, "cookie": get_cookies().get("locale"),
        "anonymous": session.user.is_anonymous, "verified": session.verified,
    }

def meet(name):
    "Go on only when as many are here, at this same point, as the page's address says."
    query = parse_qs(os.environ["QUERY_STRING"])
    if "meet" not in query:
        return
    place = Path("meetings", query["meet"][0], name)
    place.mkdir(parents=True, exist_ok=True)
    (place / str(os.getpid())).touch()
    patience = 1200
    while len(list(place.iterdir())) < int(query["people"][0]) and patience:
        time.sleep(0.05)
        patience -= 1
    assert patience, "nobody else came"

def tell(what, facts):
    print(f"<{what} {json.dumps(facts)} {what}>")
"""
_PAGE = """
meet("page")
tell("page", seen())
"""
_BUTTON = """
button = widgets.Button(description="Who am I?")
said = widgets.Label("")
@button.on_click
def _(_):
    try:
        said.value = f"<click {json.dumps(seen())} click>"
    except Exception as error:
        said.value = repr(error)
widgets.VBox([button, said])
"""
_EARLY = """
early = {
    "here": name(),
    "start": os.environ.get("OBVIOUS_USER"),
    "send": get_ipython().get_parent()["metadata"].get("obvious_user"),
}
Path("early").mkdir(exist_ok=True)
Path("early", str(os.getpid())).write_text(json.dumps(early))
"""
_BLOCKED = """
from voila.utils import wait_for_request
wait_for_request()
blocked = {**seen(), "send": get_ipython().get_parent()["metadata"].get("obvious_user")}
"""
_PREHEATED_PAGE = """
tell("early", early)
tell("blocked", blocked)
"""


def seen_by(name: str, browser: str | None = None) -> dict[str, Any]:
    """Return the expected report of a page for a named visitor, in a given browser."""
    return {
        "here": name,
        "bound": name,
        "bare": "no_context",
        "cookie": f"{browser or name}-browser",
        "anonymous": False,
        "verified": True,
    }


def notebook(*cells: str) -> str:
    """Return a notebook with these code cells."""
    fields = {"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": None}
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return json.dumps(
        {
            "cells": [{**fields, "id": f"cell-{n}", "source": c} for n, c in enumerate(cells)],
            "metadata": {"kernelspec": kernel},
            "nbformat": 4,
            "nbformat_minor": 5,
        }
    )


_PAGE_OR_WHY_NOT = """
try:
    tell("page", seen())
except Exception as error:
    tell("page", {"error": str(error)})
"""
_COUNTER = """
button = widgets.Button(description="Who am I?")
said = widgets.Label("")
clicks = []
@button.on_click
def _(_):
    clicks.append("click")
    session = get_session(default=None)
    facts = session and {"here": session.user.username, "anonymous": session.user.is_anonymous,
                         "verified": session.verified}
    said.value = f"<click {json.dumps({'clicks': len(clicks), 'who': facts})} click>"
widgets.VBox([button, said])
"""
#: Also for servers on which all visitors are unknown.
TOLERANT = notebook(_SEEN, _PAGE_OR_WHY_NOT, _COUNTER)
NOTEBOOK = notebook(_SEEN, _PAGE, _BUTTON)
#: Its first cells run before there is a visitor; the third one waits for the visitor.
PREHEATED = notebook(_SEEN, _EARLY, _BLOCKED, _PREHEATED_PAGE, _PAGE, _BUTTON)


@contextmanager
def voila(
    *arguments: str,
    files: Mapping[str, str],
    ours: bool = True,
    config: Mapping[str, Mapping[str, Any]] | None = None,
) -> Iterator[LocalServer]:
    """Run standalone Voila for the block, with the first of the files as its only page.

    Args:
        arguments: Command line.
        files: Notebooks.
        ours: False to run ``jupyter session-user disable voila`` first.
        config: Further settings of ``voila.json``; they take precedence.
    """
    with tempfile.TemporaryDirectory(prefix="jupyter-session-user-") as folder:
        home, port = Path(folder), local._free_port()
        local._write(home / "work", files)
        settings = home / "config" / "voila.json"
        _configure(settings, config or {}, ours=ours)
        path = os.pathsep.join(map(str, (servers.ROOT, servers.ROOT / "tests" / "support", HERE)))
        log = home / "server.log"
        with log.open("wb") as out:
            process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "voila", str(home / "work" / next(iter(files)))),
                    *("--no-browser", f"--port={port}", "--Voila.port_retries=0", *arguments),
                ],
                stdout=out,
                stderr=subprocess.STDOUT,
                env={**os.environ, **local._private_directories(home), "PYTHONPATH": path},
                cwd=home / "work",
                start_new_session=True,
            )
        server = LocalServer(f"http://127.0.0.1:{port}/", process, home, log)
        try:
            local._wait_until_up(server)
            yield server
        finally:
            local._stop(process)


def _configure(path: Path, config: Mapping[str, Mapping[str, Any]], *, ours: bool) -> None:
    if not ours:
        voila_config.disable(path)
    settings = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    for section, values in config.items():
        settings[section] = {**settings.get(section, {}), **values}
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(settings), encoding="utf-8")


@dataclass
class Visit:
    """A user with a separate browser window, and a page of Voila in it."""

    page: Page
    url: str

    @classmethod
    def of(cls, browser: Browser, url: str, name: str | None = None) -> Visit:
        """Open a window for the user that the proxy's header names; None is anonymous.

        The cookie ``locale`` identifies the browser.
        """
        context = browser.new_context()
        host = {"domain": "127.0.0.1", "path": "/"}
        context.add_cookies([{"name": "locale", "value": f"{name}-browser", **host}])
        visit = cls(context.new_page(), url)
        visit.page.set_default_timeout(PATIENCE_MS)
        visit.become(name)
        return visit

    @property
    def context(self) -> BrowserContext:
        """Return the browser, reduced to cookies and headers."""
        return self.page.context

    def become(self, name: str | None) -> None:
        """Act as another user from now on."""
        self.context.set_extra_http_headers({"X-User": name} if name else {})

    def reload_as(self, name: str) -> None:
        """Reload the page as another user, and do not wait for its cells."""
        self.become(name)
        self.page.reload(wait_until="commit")

    def open(self, query: str = "") -> None:
        """Request the page, and do not wait for it."""
        self.page.evaluate("url => { setTimeout(() => { location = url; }) }", self.url + query)

    def told(self, what: str, frame: Frame | None = None) -> dict[str, Any]:
        """Return the page's report, as soon as it is there."""
        body = (frame or self.page).locator("body")
        body.get_by_text(f"{what}>").first.wait_for()
        text = body.inner_text()
        return json.loads(text[text.index(f"<{what} ") + len(what) + 2 : text.index(f" {what}>")])

    def click(self, frame: Frame | None = None) -> dict[str, Any]:
        """Click the page's button, and return its callback's answer."""
        (frame or self.page).get_by_role("button", name="Who am I?").click()
        return self.told("click", frame)

    def kernel(self, frame: Frame | None = None) -> str:
        """Return the id of the page's kernel."""
        kernel_id: str = (frame or self.page).evaluate(
            "JSON.parse(document.getElementById('jupyter-config-data').textContent).kernelId"
        )
        return kernel_id

    def websocket(self, path: str, frame: Frame | None = None) -> str:
        """Return the result of a websocket from this page: 'open', or 'refused'."""
        result: str = (frame or self.page).evaluate(
            """path => new Promise(done => {
                const socket = new WebSocket(location.origin.replace('http', 'ws') + path);
                socket.onopen = () => { done('open'); socket.close(); };
                socket.onerror = () => done('refused');
            })""",
            path,
        )
        return result

    def embed(self, path: str = "") -> Frame:
        """Open the page in a frame of another site's page, which sends it no cookies.

        Jupyter's cookies have no ``SameSite``: browsers omit them in such frames.
        """
        # Another site by its name, but really local; else Chromium asks before it loads the frame.
        self.page.goto(self.url.replace("127.0.0.1", "localhost") + "voila/static/voila.js")
        self.page.evaluate(
            "src => document.body.append(Object.assign(document.createElement('iframe'), {src}))",
            self.url + path,
        )
        self.page.wait_for_function("frames.length === 1")
        frame = self.page.frames[1]
        frame.wait_for_selector("#jupyter-config-data", state="attached")
        return frame

    def close(self) -> None:
        """Close the window."""
        self.context.close()


def together(visits: Sequence[Visit]) -> None:
    """Let all users open the page so that their cells run at the same time."""
    meeting = f"?meet={uuid.uuid4().hex}&people={len(visits)}"
    for visit in visits:
        visit.open(meeting)


@contextmanager
def visits(browser: Browser, url: str, *names: str | None) -> Iterator[list[Visit]]:
    """Open a window for each of these users, for the block."""
    with contextlib.ExitStack() as stack:
        people = [Visit.of(browser, url, name) for name in names]
        for person in people:
            stack.callback(person.close)
        yield people
