"""Sinks outside the kernels: pages, files, processes, commands, Redis and PostgreSQL."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
from oauth_provider import CLIENT_SECRET
from redis import Redis
from secret_cells import KEEP, SETUP
from secret_sinks import MARKER, Office
from servers import EXTENSION, PASSWORDS, ROOT, own_server, people_on

if TYPE_CHECKING:
    from playwright.async_api import BrowserContext, Page

__all__ = ["other_server", "places", "watched_redis", "work_in_a_page"]

FLAGS = ("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking")
_STORAGE = """() => {
    localStorage.setItem("MARKER", "MARKER");
    return JSON.stringify([Object.entries(localStorage), Object.entries(sessionStorage),
                           document.cookie, "MARKER"]);
}"""
_RUN = """async (path) => {
    const shown = await jupyterapp.commands.execute('docmanager:open', {path});
    jupyterapp.shell.activateById(shown.id);
    const {context, sessionContext} = jupyterapp.shell.currentWidget;
    await context.ready;
    await sessionContext.ready;
    await jupyterapp.commands.execute('notebook:run-all-cells');
    await jupyterapp.commands.execute('docmanager:save');
    console.log('MARKER');
    window.MARKER = {planted: 'MARKER'};
}"""
_PATIENCE_MS = 60_000
#: What a server needs beside one with the same settings.
_SECOND = ("--JupyterSessionUser.audit_file=", "--allow-root")


async def work_in_a_page(office: Office, chromium: str) -> None:
    """Let alice run a notebook in JupyterLab; its page, and what it has saved, are sinks."""
    from playwright.async_api import async_playwright

    _write_notebook(office)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        context = await browser.new_context()
        try:
            page = await _log_in(office, context)
            said: list[str] = []
            page.on("console", lambda message: said.append(message.text))
            page.on("request", lambda request: said.append(request.url))
            await page.goto(f"{office.server.url}lab?reset")
            await page.wait_for_function("window.jupyterapp?.restored")
            await page.evaluate("jupyterapp.restored")
            await page.evaluate(_RUN.replace("MARKER", MARKER), f"{MARKER}.ipynb")
            storage = await page.evaluate(_STORAGE.replace("MARKER", MARKER))
            office.keep_sink("page: local and session storage, document.cookie", storage)
            office.keep_sink("page: DOM", await page.content())
            office.keep_sink("page: heap", await _heap(context, page))
            office.keep_sink("page: console and addresses", *said)
            for cookie in await context.cookies():
                if cookie["name"].startswith("username-"):
                    office.keep_secret("login cookie", cookie["value"])
        finally:
            await browser.close()
    for line in (office.outside / "page.json").read_text().splitlines():
        for kind, value in json.loads(line).items():
            office.keep_secret(kind, value)


def _write_notebook(office: Office) -> None:
    from nbformat import v4

    log, kept = str(office.outside / "kernel.log"), str(office.outside / "page.json")
    codes = (SETUP.format(log=log, marker=MARKER), "print(M, ALL)\nALL", KEEP.format(path=kept))
    notebook = v4.new_notebook(cells=[v4.new_code_cell(code) for code in codes])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
    path = office.server.home / "work" / f"{MARKER}.ipynb"
    path.write_text(json.dumps(notebook), encoding="utf-8")


async def _log_in(office: Office, context: BrowserContext) -> Page:
    page = await context.new_page()
    page.set_default_timeout(_PATIENCE_MS)
    await page.goto(f"{office.server.url}login")
    await page.get_by_label("Who are you?").fill("alice")
    await page.get_by_label("Password").fill(PASSWORDS["alice"])
    await page.get_by_role("button", name="Log in").click()
    await page.wait_for_load_state()
    return page


async def _heap(context: BrowserContext, page: Page) -> str:
    """Return all strings of the page's memory."""
    session = await context.new_cdp_session(page)
    chunks: list[str] = []
    session.on("HeapProfiler.addHeapSnapshotChunk", lambda got: chunks.append(got["chunk"]))
    await session.send("HeapProfiler.takeHeapSnapshot", {"captureNumericValue": True})
    text = "".join(chunks)
    return text[text.rindex('"strings":[') :]


