"""Runs the apps of this folder, each with a visitor who may see the report and one who may not."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from pathlib import Path

from app_servers import app_server

APPS = Path(__file__).with_name("apps")
#: Of each host: the command without Python, the page, and the path that answers once it runs.
_UVICORN = ("-m", "uvicorn", "{app}:app", "--port", "{port}", "--log-level", "warning")
_GUNICORN = ("-m", "gunicorn", "{app}:app", "--bind", "127.0.0.1:{port}", "--threads", "4")
_BOKEH = (
    *("serve", "{app}.py", "--port", "{port}", "--address", "127.0.0.1"),
    *("--auth-module", "auth.py", "--allow-websocket-origin", "127.0.0.1:{port}"),
)
_STREAMLIT = (
    *("-m", "streamlit", "run", "{app}.py", "--server.port", "{port}"),
    *("--server.address", "127.0.0.1", "--server.headless", "true"),
    *("--browser.gatherUsageStats", "false"),
)
HOSTS = {
    "bokeh": (("-m", "bokeh", *_BOKEH), "/bokeh_app", "/none"),
    "dash": (_GUNICORN, "/", "/none"),
    "django": (_GUNICORN, "/", "/none"),
    "fastapi": (_UVICORN, "/", "/none"),
    "flask": (_GUNICORN, "/", "/none"),
    "gradio": (_UVICORN, "/app/", "/none"),
    "marimo": (_UVICORN, "/app/", "/none"),
    "nicegui": (("{app}.py",), "/", "/none"),
    "panel": (("-m", "panel", *_BOKEH), "/panel_app", "/none"),
    "shiny": (_UVICORN, "/", "/none"),
    "solara": (_UVICORN, "/", "/readyz"),
    "streamlit": (_STREAMLIT, "/", "/_stcore/health"),
    "wsgi": (_GUNICORN, "/", "/none"),
}


@contextmanager
def running(host, mode):
    """Run the app of a host.

    Args:
        host: A key of ``HOSTS``.
        mode: ``page`` to guard what makes the page, ``callback`` to guard a button's callback,
            ``whole`` to guard the function of a Shiny page, or of a Dash layout.
    """
    command, page, ready = HOSTS[host]
    files = {path.name: path.read_text(encoding="utf-8") for path in APPS.glob("*.py")}
    words = [word.replace("{app}", f"{host}_app") for word in command]
    env = {
        "MODE": mode,
        "GRADIO_ANALYTICS_ENABLED": "False",
        "SOLARA_TELEMETRY_MIXPANEL_ENABLE": "False",
        "BOKEH_COOKIE_SECRET": "of these tests, and long enough for both",
    }
    with app_server(sys.executable, *words, files=files, env=env, ready=ready) as server:
        yield server, f"http://{server.host}{page}"
