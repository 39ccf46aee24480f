"""A real Chromium, a real JupyterLab, and short words for what people do in it."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import servers
from local_server import LocalServer

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Locator, Page

__all__ = [
    "FULL_NAMES",
    "Desk",
    "chromium_path",
    "chromium_running",
    "jupyter_lab",
    "log_in",
    "notebook_text",
    "together",
]

ROOT = Path(__file__).parents[2]

FULL_NAMES = {"alice": "Alice Adams", "bob": "Bob Brown"}

#: Milliseconds that something may take before a test gives up; no test judges by the clock.
PATIENCE_MS = 90_000

#: Nothing that a browser would fetch or report on its own.
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

#: Pages of other packages that would run cells or save documents in a way of their own.
NBMODEL_PAGE = "@datalayer/jupyter-server-nbmodel"
COLLABORATION_PAGES = ("@jupyter/collaboration-extension", "@jupyter/docprovider-extension")
DOCUMENTS_PAGE = "@jupyter-ai-contrib/server-documents"
TOOLKIT_PAGE = "jupyterlab-commands-toolkit"
OTHERS = (
    NBMODEL_PAGE,
    "@datalayer/jupyter-collaboration",
    *COLLABORATION_PAGES,
    DOCUMENTS_PAGE,
    TOOLKIT_PAGE,
)

#: Contrast of an element's text against what is painted behind it.
CONTRAST_OF = """(node) => {
    const parse = color => color.match(/[\\d.]+/g).map(Number);
    let behind = node;
    while ((parse(getComputedStyle(behind).backgroundColor)[3] ?? 1) === 0) {
        behind = behind.parentElement;
    }
    const luminance = color => parse(color).slice(0, 3)
        .map(byte => byte / 255)
        .map(part => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4)
        .reduce((sum, part, i) => sum + part * [0.2126, 0.7152, 0.0722][i], 0);
    const both = [getComputedStyle(node).color, getComputedStyle(behind).backgroundColor];
    const [dark, light] = both.map(luminance).sort((one, other) => one - other);
    return (light + 0.05) / (dark + 0.05);
}"""

_LAB = ("jupyterlab", "notebook", "notebook_shim")
_THEME = "theme => jupyterapp.commands.execute('apputils:change-theme', {theme})"
_OPEN = """async (path) => {
    const shown = await jupyterapp.commands.execute('docmanager:open', {path});
    jupyterapp.shell.activateById(shown.id);
}"""
_READY = """async () => {
    const {context, sessionContext} = jupyterapp.shell.currentWidget;
    await context.ready;
    await sessionContext.ready;
    await sessionContext.session.kernel.info;
    return sessionContext.session.kernel.id;
}"""
#: A promise of the page has no time limit of its own. The error says what the kernel does.
_IN_TIME = """async ([promise, patience]) => {
    const late = new Promise((_, reject) => setTimeout(() => {
        const kernel = jupyterapp.shell.currentWidget?.sessionContext?.session?.kernel;
        const state = `${kernel?.connectionStatus}, ${kernel?.status}`;
        reject(new Error(`TimeoutError: ${promise} after ${patience} ms; the kernel: ${state}`));
    }, patience));
    return Promise.race([eval(promise), late]);
}"""
_RUN = """(index) => {
    jupyterapp.shell.currentWidget.content.activeCellIndex = index;
    window.ran = jupyterapp.commands.execute('notebook:run-cell');
}"""


def chromium_path(need: Callable[[object, str], None]) -> str:
    """Return a Chromium's path, from ``CHROMIUM`` or the system's, or skip the test."""
    need(importlib.util.find_spec("playwright"), "playwright is missing")
    names = ("chromium", "chromium-browser", "google-chrome")
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), "")
    need(found, "no Chromium: install one, or set CHROMIUM=/path/to/it")
    return found


@contextmanager
def chromium_running(path: str) -> Iterator[Browser]:
    """Run a headless Chromium for the block."""
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


def jupyter_lab(
    config: Path,
    *arguments: str,
    nbmodel: bool = False,
    collaboration: bool = False,
    documents: bool = False,
    toolkit: bool = False,
    chip: bool = True,
    people: bool = True,
    **options: Any,
) -> AbstractContextManager[LocalServer]:
    """Run JupyterLab and Notebook 7 with alice and bob.

    Args:
        config: An empty directory.
        arguments: Command line.
        nbmodel: Whether cells go over HTTP, by jupyter-server-nbmodel.
        collaboration: Whether documents are shared, by jupyter-collaboration.
        documents: Whether documents are shared, and the server runs their cells, by
            jupyter-server-documents.
        toolkit: Whether agents can send commands to all pages, by jupyterlab-commands-toolkit.
        chip: Whether our server extension is on.
        people: Whether alice and bob can log in; else Jupyter's own login is in place.
        options: Further ones of ``local_server``.
    """
    pages = (
        *((NBMODEL_PAGE,) if nbmodel else ()),
        *(COLLABORATION_PAGES if collaboration or documents else ()),
        *((DOCUMENTS_PAGE,) if documents else ()),
        *((TOOLKIT_PAGE,) if toolkit else ()),
    )
    more = (
        *(("jupyter_server_nbmodel",) if nbmodel else ()),
        *(("jupyter_server_ydoc", "jupyter_server_fileid") if collaboration else ()),
        *(("jupyter_server_fileid", "jupyter_server_documents") if documents else ()),
        *(("jupyterlab_commands_toolkit",) if toolkit else ()),
    )
    disabled = {name: name not in pages for name in OTHERS}
    # Dash brings an extension that JupyterLab would ask to build, in a dialog over everything.
    page = {"disabledExtensions": disabled, "buildCheck": False}
    _write(config / "labconfig" / "page_config.json", page)
    settings = config / "lab" / "user-settings" / "@jupyterlab" / "apputils-extension"
    quiet = {"fetchNews": "false", "checkForUpdates": False}
    _write(settings / "notification.jupyterlab-settings", quiet)
    ours = (servers.EXTENSION,) if chip else ()
    env = {"JUPYTER_CONFIG_DIR": str(config), **options.pop("env", {})}
    return servers.own_server(
        *(servers.DEMO if people else ()),
        "--JupyterSessionUser.share_cookies=demo_platform_user",  # as the demo does
        "--expose-app-in-browser",
        "--JupyterNotebookApp.expose_app_in_browser=True",
        *arguments,
        command=(sys.executable, "-m", "jupyterlab"),
        extensions=(*ours, *_LAB, *more),
        env=env,
        **options,
    )


def _write(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")


def notebook_text(*cells: str) -> str:
    """Return a notebook with these code cells."""
    fields = {"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": None}
    return json.dumps(
        {
            "cells": [{**fields, "id": f"cell-{n}", "source": c} for n, c in enumerate(cells)],
            "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3"}},
            "nbformat": 4,
            "nbformat_minor": 5,
        }
    )


def log_in(context: BrowserContext, server: LocalServer, name: str, path: str = "lab") -> Page:
    """Ask for a page in a browser of somebody's own, and log in on the form that comes instead."""
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    page.goto(server.url + path)
    page.get_by_label("Who are you?").fill(name)
    page.get_by_label("Password").fill(servers.PASSWORDS[name])
    page.get_by_role("button", name="Log in").click()
    return page


