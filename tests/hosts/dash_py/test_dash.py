"""Background callbacks of Dash: they run in a separate process without a visitor."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest
from app_servers import WHO, AppServer, app_server, eventually

APP = Path(__file__).with_name("background_app.py")
CLICK = {
    "output": "said.children",
    "outputs": {"id": "said", "property": "children"},
    "inputs": [{"id": "button", "property": "n_clicks", "value": 1}],
    "changedPropIds": ["button.n_clicks"],
    "state": [],
}


@pytest.fixture(scope="module")
def server(need) -> Iterator[AppServer]:
    """Run the app behind gunicorn."""
    for module in ("dash", "diskcache", "multiprocess", "gunicorn"):
        need(importlib.util.find_spec(module), f"{module} is missing")
    command = (sys.executable, "-m", "gunicorn", "background_app:app", "--threads", "4")
    files = {"background_app.py": APP.read_text(encoding="utf-8"), "who.py": WHO}
    with app_server(
        *command, "--bind", "127.0.0.1:{port}", files=files, ready="/_dash-layout"
    ) as running:
        yield running


def post(server: AppServer, login: str, query: dict[str, str]) -> dict[str, object]:
    """Send the click, or request its result."""
    with server.connect() as connection:
        path = f"/_dash-update-component?{urlencode(query)}"
        headers = {"Content-Type": "application/json", "X-Login": login}
        connection.request("POST", path, json.dumps(CLICK), headers)
        response = connection.getresponse()
        text = response.read().decode()
        assert response.status == 200, text
        answer: dict[str, object] = json.loads(text)
        return answer


def test_a_background_callback_has_no_visitor(server):
    """The process is a fork of the visitor's server process, and the error says so."""
    jobs = {login: post(server, login, {}) for login in ("a-token", "b-token")}
    keys = {job["cacheKey"] for job in jobs.values()}
    assert len(keys) == 2  # cache_by separates the visitors
    for login, job in jobs.items():
        query = {"cacheKey": str(job["cacheKey"]), "job": str(job["job"])}
        answer = eventually(
            lambda login=login, query=query: post(server, login, query).get("response")
        )
        assert answer == {"said": {"children": "nobody: forked_process"}}