@asynccontextmanager
async def watched_redis(office: Office) -> AsyncIterator[None]:
    """Read all commands that Redis gets in the block, and what it has at the end."""
    (password,) = office.secrets["password of Redis"]
    reader, writer = await asyncio.open_connection("127.0.0.1", office.redis.port)
    writer.write(b"AUTH " + password + b"\r\nMONITOR\r\n")
    task = asyncio.create_task(reader.readuntil(MARKER.encode() + b'"\r\n'))
    try:
        yield
        with closing(Redis(port=office.redis.port, password=password.decode())) as client:
            client.set(f"planted:{MARKER}", MARKER)
            for key in client.scan_iter():
                office.keep_sink("Redis: keys and values", key, client.dump(key))
                kind = client.type(key)
                read = {b"hash": client.hgetall, b"stream": client.xrange, b"string": client.get}
                office.keep_sink("Redis: keys and values", read.get(kind, lambda _: "")(key))
            office.keep_sink("Redis: clients", client.client_list(), MARKER)
        office.keep_sink("Redis: MONITOR", await task)
    finally:
        task.cancel()
        writer.close()


async def other_server(office: Office) -> None:
    """Run a server that keeps the ended logins in SQLite; its database and journal are sinks."""
    with own_server(
        "--ServerApp.identity_provider_class=oidc_identity.OidcIdentityProvider",
        "--OidcIdentityProvider.demo=True",
        f"--OidcIdentityProvider.passwords={PASSWORDS!r}",
        f"--JupyterSessionUser.login_token_key_file={office.outside / 'login-token-key'}",
        extensions=(EXTENSION,),
        env={"TEST_ISSUER": office.provider.url},
        config={"jupyter_server_config.py": _exchange(office)},
    ) as server:
        for person in await people_on(server):
            names = [name for name in person.cookies if name.startswith("username-")]
            office.keep_secret("login cookie", *(person.cookies[name] for name in names))
            await person.json("api/session-user/logout-everywhere", method="POST", body={})
        folder = server.home / "data" / "session-user"
        for path in folder.glob("*.sqlite3"):
            name = {"ended.sqlite3": "ended logins", "login-tokens.sqlite3": "login tokens"}
            _sqlite(office, f"SQLite: {name[path.name]}", path)
        office.keep_secret(
            "token of a login, or from the provider", *office.provider.seen()["given"]
        )


def _exchange(office: Office) -> str:
    entry = {"issuer": office.provider.url, "client_id": "jupyter", "client_secret_file": ""}
    entry["client_secret_file"] = str(office.outside / "client-secret")
    return f"c.JupyterSessionUser.token_exchange = { ({'trino': entry})!r}\n"


def _sqlite(office: Office, name: str, path: Path) -> None:
    """Read a database, its journal, and its rows; the marker goes through the journal."""
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE planted (marker)")
        database.execute("INSERT INTO planted VALUES (?)", (MARKER,))
        database.commit()
        office.keep_files(f"{name}, write-ahead log", Path(f"{path}-wal"))
        office.keep_sink(f"{name}, rows", *database.iterdump())
    office.keep_files(f"{name}, file and journals", *path.parent.glob(f"{path.name}*"))


def places(office: Office, log_from: int) -> None:
    """Read files, processes, commands and PostgreSQL; the server still runs."""
    _files(office)
    _processes(office)
    _commands(office)
    office.keep_sink("PostgreSQL: log", office.postgres.log.read_bytes()[log_from:])
    for view in ("pg_stat_activity", "pg_authid", "pg_settings"):
        query = f"SELECT '{MARKER}', to_json(v) FROM {view} v"  # noqa: S608 - our own names
        rows = office.postgres.run(query)
        office.keep_sink(f"PostgreSQL: {view}", *rows)