@dataclass
class Desk:
    """A person in front of JupyterLab or Notebook 7."""

    name: str
    page: Page

    @classmethod
    def of(
        cls, context: BrowserContext, server: LocalServer, name: str, path: str = "lab?reset"
    ) -> Desk:
        """Log somebody in, and wait for the application.

        Args:
            context: A browser of their own, as far as cookies go.
            server: The server.
            name: Alice's or Bob's username.
            path: What to open. ``reset`` keeps the last visitor's workspace out of it.
        """
        desk = cls(name, log_in(context, server, name, path))
        desk.page.wait_for_function("window.jupyterapp?.restored")
        desk.page.evaluate("jupyterapp.restored")
        return desk

    @property
    def full_name(self) -> str:
        """The name for people."""
        return FULL_NAMES[self.name]

    @property
    def somebody_else(self) -> str:
        """The name of the other person."""
        return next(full for name, full in FULL_NAMES.items() if name != self.name)

    @property
    def chip(self) -> Locator:
        """The chip: in the top bar, or in Notebook 7's menu bar where the top bar is hidden."""
        return self.page.locator(".jp-SessionUser-button:visible")

    @property
    def dialog(self) -> Locator:
        """The open dialog."""
        return self.page.get_by_role("dialog")

    @property
    def menu(self) -> Locator:
        """The open menu of the chip."""
        return self.page.get_by_role("menu")

    def choose(self, entry: str) -> None:
        """Choose an entry of the chip's menu, by the beginning of its name."""
        self.chip.click()
        self.menu.get_by_role("menuitem", name=entry).click()

    def show_details(self) -> None:
        """Open the dialog about the login."""
        self.choose("Logged in as")

    def choose_theme(self, scheme: str) -> None:
        """Choose JupyterLab's own theme, ``light`` or ``dark``, and wait until it shows.

        JupyterLab 4.0 cannot follow the browser's colour scheme yet.
        """
        self.page.evaluate(_THEME, f"JupyterLab {scheme.title()}")
        light = "true" if scheme == "light" else "false"
        self.page.wait_for_selector(f"body[data-jp-theme-light={light}]", state="attached")

    def open(self, path: str) -> str:
        """Open a notebook in JupyterLab, and return the id of its kernel once that answers."""
        self.page.evaluate(_OPEN, path)
        return self.kernel()

    def kernel(self) -> str:
        """Return the id of the open notebook's kernel once that answers."""
        self.page.wait_for_function("jupyterapp.shell.currentWidget?.sessionContext")
        kernel_id: str = self.in_time(f"({_READY})()")
        return kernel_id

    def in_time(self, promise: str) -> Any:
        """Return what a promise of the page gives; raise if it does not in time."""
        return self.page.evaluate(_IN_TIME, [promise, PATIENCE_MS])

    def start(self, index: int) -> None:
        """Begin to run a cell, and do not wait for it."""
        self.page.evaluate(_RUN, index)

    def finish(self) -> None:
        """Wait for the cell."""
        self.in_time("window.ran")

    def run(self, *indices: int) -> None:
        """Run cells, one after the other."""
        for index in indices:
            self.start(index)
            self.finish()

    def output(self, index: int) -> Locator:
        """The rendered output of a cell of the notebook in front."""
        notebook = self.page.locator(".jp-Notebook:visible")
        return notebook.locator(f".jp-Cell[data-windowed-list-index='{index}'] .jp-OutputArea")


def together(desks: Sequence[Desk], index: int) -> None:
    """Let everybody run the same cell at the same time."""
    for desk in desks:
        desk.start(index)
    for desk in desks:
        desk.finish()
