"""``make demo-data``: a PostgreSQL, alice and bob, and their own rows in every page.

It starts a private PostgreSQL, a Jupyter server and a Panel app on 127.0.0.1, prints the
addresses, and ends all of them at Ctrl-C. With ``--check`` it opens the pages itself, prints a
table, and ends; its exit status is 1 if a row is wrong. Without PostgreSQL, it shows the SQLite
filter alone.
"""

import argparse
import asyncio
import contextlib
import json
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

from demo_check import rows_of_the_app, rows_of_the_server
from private_postgres import PrivatePostgres, free_port, missing

from jupyter_session_user.cli.demo_server import demo_server
from jupyter_session_user.testing.self_check import table

HERE = Path(__file__).parent
#: One browser keeps the cookies of these two names of this machine apart.
HOSTS = {"alice": "127.0.0.1", "bob": "localhost"}
PAGES = {
    "notebook": "lab/workspaces/{name}/tree/{name}/orders.ipynb",
    "Voila page": "voila/render/dashboard.ipynb",
    "SQLite filter": "panel-preview/render/filter_sqlite.py",
}
LOOK = """\
What to look at:
- The notebook, the Voila page and the Panel app ask for all orders. Each user gets only their own.
- The last cell of the notebook tries to get the rows of the other user.
- Open bob's notebook as alice, too, and run a cell: a kernel of two users gets no login.
- The SQLite filter is no wall: code in its kernel can read all orders.
- The kernels run as your account, and could read the server's configuration. Where the wall counts,
  run them as other accounts: see docs/database.md.
"""
_START_S = 60


def text_of(name):
    return (HERE / name).read_text(encoding="utf-8")


@contextlib.contextmanager
def postgres():
    """Run PostgreSQL with the schema; yield it, and the passwords of its two roles that log in."""
    # As root, PostgreSQL runs as another account, which may have no access to TMPDIR.
    place = "/tmp" if os.getuid() == 0 else None
    with tempfile.TemporaryDirectory(
        prefix="jupyter-session-user-postgres-", dir=place, ignore_cleanup_errors=True
    ) as folder:
        database = PrivatePostgres(folder, secrets.token_urlsafe(24))
        try:
            database.run("CREATE DATABASE warehouse", database="postgres")
            database.run("REVOKE ALL ON DATABASE postgres FROM PUBLIC", database="postgres")
            database.run(text_of("schema.sql"))
            passwords = {
                name: secrets.token_urlsafe(24) for name in ("jupyter_logins", "orders_app")
            }
            for role, password in passwords.items():
                database.run(f"ALTER ROLE {role} PASSWORD '{password}'")
            yield database, passwords
        finally:
            database.stop()


def configuration(home, port, password):
    """Return the configuration of Jupyter Server; the password stands in a file of its own."""
    passfile = home / "pgpass"
    passfile.touch(mode=0o600)
    passfile.write_text(f"127.0.0.1:{port}:warehouse:jupyter_logins:{password}\n", encoding="utf-8")
    dsn = f"host=127.0.0.1 port={port} dbname=warehouse user=jupyter_logins passfile='{passfile}'"
    databases = {"warehouse": {"dsn": dsn, "group": "jupyter_people"}}
    return f"c.JupyterSessionUser.databases = {databases!r}\n"


@contextlib.contextmanager
def panel_app(home, database_url, people):
    """Run ``panel serve orders_app.py``; yield its base address."""
    port = free_port()
    file = home / "people.json"
    file.touch(mode=0o600)
    file.write_text(json.dumps(people), encoding="utf-8")
    command = [sys.executable, "-m", "panel", "serve", str(HERE / "orders_app.py")]
    command += ["--address", "127.0.0.1", "--port", str(port), "--basic-auth", str(file)]
    for host in HOSTS.values():
        command += ["--allow-websocket-origin", f"{host}:{port}"]
    hidden = {"ORDERS_URL": database_url, "PANEL_COOKIE_SECRET": secrets.token_urlsafe(24)}
    log = home / "panel.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            env={**os.environ, **hidden},
            start_new_session=True,  # Ctrl-C is for this program, which ends the app
        )
    try:
        wait_for(f"http://127.0.0.1:{port}/login", process, log)
        yield f"http://127.0.0.1:{port}/"
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_for(url, process, log):
    end = time.monotonic() + _START_S
    while process.poll() is None and time.monotonic() < end:
        with contextlib.suppress(urllib.error.URLError), urllib.request.urlopen(url, timeout=5):
            return
        time.sleep(0.1)
    raise SystemExit(f"the Panel app did not start:\n{log.read_text(encoding='utf-8')[-3000:]}")


@contextlib.contextmanager
def everything(reason):
    """Run all servers; yield the Jupyter server, the app's address, and the app's passwords."""
    with contextlib.ExitStack() as stack:
        home = Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="jupyter-session-user-data-"))
        )
        files, config, app = {"filter_sqlite.py": text_of("filter_sqlite.py")}, "", ""
        people = {name: secrets.token_urlsafe(6) for name in HOSTS}
        if not reason:
            database, passwords = stack.enter_context(postgres())
            files |= {f"{name}/orders.ipynb": text_of("orders.ipynb") for name in HOSTS}
            files["dashboard.ipynb"] = text_of("dashboard.ipynb")
            config = configuration(home, database.port, passwords["jupyter_logins"])
            login = f"orders_app:{passwords['orders_app']}@127.0.0.1:{database.port}"
            url = f"postgresql+psycopg://{login}/warehouse"
            app = stack.enter_context(panel_app(home, url, people))
        yield stack.enter_context(demo_server(None, dot, files=files, config=config)), app, people


def dot():
    print(".", end="", flush=True)


def serve(server, app, people):
    for name, host in HOSTS.items():
        base = server.url.replace("127.0.0.1", host)
        print(f"\n  {name}")
        for title, path in PAGES.items():
            if app or "filter_sqlite" in path:
                to = path.format(name=name)
                print(f"    {title:14} {base}session-user-demo/as/{name}?key={server.key}&to={to}")
        if app:
            address = app.replace("127.0.0.1", host)
            print(f"    {'Panel app':14} {address}orders_app  (password {people[name]})")
    print("\nBoth users can be open in one browser. The addresses log in: do not pass them on.\n")
    print(LOOK)
    print("Ctrl-C ends the demo.", flush=True)
    while server.process.poll() is None:
        time.sleep(0.5)
    raise SystemExit(f"JupyterLab has ended; its log ends with:\n{server.log_end()}")


async def all_rows(server, app, people):
    rows = await rows_of_the_server(server, database=bool(app))
    return [*rows, *(await rows_of_the_app(app, people) if app else [])]


def check(server, app, people):
    print("Alice and Bob open every page at the same time; then they attack ...", flush=True)
    rows = asyncio.run(all_rows(server, app, people))
    print(table(rows, "user", "what the user got"))
    right = all(row.right for row in rows)
    print("Every row is right." if right else "NOT every row is right.", flush=True)
    return 0 if right else 1


def leave(*_):
    raise KeyboardInterrupt


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="end after a table")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, leave)  # or the servers would outlive this program
    reason = missing()
    if reason:
        print(f"{reason}.\nWithout it, there is the SQLite filter alone, which is no wall.")
    print("Starting ", end="", flush=True)
    try:
        with everything(reason) as running:
            print(" ready.", flush=True)
            return check(*running) if options.check else serve(*running)
    except KeyboardInterrupt:
        print("\nThe demo has ended; its files are removed.")
        return 130 if options.check else 0


if __name__ == "__main__":
    sys.exit(main())
