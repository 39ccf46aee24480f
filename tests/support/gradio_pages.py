"""A page of a Gradio app, limited to its protocol: a queue of events, answers as SSE."""

from __future__ import annotations

import contextlib
import http.client
import json
import secrets
from typing import Any

__all__ = ["GradioPage"]


class GradioPage:
    """One visitor's page.

    Args:
        host: ``127.0.0.1:port``.
        prefix: The path at which the app is mounted.
        session: The page's session hash; a new one by default, as in a browser.
        headers: Of all requests, such as ``Cookie``.
    """

    def __init__(self, host: str, *, prefix: str = "", session: str = "", **headers: str) -> None:
        self._host = host
        self._prefix = prefix
        self.session = session or secrets.token_hex(6)
        self._headers = {name.replace("_", "-"): value for name, value in headers.items()}
        self._functions: dict[str, int] = {}

    def log_in(self, username: str, password: str) -> None:
        """Log in at Gradio's own form."""
        body = f"username={username}&password={password}"
        with self._answer("POST", "/login", body, "application/x-www-form-urlencoded") as answer:
            cookies = answer.headers.get_all("Set-Cookie") or []
        self._headers["Cookie"] = "; ".join(cookie.partition(";")[0] for cookie in cookies)

    def event(self, name: str, *data: Any) -> Any:
        """Send an event of the function with this ``api_name``; return its output."""
        return self.collect(self.send(name, *data))[-1]

    def stream(self, name: str, *data: Any) -> list[Any]:
        """Send an event; return the messages of its answer."""
        return self.collect(self.send(name, *data))

    def send(self, name: str, *data: Any) -> str:
        """Send an event, and return its id."""
        body = {
            "data": list(data),
            "event_data": None,
            "fn_index": self._function(name),
            "trigger_id": None,
            "session_hash": self.session,
        }
        answer: dict[str, str] = self._json("POST", "/gradio_api/queue/join", json.dumps(body))
        return answer["event_id"]

    def collect(self, event_id: str) -> list[Any]:
        """Return the output of one event, step by step."""
        outputs: list[Any] = []
        path = f"/gradio_api/queue/data?session_hash={self.session}"
        with self._answer("GET", path) as answer:
            for line in answer:
                message = json.loads(line[5:]) if line.startswith(b"data:") else {}
                if message.get("event_id") != event_id:
                    continue
                if message["msg"] in {"process_generating", "process_completed"}:
                    assert message["success"], message
                    outputs.append(message["output"]["data"])
                if message["msg"] == "process_completed":
                    break
        return outputs

    def call(self, name: str, *data: Any) -> Any:
        """Call a function without the queue (``queue=False``)."""
        body = {"data": list(data), "session_hash": self.session}
        return self._json("POST", f"/gradio_api/run/{name}", json.dumps(body))["data"]

    def get(self, path: str) -> Any:
        """Return the JSON of any other path."""
        return self._json("GET", path, "")

    def _function(self, name: str) -> int:
        if not self._functions:
            functions = self._json("GET", "/config", "")["dependencies"]
            self._functions = {one["api_name"]: one["id"] for one in functions}
        return self._functions[name]

    def _json(self, method: str, path: str, body: str) -> Any:
        with self._answer(method, path, body) as answer:
            return json.loads(answer.read())

    @contextlib.contextmanager
    def _answer(self, method: str, path: str, body: str = "", kind: str = "application/json"):  # type: ignore[no-untyped-def]
        headers = {**self._headers, "Content-Type": kind}
        connection = http.client.HTTPConnection(self._host, timeout=60)
        with contextlib.closing(connection):
            connection.request(method, self._prefix + path, body or None, headers)
            answer = connection.getresponse()
            assert answer.status == http.HTTPStatus.OK, (answer.status, answer.read())
            yield answer