def _files(office: Office) -> None:
    home, outside = office.server.home, office.outside
    secret = home / "runtime" / "jupyter_cookie_secret"
    office.keep_secret("cookie secret", secret.read_text().strip())
    (running,) = (home / "runtime").glob("jpserver-*.json")
    if token := json.loads(running.read_text()).get("token"):
        office.keep_secret("server token", token)
    (keys,) = (home / "data").rglob("*keys*.json")
    for key in json.loads(keys.read_text())["keys"]:
        office.keep_secret("private key of identity tokens", key["d"])
    office.keep_files("server's log at DEBUG", office.server.log)
    office.keep_files("kernels' log at DEBUG", outside / "kernel.log")
    office.keep_files("events in a file", outside / "events.jsonl")
    office.keep_files("audit in a file", *outside.glob("audit.jsonl*"))
    notebooks = list((home / "work").rglob("*.ipynb"))
    office.keep_files("notebook in a file", *(p for p in notebooks if "checkpoint" not in str(p)))
    office.keep_files("checkpoint", *(path for path in notebooks if "checkpoint" in str(path)))
    office.keep_files("history of cells", *(home / "ipython").rglob("*.sqlite*"))
    office.keep_files("runtime directory", *(home / "runtime").rglob("*"))
    (outside / "tmp" / "planted").write_text(MARKER)
    office.keep_files("temporary files", *(outside / "tmp").rglob("*"))
    (home / "planted").write_text(MARKER)
    config = home / "config" / "jupyter_server_config.py"  # the demo users' passwords are in it
    skipped = {secret, running, keys, config, office.server.log}
    skipped |= set((home / "runtime").rglob("*"))
    rest = (path for path in home.rglob("*") if path not in skipped)
    office.keep_files("all other files of the account", *rest)


def _processes(office: Office) -> None:
    server = psutil.Process(office.server.process.pid)
    children = server.children(recursive=True)
    for process in (server, *children):
        office.keep_sink("command lines of the processes", *process.cmdline())
    office.keep_sink("environment of the kernels", *(child.environ() for child in children))
    own = Path(f"/proc/{office.server.process.pid}/environ").read_bytes()
    office.keep_sink("environment of the server", own)


def _commands(office: Office) -> None:
    """Run commands that show something; those without the marker once more, with a wrong option."""
    home, wrong = office.server.home, f"--no-such={MARKER}"
    python = (sys.executable, "-m")
    ours = (sys.executable, "-c", "from jupyter_session_user.cli import run; run()")
    notebook = str(home / "work" / f"{MARKER}.ipynb")
    commands = {
        "jupyter server --show-config": (*python, "jupyter_server", "--show-config", *_SECOND),
        "jupyter server list": (*python, "jupyter_server", "list"),
        "jupyter server list ": (*python, "jupyter_server", "list", wrong),
        "jupyter session-user doctor": (*ours, "doctor", "--json"),
        "jupyter session-user doctor ": (*ours, "doctor", wrong),
        "jupyter session-user sessions": (*ours, "sessions", "--all", "--json"),
        "jupyter session-user agents": (*ours, "agents", "--json"),
        "jupyter session-user agents ": (*ours, "agents", wrong),
        "jupyter session-user audit": (*ours, "audit", str(office.outside / "audit.jsonl")),
        "jupyter session-user keys": (*ours, "keys", "rotate"),
        "jupyter session-user keys ": (*ours, "keys", "rotate", wrong),
        "jupyter nbconvert": (*python, "nbconvert", "--to", "html", "--stdout", notebook),
    }

    def run(command: Sequence[str]) -> bytes:
        done = subprocess.run(
            command, capture_output=True, env=_environment(home), timeout=90, check=False
        )
        return done.stdout + done.stderr

    with ThreadPoolExecutor(2) as pool:
        for name, shown in zip(commands, pool.map(run, commands.values()), strict=True):
            office.keep_sink(name.strip(), shown)


def _environment(home: Path) -> dict[str, str]:
    folders = {name: str(home / name.lower()) for name in ("CONFIG", "DATA", "RUNTIME")}
    jupyter = {f"JUPYTER_{name}_DIR": folder for name, folder in folders.items()}
    path = os.pathsep.join((str(ROOT), str(ROOT / "tests" / "support")))
    more = {"HOME": str(home), "PYTHONPATH": path, "TEST_SECRET": CLIENT_SECRET}
    return {**os.environ, **jupyter, **more}
